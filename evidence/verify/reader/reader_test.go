package reader_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/verify/reader"
)

func record(t testing.TB) *evidence.Record {
	t.Helper()
	r := &evidence.Record{
		Stable: evidence.Stable{
			Gate: evidence.Gate{ID: "x:y", Doc: "It is so.", Runbook: "r#x"}, Invocation: evidence.Invocation{Options: []byte("{}")},
			Steps: []evidence.Step{{ID: "x:y", Checks: []evidence.Check{evidence.Expect("x.ok", "it", true, "so", "so", "")}}},
		},
		Volatile: evidence.Volatile{Run: "20261122T110000Z-00000001", Started: time.Unix(1, 0).UTC(), Finished: time.Unix(2, 0).UTC()},
	}
	assert.NilError(t, r.Seal())
	return r
}

// folderOf is a sealed run folder with attestations beside the index.
func folderOf(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	raw, err := record(t).Encode()
	assert.NilError(t, err)
	put(t, filepath.Join(dir, "record.json"), string(raw))
	put(t, filepath.Join(dir, "logs", "a.log"), "all is well\n")
	_, err = seal.Seal(t.Context(), dir, seal.Options{Outside: attest.Outside()})
	assert.NilError(t, err)
	put(t, filepath.Join(dir, attest.Dir, "x.sigstore.json"), "{}")
	return dir
}

func put(t testing.TB, name, content string) {
	t.Helper()
	assert.NilError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	assert.NilError(t, os.WriteFile(name, []byte(content), 0o644))
}

func has(t *testing.T, err error, code seal.Code) {
	t.Helper()
	var refused *seal.Error
	assert.Assert(t, errors.As(err, &refused), "%v", err)
	for _, p := range refused.Problems {
		if p.Code == code {
			return
		}
	}
	t.Fatalf("wanted %s: %v", code, err)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	dir := folderOf(t)
	run, err := reader.Open(t.Context(), dir, reader.Options{})
	assert.NilError(t, err)
	defer run.Close()
	assert.Equal(t, run.Record.Verdict, evidence.Pass)
	assert.Equal(t, run.Files, 2)
	raw, err := run.ReadFile("logs/a.log", 100)
	assert.NilError(t, err)
	assert.Equal(t, string(raw), "all is well\n")
	var out bytes.Buffer
	assert.NilError(t, run.Copy(&out, "logs/a.log"))
	assert.Equal(t, out.String(), string(raw))

	_, err = run.ReadFile("logs/a.log", 3)
	has(t, err, seal.CodeLimit)
	for _, name := range []string{"index.json", "attestations/x.sigstore.json", "../x", "no-such"} {
		_, err = run.ReadFile(name, 100)
		has(t, err, seal.CodeUnlisted)
		has(t, run.Copy(io.Discard, name), seal.CodeUnlisted)
	}
	// What changes after the folder was verified is found when it is read.
	for content, code := range map[string]seal.Code{"all is evil\n": seal.CodeDigestMismatch, "all is well, and more": seal.CodeSizeMismatch} {
		put(t, filepath.Join(dir, "logs", "a.log"), content)
		_, err = run.ReadFile("logs/a.log", 100)
		has(t, err, code)
		has(t, run.Copy(io.Discard, "logs/a.log"), seal.CodeDigestMismatch)
	}
	assert.NilError(t, os.Remove(filepath.Join(dir, "logs", "a.log")))
	assert.NilError(t, os.Symlink("../record.json", filepath.Join(dir, "logs", "a.log")))
	_, err = run.ReadFile("logs/a.log", 100)
	assert.ErrorContains(t, err, "not a regular file")
	has(t, run.Copy(io.Discard, "logs/a.log"), seal.CodeNotRegular)
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, dir string)
		code   seal.Code
	}{
		"a changed record": {func(t *testing.T, dir string) {
			name := filepath.Join(dir, "record.json")
			raw, err := os.ReadFile(name)
			assert.NilError(t, err)
			put(t, name, strings.Replace(string(raw), "PASS", "FAIL", 1))
		}, seal.CodeDigestMismatch},
		"a record that is none": {func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "record.json"), `{"verdict": "PASS"}`)
			again(t, dir)
		}, reader.CodeRecord},
		"a verdict that does not follow": {func(t *testing.T, dir string) {
			name := filepath.Join(dir, "record.json")
			raw, err := os.ReadFile(name)
			assert.NilError(t, err)
			put(t, name, strings.Replace(string(raw), `"observed": "so"`, `"observed": "no"`, 1))
			again(t, dir)
		}, reader.CodeRecord},
		"no record": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Remove(filepath.Join(dir, "record.json")))
			again(t, dir)
		}, seal.CodeMissing},
		"no index": {func(t *testing.T, dir string) { assert.NilError(t, os.Remove(filepath.Join(dir, "index.json"))) }, seal.CodeMissing},
	} {
		dir := folderOf(t)
		c.change(t, dir)
		run, err := reader.Open(t.Context(), dir, reader.Options{})
		t.Log(name)
		has(t, err, c.code)
		assert.Assert(t, run != nil && run.Record == nil)
		assert.NilError(t, run.Close())
	}
	// A folder that never had a record, where that is asked for.
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.txt"), "a")
	again(t, dir)
	run, err := reader.Open(t.Context(), dir, reader.Options{NoRecord: true})
	assert.NilError(t, err)
	assert.Assert(t, run.Record == nil)
	assert.NilError(t, run.Close())
	_, err = reader.Open(t.Context(), filepath.Join(dir, "no-such"), reader.Options{})
	has(t, err, seal.CodeMissing)
}

