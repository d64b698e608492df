package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
)

// small is the directory of the package comment.
var small = map[string]string{"record.json": "{}\n", "logs/ci-test.log": "ok\n"}

func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		put(t, root, name, content)
	}
	return root
}

func put(t testing.TB, root, name, content string) {
	t.Helper()
	path := filepath.Join(root, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o644))
}

func sealed(t testing.TB, files map[string]string) (string, seal.Index) {
	t.Helper()
	root := tree(t, files)
	index, err := seal.Seal(t.Context(), root, seal.Options{})
	assert.NilError(t, err)
	return root, index
}

// told is what a result says, as "path code".
func told(problems []seal.Problem) []string {
	list := []string{}
	for _, p := range problems {
		list = append(list, p.Path+" "+string(p.Code))
	}
	return list
}

func problemsOf(t testing.TB, err error) []string {
	t.Helper()
	var all *seal.Error
	assert.Assert(t, errors.As(err, &all), "%v", err)
	return told(all.Problems)
}

// The example of the package comment is what Seal writes.
func TestExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("doc.go")
	assert.NilError(t, err)
	var example strings.Builder
	for line := range strings.Lines(string(source)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			example.WriteString(text)
		}
	}
	root, index := sealed(t, small)
	raw, err := os.ReadFile(filepath.Join(root, seal.IndexJSON))
	assert.NilError(t, err)
	assert.Equal(t, string(raw), example.String())
	digest, err := folder.Digest(filepath.Join(root, seal.IndexJSON))
	assert.NilError(t, err)
	assert.Equal(t, index.SHA256, digest.SHA256)
}

func TestSealAndVerify(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"record.json": "{}\n", "record.md": "# r\n", "junit.xml": "<x/>", "logs/a.log": "", "logs/b <&>.log": "b",
		"deep/er/down/data.parquet": "PAR1", "empty.bin": "", "ünï/日本.csv": "1", "sbom.cdx.json": "{}",
		"Z": "z", "a": "a", "a.b": "x", "a/b": "",
	}
	delete(files, "a/b") // a is a file
	root, index := sealed(t, files)
	assert.Equal(t, len(index.Files), len(files))
	assert.Assert(t, slices.IsSortedFunc(index.Files, func(a, b seal.File) int { return strings.Compare(a.Path, b.Path) }))
	result := seal.Verify(t.Context(), root, seal.Options{IndexSHA256: index.SHA256})
	assert.NilError(t, result.Err())
	assert.Equal(t, result.Files, len(files))
	assert.DeepEqual(t, result.Index, index)
	read, err := seal.Read(root, seal.Options{})
	assert.NilError(t, err)
	assert.DeepEqual(t, read, index)
	for name, content := range files {
		entry, ok := index.Find(name)
		assert.Assert(t, ok, name)
		digest, err := folder.DigestReader(name, strings.NewReader(content))
		assert.NilError(t, err)
		assert.Equal(t, entry.SHA256, digest.SHA256)
	}
	_, ok := index.Find("absent")
	assert.Assert(t, !ok)

	// Sealing again changes nothing, and times do not count.
	assert.NilError(t, os.Chtimes(filepath.Join(root, "a"), time.Unix(1, 0), time.Unix(1, 0)))
	again, err := seal.Seal(t.Context(), root, seal.Portable(seal.Options{Workers: 1}))
	assert.NilError(t, err)
	assert.DeepEqual(t, again, index)

	// The bytes of the writer are those of encoding/json.
	raw, err := index.Encode()
	assert.NilError(t, err)
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	assert.NilError(t, enc.Encode(struct {
		Schema string      `json:"schema"`
		Files  []seal.File `json:"files"`
	}{index.Schema, index.Files}))
	assert.Equal(t, string(raw), want.String())
}

