// SPDX-License-Identifier: MIT

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"

	"example.com/slug/licence"
)

func TestStatus(t *testing.T) {
	root := gatetest.Repository(t, "-- .gitignore --\n/test_artifacts/\n-- a.go --\n// MIT\n")
	outcome := gatetest.Run(t, licence.Gate(licence.Options{Line: "// MIT"}), gates.Options{Root: root})
	var out strings.Builder
	if err := status(t.Context(), &out, outcome.Folder); err != nil || !strings.HasPrefix(out.String(), "licence is PASS") {
		t.Fatalf("%v: %s", err, &out)
	}
	if err := os.WriteFile(filepath.Join(outcome.Folder, "record.md"), []byte("PASS"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := status(t.Context(), &out, outcome.Folder); err == nil {
		t.Error("a changed file was believed")
	}
}
