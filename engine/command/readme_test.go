package command_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/command"
)

// TestReadmeExample runs the README's example and holds that it prints what the README shows.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	assert.NilError(t, err)
	const dir = "docs/examples/csv-to-sqlite"
	_, after, found := strings.Cut(string(readme), "go tool mage run -manifest="+dir+"/manifest.yaml\n```\n\n```\n")
	assert.Assert(t, found)
	shown, _, _ := strings.Cut(after, "```\n")

	work := t.TempDir()
	assert.NilError(t, os.CopyFS(work, os.DirFS("../../"+dir)))
	assert.NilError(t, os.RemoveAll(filepath.Join(work, "people.db")))
	var first, second bytes.Buffer
	o := command.Options{Manifest: filepath.Join(work, "manifest.yaml"), Out: &first}
	assert.NilError(t, command.Run(context.Background(), o))
	assert.Equal(t, scrub(first.String()), scrub(shown))
	o.Out = &second
	assert.NilError(t, command.Run(context.Background(), o))
	assert.Assert(t, strings.Contains(second.String(), "4 read: 0 inserted, 0 updated, 4 unchanged"), second.String())
}

// scrub takes out what is different in every run.
func scrub(s string) string {
	s = regexp.MustCompile(`\b[0-9a-f]{32}\b`).ReplaceAllString(s, "ID")
	return regexp.MustCompile(`  [0-9.]+ m?s\n`).ReplaceAllString(s, "  TIME\n")
}