func TestEvidenceMovesAndStaysTheSame(t *testing.T) {
	t.Parallel()
	root, index := sealed(t, small)
	elsewhere := filepath.Join(t.TempDir(), "another name")
	assert.NilError(t, os.CopyFS(elsewhere, os.DirFS(root)))
	assert.NilError(t, seal.Verify(t.Context(), elsewhere, seal.Options{IndexSHA256: index.SHA256}).Err())
	// The way to the root may go through a link, as "latest" does.
	latest := filepath.Join(t.TempDir(), "latest")
	assert.NilError(t, os.Symlink(elsewhere, latest))
	assert.NilError(t, seal.Verify(t.Context(), latest, seal.Options{}).Err())
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attack func(t *testing.T, root string)
		opts   seal.Options
		want   []string
	}{
		"nothing done": {want: []string{}},
		"a changed byte": {
			attack: func(t *testing.T, root string) { put(t, root, "logs/ci-test.log", "no\n") },
			want:   []string{"logs/ci-test.log digest_mismatch"},
		},
		"same size and time, other content": {
			attack: func(t *testing.T, root string) {
				path := filepath.Join(root, "record.json")
				before, err := os.Stat(path)
				assert.NilError(t, err)
				put(t, root, "record.json", "[]\n")
				assert.NilError(t, os.Chtimes(path, before.ModTime(), before.ModTime()))
			},
			want: []string{"record.json digest_mismatch"},
		},
		"longer":        {attack: func(t *testing.T, root string) { put(t, root, "record.json", "{}\n\n") }, want: []string{"record.json size_mismatch"}},
		"emptied":       {attack: func(t *testing.T, root string) { put(t, root, "record.json", "") }, want: []string{"record.json size_mismatch"}},
		"missing":       {attack: func(t *testing.T, root string) { remove(t, root, "record.json") }, want: []string{"record.json missing_artifact"}},
		"unlisted":      {attack: func(t *testing.T, root string) { put(t, root, "extra", "x") }, want: []string{"extra unlisted_artifact"}},
		"deep unlisted": {attack: func(t *testing.T, root string) { put(t, root, "a/b/c", "") }, want: []string{"a/b/c unlisted_artifact"}},
		"a second index below": {
			attack: func(t *testing.T, root string) { put(t, root, "logs/index.json", "x") },
			want:   []string{"logs/index.json unlisted_artifact"},
		},
		"a left over index": {
			attack: func(t *testing.T, root string) { put(t, root, ".tmp-index.json-00", "x") },
			want:   []string{".tmp-index.json-00 unlisted_artifact"},
		},
		"an empty directory is nothing": {attack: func(t *testing.T, root string) { assert.NilError(t, os.Mkdir(filepath.Join(root, "d"), 0o755)) }, want: []string{}},
		"a link to outside": {
			attack: func(t *testing.T, root string) { link(t, "/etc/passwd", root, "l") },
			want:   []string{"l not_regular_file"},
		},
		"a link inside in place of a file": {
			attack: func(t *testing.T, root string) {
				assert.NilError(t, os.Rename(filepath.Join(root, "record.json"), filepath.Join(root, "logs", "r")))
				link(t, "logs/r", root, "record.json")
			},
			want: []string{"logs/r unlisted_artifact", "record.json not_regular_file"},
		},
		"a dangling link": {attack: func(t *testing.T, root string) { link(t, "nowhere", root, "l") }, want: []string{"l not_regular_file"}},
		"a link in place of a directory": {
			attack: func(t *testing.T, root string) {
				outside := t.TempDir()
				assert.NilError(t, os.Rename(filepath.Join(root, "logs"), filepath.Join(outside, "logs")))
				link(t, filepath.Join(outside, "logs"), root, "logs")
			},
			want: []string{"logs not_regular_file", "logs/ci-test.log missing_artifact"},
		},
		"a directory in place of a file": {
			attack: func(t *testing.T, root string) {
				remove(t, root, "record.json")
				assert.NilError(t, os.Mkdir(filepath.Join(root, "record.json"), 0o755))
			},
			want: []string{"record.json missing_artifact"},
		},
		"the index is a link": {
			attack: func(t *testing.T, root string) {
				outside := filepath.Join(t.TempDir(), "i")
				assert.NilError(t, os.Rename(filepath.Join(root, seal.IndexJSON), outside))
				link(t, outside, root, seal.IndexJSON)
			},
			want: []string{"index.json not_regular_file"},
		},
		"no index":       {attack: func(t *testing.T, root string) { remove(t, root, seal.IndexJSON) }, want: []string{"index.json missing_artifact"}},
		"an empty index": {attack: func(t *testing.T, root string) { put(t, root, seal.IndexJSON, "") }, want: []string{"index.json empty_evidence"}},
		"a huge index": {
			attack: func(t *testing.T, root string) {
				assert.NilError(t, os.Truncate(filepath.Join(root, seal.IndexJSON), seal.MaxIndex+1))
			},
			want: []string{"index.json limit_exceeded"},
		},
		"another index": {opts: seal.Options{IndexSHA256: strings.Repeat("0", 64)}, want: []string{"index.json digest_mismatch"}},
		"hard links": {
			attack: func(t *testing.T, root string) {
				assert.NilError(t, os.Link(filepath.Join(root, "record.json"), filepath.Join(t.TempDir(), "x")))
			},
			opts: seal.Options{RefuseHardLinks: true},
			want: []string{"record.json not_regular_file"},
		},
		"names": {
			attack: func(t *testing.T, root string) {
				for _, name := range []string{"back\\slash", "tab\t", "dot.", "space ", "c:x", "bad\xff", "\u202egpj", "del\x7f", "RECORD.json"} {
					put(t, root, name, "x")
				}
			},
			want: []string{
				"RECORD.json unlisted_artifact", "back\\slash path_escape", "bad\xff unsafe_name", "c:x unsafe_name", "del\x7f unsafe_name", "dot. unsafe_name",
				"record.json name_collision", "space  unsafe_name", "tab\t unsafe_name", "\u202egpj unsafe_name",
			},
		},
		"too many files": {opts: seal.Options{MaxFiles: 2}, want: []string{" limit_exceeded"}},
		"too many bytes": {opts: seal.Options{MaxBytes: 5}, want: []string{" limit_exceeded"}},
		"too deep": {
			attack: func(t *testing.T, root string) {
				assert.NilError(t, os.MkdirAll(filepath.Join(root, strings.Repeat("d/", 70)), 0o755))
			},
			want: []string{strings.TrimSuffix(strings.Repeat("d/", 64), "/") + " limit_exceeded"},
		},
		"several at once": {
			attack: func(t *testing.T, root string) {
				put(t, root, "logs/ci-test.log", "no\n")
				remove(t, root, "record.json")
				put(t, root, "extra", "")
				link(t, "extra", root, "l")
			},
			opts: seal.Options{IndexSHA256: "00"},
			want: []string{
				"extra unlisted_artifact", "index.json digest_mismatch", "l not_regular_file",
				"logs/ci-test.log digest_mismatch", "record.json missing_artifact",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, _ := sealed(t, small)
			if test.attack != nil {
				test.attack(t, root)
			}
			for _, opts := range []seal.Options{test.opts, seal.Portable(test.opts)} {
				result := seal.Verify(t.Context(), root, opts)
				assert.Check(t, is.DeepEqual(told(result.Problems), test.want))
				assert.Equal(t, result.OK(), len(test.want) == 0)
				assert.Equal(t, result.Err() == nil, len(test.want) == 0)
			}
		})
	}
}

