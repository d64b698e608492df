package licences_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
	"gotest.tools/v3/assert"
)

// moduleProxy is a folder that Go takes for a module proxy. It holds example.com/dep
// v1.0.0, a command and a package at once, with a licence file of that text.
func moduleProxy(t *testing.T, licence string) string {
	t.Helper()
	source := t.TempDir()
	write := func(name, text string) {
		assert.NilError(t, os.WriteFile(filepath.Join(source, name), []byte(text), 0o644))
	}
	write("go.mod", "module example.com/dep\n\ngo 1.26\n")
	write("dep.go", "// Package dep is empty.\npackage dep\n")
	if licence != "" {
		write("LICENSE", licence)
	}
	proxy := t.TempDir()
	at := filepath.Join(proxy, "example.com", "dep", "@v")
	assert.NilError(t, os.MkdirAll(at, 0o755))
	var content bytes.Buffer
	assert.NilError(t, zip.CreateFromDir(&content, module.Version{Path: "example.com/dep", Version: "v1.0.0"}, source))
	for name, text := range map[string]string{
		"list": "v1.0.0\n", "v1.0.0.info": `{"Version":"v1.0.0","Time":"2026-01-01T00:00:00Z"}`,
		"v1.0.0.mod": "module example.com/dep\n\ngo 1.26\n", "v1.0.0.zip": content.String(),
	} {
		assert.NilError(t, os.WriteFile(filepath.Join(at, name), []byte(text), 0o644))
	}
	return proxy
}

func command(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s %v: %s", name, args, out)
}
