//go:build record

package gotest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	"gotest.tools/v3/assert"
)

// TestRecord writes the streams in testdata anew with the go command in PATH:
//
//	go test -tags record -run '^TestRecord$' ./gates/gotest
//
// and then the expectations: go test ./gates/gotest -update. It is behind a
// build tag because a test that is always skipped is noise in every report.
func TestRecord(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/fixtures.txtar")
	assert.NilError(t, err)
	dir := t.TempDir()
	for _, f := range archive.Files {
		name := filepath.Join(dir, filepath.FromSlash(f.Name))
		assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		assert.NilError(t, os.WriteFile(name, f.Data, 0o644))
	}
	cpu := regexp.MustCompile(`cpu: [^\\]*`)
	for name, args := range streams() {
		run := func(base string) []byte {
			cmd := exec.Command("go", strings.Fields("test -json -trimpath -p=1 "+base+" "+args)...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=", "GOCACHE="+filepath.Join(dir, ".cache"))
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run() // most of them are meant to fail
			return out.Bytes()
		}
		out := run("-count=1")
		if name == "cached" {
			run("") // fills the cache
			out = run("")
		}
		out = bytes.ReplaceAll(out, []byte(dir), []byte("/src/m"))
		out = cpu.ReplaceAll(out, []byte("cpu: some"))
		assert.NilError(t, os.WriteFile(filepath.Join("testdata", name+".jsonl"), out, 0o644))
	}
}