func remove(t testing.TB, root, name string) {
	t.Helper()
	assert.NilError(t, os.Remove(filepath.Join(root, name)))
}

func link(t testing.TB, target, root, name string) {
	t.Helper()
	assert.NilError(t, os.Symlink(target, filepath.Join(root, name)))
}

func TestVerifyOutsideRoots(t *testing.T) {
	t.Parallel()
	assert.DeepEqual(t, told(seal.Verify(t.Context(), filepath.Join(t.TempDir(), "absent"), seal.Options{}).Problems), []string{" missing_artifact"})
	root, _ := sealed(t, small)
	assert.Assert(t, !seal.Verify(t.Context(), filepath.Join(root, "record.json"), seal.Options{}).OK())
	stopped, stop := context.WithCancel(t.Context())
	stop()
	assert.Assert(t, seal.Verify(stopped, root, seal.Options{}).Has(seal.CodeInterrupted))
	_, err := seal.Seal(stopped, root, seal.Options{})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = seal.Copy(stopped, root, t.TempDir(), seal.Options{})
	assert.ErrorIs(t, err, context.Canceled)
	_, err = seal.Seal(t.Context(), filepath.Join(root, "absent"), seal.Options{})
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = seal.Read(filepath.Join(root, "absent"), seal.Options{})
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestEmptyEvidence(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"record.json": {"record.json empty_evidence"}, "x.md": {"x.md empty_evidence"}, "a.sigstore.json": {"a.sigstore.json empty_evidence"},
		"a.log": {}, "logs/a.txt": {}, "data.bin": {},
	} {
		root, _ := sealed(t, map[string]string{name: "", "x": "x"})
		assert.Check(t, is.DeepEqual(told(seal.Verify(t.Context(), root, seal.Options{}).Problems), want), name)
	}
	root, _ := sealed(t, map[string]string{"data.bin": ""})
	assert.DeepEqual(t, told(seal.Verify(t.Context(), root, seal.Options{RefuseEmptyArtifacts: true}).Problems), []string{"data.bin empty_evidence"})
	root, _ = sealed(t, nil)
	assert.DeepEqual(t, told(seal.Verify(t.Context(), root, seal.Options{}).Problems), []string{" empty_evidence"})
}