func again(t *testing.T, dir string) {
	t.Helper()
	_, err := seal.Seal(t.Context(), dir, seal.Options{Outside: attest.Outside()})
	assert.NilError(t, err)
}

func TestFile(t *testing.T) {
	t.Parallel()
	dir := folderOf(t)
	for _, path := range []string{dir, filepath.Join(dir, "record.json")} {
		r, sealed, err := reader.File(t.Context(), path)
		assert.NilError(t, err)
		assert.Assert(t, sealed)
		assert.Equal(t, r.Stable.Gate.ID, "x:y")
	}
	// Any file of the folder that changed makes the record one to doubt.
	put(t, filepath.Join(dir, "logs", "a.log"), "evil")
	_, sealed, err := reader.File(t.Context(), dir)
	assert.Assert(t, sealed)
	has(t, err, seal.CodeSizeMismatch)
	// Without an index only the record itself is held together.
	assert.NilError(t, os.Remove(filepath.Join(dir, "index.json")))
	r, sealed, err := reader.File(t.Context(), dir)
	assert.NilError(t, err)
	assert.Assert(t, !sealed && r != nil)
	_, _, err = reader.File(t.Context(), filepath.Join(dir, "no-such"))
	assert.ErrorIs(t, err, os.ErrNotExist)
	_, _, err = reader.File(t.Context(), filepath.Join(dir, "logs", "a.log"))
	assert.ErrorContains(t, err, "record")
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	raw, err := json.Marshal(record(t))
	assert.NilError(t, err)
	r, err := reader.Embedded(raw)
	assert.NilError(t, err)
	assert.Equal(t, r.Verdict, evidence.Pass)
	r, err = reader.Embedded(json.RawMessage("null"))
	assert.NilError(t, err)
	assert.Assert(t, r == nil)
	for _, bad := range []string{
		"{}", "[]", "x", `{"x":1}`,
		strings.ReplaceAll(string(raw), `"PASS"`, `"FAIL"`), strings.Replace(string(raw), `"observed":"so"`, `"observed":"no"`, 1),
		strings.Repeat(" ", evidence.MaxRecord+1),
	} {
		_, err := reader.Embedded(json.RawMessage(bad))
		assert.Assert(t, err != nil, bad[:min(20, len(bad))])
	}
}