func TestOutside(t *testing.T) {
	t.Parallel()
	opts := seal.Options{Outside: []string{"index.json.sigstore.json", "proofs/"}}
	root := tree(t, small)
	put(t, root, "proofs/a.tlog-proof", "x")
	index, err := seal.Seal(t.Context(), root, opts)
	assert.NilError(t, err)
	assert.Equal(t, len(index.Files), 2)
	put(t, root, "index.json.sigstore.json", "{}")
	assert.NilError(t, seal.Verify(t.Context(), root, opts).Err())
	assert.DeepEqual(t, told(seal.Verify(t.Context(), root, seal.Options{}).Problems),
		[]string{"index.json.sigstore.json unlisted_artifact", "proofs/a.tlog-proof unlisted_artifact"})
	link(t, "a.tlog-proof", root, "proofs/l")
	assert.DeepEqual(t, told(seal.Verify(t.Context(), root, opts).Problems), []string{"proofs/l not_regular_file"})
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	root := tree(t, small)
	link(t, "record.json", root, "l")
	put(t, root, "a\\b", "")
	put(t, root, "INDEX.json", "")
	_, err := seal.Seal(t.Context(), root, seal.Options{})
	assert.DeepEqual(t, problemsOf(t, err), []string{"a\\b path_escape", "l not_regular_file"})
	assert.ErrorContains(t, err, "not_regular_file")
	_, err = os.Lstat(filepath.Join(root, seal.IndexJSON))
	assert.ErrorIs(t, err, fs.ErrNotExist)

	root = tree(t, map[string]string{"INDEX.json": "", "index.json": ""})
	_, err = seal.Seal(t.Context(), root, seal.Options{})
	assert.DeepEqual(t, problemsOf(t, err), []string{"index.json name_collision"})
	root = tree(t, small)
	_, err = seal.Seal(t.Context(), root, seal.Options{MaxBytes: 1})
	assert.DeepEqual(t, problemsOf(t, err), []string{" limit_exceeded"})
}

// A crash leaves the old index or none, and a half one under another name,
// which the next sealing takes away.
func TestSealAfterACrash(t *testing.T) {
	t.Parallel()
	root := tree(t, small)
	put(t, root, ".tmp-index.json-0123", `{"schema`)
	_, err := seal.Seal(t.Context(), root, seal.Options{})
	assert.NilError(t, err)
	assert.NilError(t, seal.Verify(t.Context(), root, seal.Options{}).Err())
	entries, err := os.ReadDir(root)
	assert.NilError(t, err)
	assert.Equal(t, len(entries), 3)
}

// Every bit of every file is covered.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	root, index := sealed(t, small)
	flips := 0
	flipEach(t, root, func(name string, at, bit int) {
		flips++
		result := seal.Verify(t.Context(), root, seal.Options{IndexSHA256: index.SHA256})
		assert.Assert(t, !result.OK(), "%s: bit %d of byte %d", name, bit, at)
		if name == seal.IndexJSON {
			assert.Assert(t, result.Has(seal.CodeDigestMismatch))
		}
		// Not even the index needs its digest to be known.
		assert.Assert(t, !seal.Verify(t.Context(), root, seal.Options{}).OK(), "%s: bit %d of byte %d, without the digest", name, bit, at)
	})
	assert.NilError(t, seal.Verify(t.Context(), root, seal.Options{}).Err())
	t.Logf("%d flips refused", flips)
}

func flipEach(t *testing.T, root string, check func(name string, at, bit int)) {
	t.Helper()
	assert.NilError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		assert.NilError(t, err)
		whole, err := os.ReadFile(path)
		assert.NilError(t, err)
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		assert.NilError(t, err)
		defer file.Close()
		for at := range whole {
			for bit := range 8 {
				_, err := file.WriteAt([]byte{whole[at] ^ 1<<bit}, int64(at))
				assert.NilError(t, err)
				check(filepath.ToSlash(name), at, bit)
			}
			_, err := file.WriteAt(whole[at:at+1], int64(at))
			assert.NilError(t, err)
		}
		return nil
	}))
}

// What is in a run folder has the role that its name says.
func TestRunFolder(t *testing.T) {
	t.Parallel()
	f, err := folder.Create(t.TempDir(), "ci", time.Date(2026, 11, 22, 6, 30, 0, 0, time.UTC))
	assert.NilError(t, err)
	assert.NilError(t, f.Release())
	for _, name := range []string{folder.RecordJSON, folder.RecordMD, folder.JUnitXML, folder.CoverageXML, folder.LogName("ci:test"), "a<b>&c"} {
		assert.NilError(t, f.WriteFile(name, []byte(name)))
	}
	index, err := seal.Seal(t.Context(), f.Dir(), seal.Options{})
	assert.NilError(t, err)
	assert.NilError(t, seal.Verify(t.Context(), f.Dir(), seal.Options{}).Err())
	roles := map[string]seal.Role{}
	for _, file := range index.Files {
		roles[file.Path] = file.Role
	}
	assert.DeepEqual(t, roles, map[string]seal.Role{
		folder.RecordJSON: seal.RoleRecord, folder.RecordMD: seal.RoleReport, folder.JUnitXML: seal.RoleReport,
		folder.CoverageXML: seal.RoleReport, "logs/ci-test.log": seal.RoleLog, "a<b>&c": seal.RoleArtifact,
	})
}

// text is an index of v2 with one entry, changed.
func text(old, now string) string {
	const one = `{
  "schema": "https://github.com/dpone/dpone/evidence/index/v2",
  "files": [
    {
      "path": "a",
      "size": 0,
      "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      "media_type": "application/octet-stream",
      "role": "artifact"
    }
  ]
}
`
	return strings.Replace(one, old, now, 1)
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	path := func(p string) string {
		quoted, err := json.Marshal(p)
		assert.NilError(t, err)
		return text(`"path": "a"`, `"path": `+string(quoted))
	}
	twice := func(a, b string) string {
		entry := func(p string) string {
			return fmt.Sprintf(`{"path":%q,"size":0,"sha256":%q,"media_type":"application/octet-stream","role":"artifact"}`, p, strings.Repeat("0", 64))
		}
		return `{"schema":"` + seal.Schema + `","files":[` + entry(a) + "," + entry(b) + "]}"
	}
	for name, test := range map[string]struct{ raw, want string }{
		"empty":              {"", "index.json empty_evidence"},
		"no JSON":            {"x", "index.json schema"},
		"null":               {"null", "index.json schema"},
		"an array":           {"[]", "index.json schema"},
		"cut off":            {text("\n}\n", ""), "index.json schema"},
		"trailing data":      {text("\n}\n", "\n}\n{}"), "index.json schema"},
		"trailing space":     {text("\n}\n", "\n}\n "), "index.json schema"},
		"no final newline":   {text("\n}\n", "\n}"), "index.json schema"},
		"other white space":  {text("  \"files\"", "   \"files\""), "index.json schema"},
		"escaped":            {text(`"a"`, `"\u0061"`), "index.json schema"},
		"unknown schema":     {text("index/v2", "index/v3"), "index.json schema"},
		"no schema":          {`{"files": []}`, "index.json schema"},
		"doubled key":        {text(`"size": 0,`, `"size": 0, "size": 0,`), "index.json json_duplicate_key"},
		"doubled files":      {text(`"files": [`, `"files": [], "files": [`), "index.json json_duplicate_key"},
		"wrong case":         {text(`"path"`, `"Path"`), "index.json json_unknown_key"},
		"unknown key":        {text(`"size": 0,`, `"size": 0, "mode": 7,`), "index.json json_unknown_key"},
		"unknown key on top": {text(`"files"`, `"x": {"a": [1]}, "files"`), "index.json json_unknown_key"},
		"a run":              {text(`"files"`, `"run": "r", "files"`), "index.json json_unknown_key"},
		"size a string":      {text(`: 0,`, `: "0",`), "index.json schema"},
		"size a fraction":    {text(`: 0,`, `: 0.5,`), "index.json schema"},
		"size an exponent":   {text(`: 0,`, `: 1e3,`), "index.json schema"},
		"size too large":     {text(`: 0,`, `: 9223372036854775808,`), "index.json schema"},
		"size negative":      {text(`: 0,`, `: -1,`), "a schema"},
		"size minus zero":    {text(`: 0,`, `: -0,`), "index.json schema"},
		"path null":          {text(`"a"`, `null`), "index.json schema"},
		"files null":         {`{"schema": "` + seal.Schema + `", "files": null}`, "index.json schema"},
		"upper-case digest":  {text("e3b0", "E3b0"), "a schema"},
		"short digest":       {text("e3b0", ""), "a schema"},
		"wrong role":         {text(`"artifact"`, `"record"`), "a schema"},
		"unknown role":       {text(`"artifact"`, `"x"`), "a schema"},
		"wrong media type":   {text("octet-stream", "json"), "a schema"},
		"the index itself":   {path("index.json"), "index.json schema"},
		"absolute":           {path("/etc/passwd"), "/etc/passwd path_escape"},
		"up":                 {path("../a"), "../a path_escape"},
		"up within":          {path("a/../b"), "a/../b path_escape"},
		"drive":              {path("C:/x"), "C:/x path_escape"},
		"backslash":          {path(`a\b`), `a\b path_escape`},
		"dot":                {path("./a"), "./a unsafe_name"},
		"nothing":            {path(""), " unsafe_name"},
		"empty element":      {path("a//b"), "a//b unsafe_name"},
		"final slash":        {path("a/"), "a/ unsafe_name"},
		"NUL":                {path("a\x00"), "a\x00 unsafe_name"},
		"newline":            {path("a\nb"), "a\nb unsafe_name"},
		"final dot":          {path("a."), "a. unsafe_name"},
		"final space":        {path("a /b"), "a /b unsafe_name"},
		"long element":       {path(strings.Repeat("a", 256)), strings.Repeat("a", 256) + " unsafe_name"},
		"C1 control":         {path("a\u0085"), "a\u0085 unsafe_name"},
		"bidirectional":      {path("a\u202eb"), "a\u202eb unsafe_name"},
		"line separator":     {path("a\u2028b"), "a\u2028b unsafe_name"},
		"doubled entry":      {twice("a", "a"), "a duplicate_entry"},
		"out of order":       {twice("b", "a"), "index.json schema"},
		"case":               {twice("A", "a"), "a name_collision"},
		"case of a folder":   {twice("A/x", "a/y"), "a name_collision"},
		"Kelvin":             {twice("k", "\u212a"), "\u212a name_collision"},
		"long s":             {twice("S", "\u017f"), "\u017f name_collision"},
		"sigma":              {twice("\u03c2", "\u03c3"), "\u03c3 name_collision"},
		"file and folder":    {twice("a", "a/b"), "a name_collision"},
		"case of the index":  {twice("Index.json", "x"), "Index.json name_collision"},
		"too large":          {strings.Repeat(" ", seal.MaxIndex+1), "index.json limit_exceeded"},
		"deep":               {strings.Repeat("[", 1<<20), "index.json schema"},
		"deep and unknown":   {`{"x": ` + strings.Repeat("[", 1<<20), "index.json json_unknown_key"},
		"a flood of entries": {`{"files":[` + strings.Repeat("{},", 1<<18) + "{}]}", "index.json schema"},
		"a flood of keys":    {`{` + strings.Repeat(`"x":0,`, 1<<18) + `"x":0}`, "index.json json_unknown_key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := seal.Decode([]byte(test.raw))
			assert.Check(t, is.Contains(problemsOf(t, err), test.want))
		})
	}
	_, err := seal.Decode([]byte(text("", "")))
	assert.NilError(t, err)
	// Names that are only unusual are kept as they are.
	for _, name := range []string{"ünï", "u\u0308", "日本", "a b", ".hidden", "a<b>", `q"`, "😀", "ſ"} {
		raw, err := seal.Index{Schema: seal.Schema, Files: []seal.File{{
			Path: name, SHA256: strings.Repeat("0", 64), MediaType: seal.MediaType(name), Role: seal.RoleOf(name),
		}}}.Encode()
		assert.NilError(t, err)
		x, err := seal.Decode(raw)
		assert.NilError(t, err, name)
		assert.Equal(t, x.Files[0].Path, name)
	}
}

func TestRolesAndMediaTypes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		role  seal.Role
		media string
	}{
		"record.json":                {seal.RoleRecord, "application/json"},
		"records/ci.json":            {seal.RoleRecord, "application/json"},
		"records/ci.md":              {seal.RoleReport, "text/markdown; charset=utf-8"},
		"junit.xml":                  {seal.RoleReport, "application/xml"},
		"certification_report.json":  {seal.RoleReport, "application/json"},
		"x.sarif":                    {seal.RoleReport, "application/sarif+json"},
		"logs/x":                     {seal.RoleLog, "application/octet-stream"},
		"a/x.log":                    {seal.RoleLog, "text/plain; charset=utf-8"},
		"bundles/ci.sigstore.json":   {seal.RoleBundle, "application/vnd.dev.sigstore.bundle.v0.3+json"},
		"x.intoto.json.sigstore":     {seal.RoleBundle, "application/vnd.dev.sigstore.bundle.v0.3+json"},
		"provenance.intoto.json":     {seal.RoleStatement, "application/vnd.in-toto+json"},
		"x.intoto.jsonl":             {seal.RoleStatement, "application/x-ndjson"},
		"proofs/ci.tlog-proof":       {seal.RoleProof, "text/plain; charset=utf-8"},
		"sbom.cyclonedx.json":        {seal.RoleSBOM, "application/vnd.cyclonedx+json"},
		"sbom.spdx.json":             {seal.RoleSBOM, "application/spdx+json"},
		"bom.json":                   {seal.RoleSBOM, "application/vnd.cyclonedx+json"},
		"decision.json":              {seal.RoleDecision, "application/json"},
		"sub/index.json":             {seal.RoleIndex, "application/json"},
		"SHA256SUMS":                 {seal.RoleChecksums, "application/octet-stream"},
		"log/checkpoint":             {seal.RoleTLog, "application/octet-stream"},
		"log/tile/0/000.p/1":         {seal.RoleTLog, "application/octet-stream"},
		"tile/entries/000":           {seal.RoleTLog, "application/octet-stream"},
		"data.parquet":               {seal.RoleArtifact, "application/vnd.apache.parquet"},
		"prometheus_metrics.prom":    {seal.RoleArtifact, "application/octet-stream"},
		"a.tar":                      {seal.RoleArtifact, "application/x-tar"},
		"a.tar.gz":                   {seal.RoleArtifact, "application/gzip"},
		"a.zip":                      {seal.RoleArtifact, "application/zip"},
		"a.zst":                      {seal.RoleArtifact, "application/zstd"},
		"a.yml":                      {seal.RoleArtifact, "application/yaml"},
		"a.csv":                      {seal.RoleArtifact, "text/csv"},
		"a.html":                     {seal.RoleReport, "text/html; charset=utf-8"},
		"no-extension":               {seal.RoleArtifact, "application/octet-stream"},
		"RECORD.JSON":                {seal.RoleArtifact, "application/octet-stream"},
		"records.json/record.json/x": {seal.RoleArtifact, "application/octet-stream"},
	} {
		assert.Check(t, is.Equal(seal.RoleOf(name), want.role), name)
		assert.Check(t, is.Equal(seal.MediaType(name), want.media), name)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	root, index := sealed(t, map[string]string{"a/b.txt": "b", "record.json": "{}", "empty": ""})
	dst := filepath.Join(t.TempDir(), "staging", "here")
	where, err := seal.Copy(t.Context(), root, dst, seal.Options{IndexSHA256: index.SHA256})
	assert.NilError(t, err)
	assert.Equal(t, where, filepath.Join(dst, index.SHA256))
	assert.NilError(t, seal.Verify(t.Context(), where, seal.Options{IndexSHA256: index.SHA256, RefuseHardLinks: true}).Err())
	// What happens to the original later does not reach the copy.
	put(t, root, "a/b.txt", "changed")
	assert.NilError(t, seal.Verify(t.Context(), where, seal.Options{IndexSHA256: index.SHA256}).Err())

	_, err = seal.Copy(t.Context(), root, dst, seal.Options{})
	assert.DeepEqual(t, problemsOf(t, err), []string{"a/b.txt size_mismatch"})
	put(t, root, "a/b.txt", "c")
	_, err = seal.Copy(t.Context(), root, dst, seal.Options{})
	assert.DeepEqual(t, problemsOf(t, err), []string{"a/b.txt digest_mismatch"})
	put(t, root, "a/b.txt", "b")

	// Again: the same place, verified.
	again, err := seal.Copy(t.Context(), root, dst, seal.Options{})
	assert.NilError(t, err)
	assert.Equal(t, again, where)
	assert.NilError(t, os.Remove(filepath.Join(where, "record.json")))
	_, err = seal.Copy(t.Context(), root, dst, seal.Options{})
	assert.ErrorContains(t, err, "remove it")
	assert.DeepEqual(t, problemsOf(t, err), []string{"record.json missing_artifact"})

	for _, inside := range []string{root, filepath.Join(root, "staging"), filepath.Join(root, "a", "x", "y")} {
		_, err = seal.Copy(t.Context(), root, inside, seal.Options{})
		assert.ErrorContains(t, err, "lies in the directory")
	}
	left, err := os.ReadDir(dst)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1, "nothing half copied stays")
	assert.NilError(t, seal.Verify(t.Context(), root, seal.Options{}).Err(), "nothing was put into the original")
}

// Who looks into files while they are hashed sees what the index says, and
// nothing of a file that is something else.
func TestLook(t *testing.T) {
	t.Parallel()
	root := tree(t, map[string]string{"a.txt": "a", "b.txt": "b", "big.bin": strings.Repeat("x", 300<<10)})
	_, err := seal.Seal(t.Context(), root, seal.Options{})
	assert.NilError(t, err)
	put(t, root, "b.txt", "c")
	var mu sync.Mutex
	seen := map[string]int{}
	asked := 0
	result := seal.Verify(t.Context(), root, seal.Options{Look: func(f seal.File) func([]byte) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if f.Path == "a.txt" {
			return nil
		}
		return func(content []byte) {
			mu.Lock()
			defer mu.Unlock()
			seen[f.Path] = len(content)
		}
	}})
	assert.DeepEqual(t, told(result.Problems), []string{"b.txt digest_mismatch"})
	assert.Equal(t, asked, 3)
	assert.DeepEqual(t, seen, map[string]int{"big.bin": 300 << 10})
}
