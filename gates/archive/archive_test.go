package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/gatetest"
)

const logName = "example.com/evidence"

// world is an artifacts folder with runs in it, and two key pairs.
type world struct {
	artifacts, log, run      string
	skey, vkey, other, vgone string
	env                      map[string]string
}

// realRun is the folder of a run of a real gate.
func realRun(t *testing.T, artifacts string) string {
	t.Helper()
	root := gatetest.Repository(t, "-- a.txt --\na\n")
	gate := gates.Gate{ID: "x:y", Doc: "All is so.", Runbook: "docs/runbooks.md#x", Area: "x", Steps: []gates.Step{{
		ID: "x:y", Doc: "It is so.", Runbook: "docs/runbooks.md#x",
		Run: func(_ context.Context, p *gates.Pass) error {
			p.Check(evidence.Expect("x.ok", "it", true, "so", "so", ""))
			return nil
		},
	}}}
	return gatetest.Run(t, gate, gates.Options{Root: root, Artifacts: artifacts}).Folder
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{artifacts: t.TempDir(), env: map[string]string{}}
	w.log = filepath.Join(w.artifacts, archive.LogDir)
	w.run = realRun(t, w.artifacts)
	w.skey, w.vkey = keys(t, logName)
	w.other, w.vgone = keys(t, logName)
	return w
}

func keys(t *testing.T, name string) (signer, verifier string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "key")
	var out bytes.Buffer
	assert.NilError(t, archive.Keygen(t.Context(), archive.Options{Name: name, File: file, Stdout: &out, Getenv: os.Getenv}))
	secret := text(t, file)
	assert.Assert(t, !strings.Contains(out.String(), strings.TrimSpace(secret)))
	return secret, strings.TrimSpace(text(t, file+".pub"))
}

func text(t *testing.T, file string) string {
	t.Helper()
	raw, err := os.ReadFile(file)
	assert.NilError(t, err)
	return string(raw)
}

func (w *world) signed() *world {
	w.env[archive.EnvLogKey], w.env[archive.EnvLogVerifier] = w.skey, w.vkey
	return w
}

type command func(context.Context, archive.Options) error

// call runs a command in both forms where that changes nothing, and holds that
// no secret is seen.
func (w *world) call(t *testing.T, c command, change func(*archive.Options)) (archive.Result, string, error) {
	t.Helper()
	o := archive.Options{Root: w.run, Artifacts: w.artifacts, Getenv: func(name string) string { return w.env[name] }}
	if change != nil {
		change(&o)
	}
	var plain, object bytes.Buffer
	o.Stdout, o.Format = &object, "json"
	err := c(t.Context(), o)
	seen := object.String()
	var r archive.Result
	var usage *gates.UsageError
	if errors.As(err, &usage) {
		assert.Equal(t, object.Len(), 0, "misuse prints nothing")
	} else {
		dec := json.NewDecoder(&object)
		assert.NilError(t, dec.Decode(&r))
		assert.Assert(t, !dec.More(), "one object")
	}
	if o.File == "" {
		o.Stdout, o.Format = &plain, ""
		again := c(t.Context(), o)
		assert.Equal(t, again == nil, err == nil, "%v", again)
		seen += plain.String()
		if err == nil || usage == nil {
			assert.Assert(t, strings.Contains(plain.String(), r.Verdict.String()+"  mage evidence:"), plain.String())
		}
		for _, c := range plain.String() {
			assert.Assert(t, c == '\n' || c >= ' ' && c < 0x7f, "%q", plain.String())
		}
	}
	if err != nil {
		seen += err.Error()
	}
	for _, secret := range []string{w.skey, w.other} {
		if secret == "" {
			continue
		}
		seed := strings.SplitN(strings.TrimSpace(secret), "+", 5)[4]
		assert.Assert(t, !strings.Contains(seen, seed) && !strings.Contains(seen, "PRIVATE+KEY"), "a secret is in %s", seen)
	}
	return r, plain.String(), err
}

// want holds the verdict, the exit status and the codes.
func want(t *testing.T, r archive.Result, err error, verdict evidence.Verdict, codes ...string) {
	t.Helper()
	assert.Equal(t, r.Verdict, verdict, "%v %+v", err, r)
	var got []string
	for _, p := range slices.Concat(r.Problems, r.Unverified) {
		got = append(got, p.Code)
	}
	slices.Sort(got)
	slices.Sort(codes)
	assert.DeepEqual(t, slices.Compact(got), codes)
	if verdict == evidence.Pass {
		assert.NilError(t, err)
		return
	}
	// As mage does: the error itself, not one in its chain.
	status, ok := err.(interface{ ExitStatus() int })
	assert.Assert(t, ok, "%v", err)
	assert.Equal(t, status.ExitStatus(), verdict.ExitCode())
	for _, code := range codes {
		assert.ErrorContains(t, err, code)
	}
}

func (w *world) expect(t *testing.T, c command, change func(*archive.Options), verdict evidence.Verdict, codes ...string) archive.Result {
	t.Helper()
	r, _, err := w.call(t, c, change)
	want(t, r, err, verdict, codes...)
	return r
}

func misuse(t *testing.T, err error, contains string) {
	t.Helper()
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
	assert.Equal(t, usage.ExitStatus(), 2)
	assert.ErrorContains(t, err, contains)
}

func TestARealRunGoesThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t).signed()
	index := text(t, filepath.Join(w.run, "index.json"))
	r := w.expect(t, archive.Index, nil, evidence.Pass)
	assert.Equal(t, r.Sealed.Schema, seal.Schema)
	assert.Equal(t, text(t, filepath.Join(w.run, "index.json")), index, "the index of a run stays")

	// The link to the newest run names the same run.
	latest := filepath.Join(w.artifacts, "x", "latest")
	r = w.expect(t, archive.Chain, func(o *archive.Options) { o.Root = latest }, evidence.Pass)
	name := "x/" + filepath.Base(w.run)
	assert.Equal(t, r.Entry.Run, name)
	r = w.expect(t, archive.Chain, nil, evidence.Pass)
	assert.Equal(t, r.Entry.Number, int64(0))
	assert.Equal(t, r.Log.Size, int64(1), "appended once")
	second := realRun(t, w.artifacts)
	r = w.expect(t, archive.Chain, func(o *archive.Options) { o.Root = second }, evidence.Pass)
	assert.Equal(t, r.Entry.Number, int64(1))

	r = w.expect(t, archive.List, nil, evidence.Pass)
	assert.Equal(t, len(*r.Entries), 2)
	assert.Equal(t, (*r.Entries)[0].Run, name)

	file := filepath.Join(t.TempDir(), "run"+tlog.ProofExtension)
	w.expect(t, archive.Prove, func(o *archive.Options) { o.Run, o.File = filepath.Base(w.run), file }, evidence.Pass)
	verifier, err := note.NewVerifier(w.vkey)
	assert.NilError(t, err)
	proof, entry := []byte(text(t, file)), []byte(text(t, file+".entry"))
	p, err := tlog.VerifyProof(proof, entry, verifier)
	assert.NilError(t, err)
	assert.Equal(t, p.Checkpoint.Trust, tlog.Signed)
	decoded, err := tlog.DecodeEntry(entry)
	assert.NilError(t, err)
	assert.Equal(t, decoded.Run, name)
	otherFile := filepath.Join(t.TempDir(), "second")
	w.expect(t, archive.Prove, func(o *archive.Options) { o.Run, o.File = "x/"+filepath.Base(second), otherFile }, evidence.Pass)
	_, err = tlog.VerifyProof(proof, []byte(text(t, otherFile+".entry")), verifier)
	assert.ErrorIs(t, err, tlog.ErrInclusion)

	delete(w.env, archive.EnvLogKey) // who verifies needs no secret
	r = w.expect(t, archive.Verify, nil, evidence.Pass)
	assert.Equal(t, r.Log.Trust, "signed")
	for _, c := range r.Checks {
		assert.Equal(t, c.Verdict, evidence.Pass, "%+v", c)
	}

	// Elsewhere, with nothing but the folder, the log and the key.
	moved := filepath.Join(t.TempDir(), "elsewhere")
	assert.NilError(t, os.CopyFS(filepath.Join(moved, "a b"), os.DirFS(w.run)))
	assert.NilError(t, os.CopyFS(filepath.Join(moved, "log"), os.DirFS(w.log)))
	there := w.expect(t, archive.Verify, func(o *archive.Options) {
		o.Root, o.Log, o.Artifacts = filepath.Join(moved, "a b"), filepath.Join(moved, "log"), moved
	}, evidence.Pass)
	assert.DeepEqual(t, there.Entry, r.Entry)
	_, err = os.Lstat(filepath.Join(moved, "log.checkpoint"))
	assert.Assert(t, errors.Is(err, os.ErrNotExist), "verifying writes nothing")
}

func TestIndex(t *testing.T) {
	t.Parallel()
	w := &world{artifacts: t.TempDir(), run: t.TempDir()}
	w.expect(t, archive.Index, nil, evidence.Fail, "empty_evidence")
	_, err := os.Lstat(filepath.Join(w.run, "index.json"))
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
	gatetest.Write(t, w.run, "-- a.txt --\na\n-- b/c.log --\nc\n")
	r, shown, err := w.call(t, archive.Index, nil)
	want(t, r, err, evidence.Pass)
	assert.Equal(t, r.Sealed.Schema, seal.Schema)
	assert.Equal(t, r.Sealed.Files, 2)
	assert.DeepEqual(t, r.Written, []string{"index.json"})
	assert.Assert(t, strings.Contains(shown, "left as it is"), "the second time: %s", shown)
	index := text(t, filepath.Join(w.run, "index.json"))

	gatetest.Write(t, w.run, "-- a.txt --\nx\n-- new.txt --\nn\n")
	assert.NilError(t, os.Remove(filepath.Join(w.run, "b", "c.log")))
	w.expect(t, archive.Index, nil, evidence.Fail, "digest_mismatch", "unlisted_artifact", "missing_artifact")
	assert.Equal(t, text(t, filepath.Join(w.run, "index.json")), index, "never sealed again")

	linked := t.TempDir()
	assert.NilError(t, os.Symlink("/", filepath.Join(linked, "out")))
	w.expect(t, archive.Index, func(o *archive.Options) { o.Root = linked }, evidence.Fail, "not_regular_file")
	w.expect(t, archive.Index, func(o *archive.Options) { o.Root = linked + "x" }, evidence.Fail, "missing_artifact")
	w.expect(t, archive.Index, func(o *archive.Options) { o.Root = filepath.Join(w.run, "a.txt") }, evidence.Fail, "not_regular_file")
}

// logged is a signed log with two runs.
func logged(t *testing.T) *world {
	t.Helper()
	w := newWorld(t).signed()
	w.expect(t, archive.Chain, nil, evidence.Pass)
	second := realRun(t, w.artifacts)
	w.expect(t, archive.Chain, func(o *archive.Options) { o.Root = second }, evidence.Pass)
	return w
}

func write(t *testing.T, file, content string) {
	t.Helper()
	assert.NilError(t, os.WriteFile(file, []byte(content), 0o644))
}

func flip(t *testing.T, file string) {
	t.Helper()
	raw := []byte(text(t, file))
	raw[len(raw)/2] ^= 1
	write(t, file, string(raw))
}

func TestVerifyIsNotGreen(t *testing.T) {
	t.Parallel()
	one := logged(t)
	type change = func(t *testing.T, w *world)
	for name, c := range map[string]struct {
		change  change
		verdict evidence.Verdict
		codes   []string
	}{
		"a flipped byte":   {func(t *testing.T, w *world) { flip(t, filepath.Join(w.run, "record.md")) }, evidence.Fail, []string{"digest_mismatch"}},
		"a flipped record": {func(t *testing.T, w *world) { flip(t, filepath.Join(w.run, "record.json")) }, evidence.Fail, []string{"digest_mismatch"}},
		"a file less":      {func(t *testing.T, w *world) { assert.NilError(t, os.Remove(filepath.Join(w.run, "junit.xml"))) }, evidence.Fail, []string{"missing_artifact"}},
		"a file more":      {func(t *testing.T, w *world) { write(t, filepath.Join(w.run, "x"), "x") }, evidence.Fail, []string{"unlisted_artifact"}},
		"a hostile name":   {func(t *testing.T, w *world) { write(t, filepath.Join(w.run, "x\x1b[2J\n::error"), "x") }, evidence.Fail, []string{"unsafe_name"}},
		"no index":         {func(t *testing.T, w *world) { assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json"))) }, evidence.Fail, []string{"missing_artifact"}},
		"no folder":        {func(t *testing.T, w *world) { assert.NilError(t, os.RemoveAll(w.run)) }, evidence.Fail, []string{"missing_artifact"}},
		"two things wrong": {func(t *testing.T, w *world) {
			write(t, filepath.Join(w.run, "x"), "x")
			flip(t, filepath.Join(w.log, "tile", "0", "000.p", "2"))
		}, evidence.Fail, []string{"unlisted_artifact", "log_corrupt"}},
		"sealed again": {func(t *testing.T, w *world) {
			write(t, filepath.Join(w.run, "record.md"), "all is well")
			assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json")))
			w.expect(t, archive.Index, nil, evidence.Pass)
		}, evidence.Fail, []string{"digest_mismatch", "inclusion"}},
		"no record": {func(t *testing.T, w *world) {
			assert.NilError(t, os.Remove(filepath.Join(w.run, "record.json")))
			assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json")))
			w.expect(t, archive.Index, nil, evidence.Pass)
		}, evidence.Fail, []string{"missing_artifact", "unlogged"}},
		"a record that says PASS": {func(t *testing.T, w *world) {
			file := filepath.Join(w.run, "record.json")
			write(t, file, strings.Replace(text(t, file), `"observed": "so"`, `"observed": "no"`, 1))
			assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json")))
			w.expect(t, archive.Index, nil, evidence.Pass)
		}, evidence.Fail, []string{"bad_record", "unlogged"}},
		"an entry that says something else": {func(t *testing.T, w *world) {
			assert.NilError(t, os.RemoveAll(w.log))
			assert.NilError(t, os.Remove(w.log+".checkpoint"))
			entry := *w.expect(t, archive.Chain, nil, evidence.Pass).Entry
			entry.Verdict, entry.Commit = evidence.Fail, strings.Repeat("a", 40)
			line, err := entry.Encode()
			assert.NilError(t, err)
			w.rewrite(t, line)
		}, evidence.Fail, []string{"wrong_entry"}},
		"an entry that is none": {func(t *testing.T, w *world) { w.rewrite(t, []byte("hello")) }, evidence.Fail, []string{"bad_entry"}},
		"another log": {func(t *testing.T, w *world) {
			w.rewrite(t, []byte("hello"), []byte("world"), []byte("!"))
			write(t, w.log+".checkpoint", w.env["seen"])
		}, evidence.Fail, []string{"log_forked"}},
		"a log of another name": {func(t *testing.T, w *world) {
			skey, vkey := keys(t, "example.com/other")
			w.env = map[string]string{archive.EnvLogKey: skey}
			assert.NilError(t, os.RemoveAll(w.log))
			assert.NilError(t, os.Remove(w.log+".checkpoint"))
			w.expect(t, archive.Chain, nil, evidence.Pass)
			write(t, w.log+".checkpoint", one.seen(t))
			w.env = map[string]string{archive.EnvLogVerifier: vkey}
		}, evidence.Fail, []string{"log_origin"}},
		"a truncated log":   {func(t *testing.T, w *world) { assert.NilError(t, os.RemoveAll(filepath.Join(w.log, "tile"))) }, evidence.Fail, []string{"log_truncated"}},
		"no checkpoint":     {func(t *testing.T, w *world) { assert.NilError(t, os.Remove(filepath.Join(w.log, "checkpoint"))) }, evidence.Fail, []string{"log_truncated"}},
		"the log is gone":   {func(t *testing.T, w *world) { assert.NilError(t, os.RemoveAll(w.log)) }, evidence.Fail, []string{"log_truncated"}},
		"a file in the log": {func(t *testing.T, w *world) { write(t, filepath.Join(w.log, "x"), "x") }, evidence.Fail, []string{"log_unexpected_file"}},
		"a bad checkpoint":  {func(t *testing.T, w *world) { write(t, filepath.Join(w.log, "checkpoint"), "x\n") }, evidence.Fail, []string{"log_malformed"}},
		"a log rolled back": {func(t *testing.T, w *world) {
			seen := one.seen(t)
			assert.NilError(t, os.RemoveAll(w.log))
			assert.NilError(t, os.Remove(w.log+".checkpoint"))
			w.expect(t, archive.Chain, nil, evidence.Pass)
			write(t, w.log+".checkpoint", seen)
		}, evidence.Fail, []string{"log_rollback"}},
		"the wrong key": {func(_ *testing.T, w *world) { w.env = map[string]string{archive.EnvLogVerifier: w.vgone} }, evidence.Fail, []string{"bad_signature"}},
		"a changed signature": {func(t *testing.T, w *world) {
			file := filepath.Join(w.log, "checkpoint")
			raw := []byte(text(t, file))
			// Another digit of base64: other bytes, in the right form.
			if at := &raw[len(raw)-8]; *at == 'A' {
				*at = 'B'
			} else {
				*at = 'A'
			}
			write(t, file, string(raw))
		}, evidence.Fail, []string{"bad_signature"}},
		"a signature that is no base64": {func(t *testing.T, w *world) {
			file := filepath.Join(w.log, "checkpoint")
			raw := []byte(text(t, file))
			raw[len(raw)-8] = '{'
			write(t, file, string(raw))
		}, evidence.Fail, []string{"log_malformed"}},
		"the signature taken away": {func(t *testing.T, w *world) { w.strip(t) }, evidence.Fail, []string{"bad_signature"}},
		"the signature taken away, without memory": {func(t *testing.T, w *world) {
			w.strip(t)
			assert.NilError(t, os.Remove(w.log+".checkpoint"))
		}, evidence.Unverified, []string{"unsigned"}},
		"no key": {func(_ *testing.T, w *world) { w.env = map[string]string{} }, evidence.Unverified, []string{"no_verifier"}},
		"no log at all": {func(t *testing.T, w *world) {
			assert.NilError(t, os.RemoveAll(w.log))
			assert.NilError(t, os.Remove(w.log+".checkpoint"))
		}, evidence.Unverified, []string{"unlogged"}},
		"not in the log": {func(t *testing.T, w *world) { w.run = realRun(t, w.artifacts) }, evidence.Unverified, []string{"unlogged"}},
		"without memory": {func(t *testing.T, w *world) { assert.NilError(t, os.Remove(w.log+".checkpoint")) }, evidence.Pass, nil},
		"as it was":      {func(*testing.T, *world) {}, evidence.Pass, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := one.copy(t)
			c.change(t, w)
			w.expect(t, archive.Verify, nil, c.verdict, c.codes...)
		})
	}
}

func (w *world) seen(t *testing.T) string { return text(t, w.log+".checkpoint") }

// copy is the same at another place.
func (w *world) copy(t *testing.T) *world {
	t.Helper()
	dst := t.TempDir()
	c := *w
	// Not the link to the newest run, which CopyFS may not take.
	for _, dir := range []string{w.run, w.log} {
		rel, err := filepath.Rel(w.artifacts, dir)
		assert.NilError(t, err)
		assert.NilError(t, os.CopyFS(filepath.Join(dst, rel), os.DirFS(dir)))
	}
	rel, err := filepath.Rel(w.artifacts, w.run)
	assert.NilError(t, err)
	c.artifacts, c.log, c.run = dst, filepath.Join(dst, archive.LogDir), filepath.Join(dst, rel)
	write(t, c.log+".checkpoint", w.seen(t))
	c.env = map[string]string{"seen": w.seen(t)}
	return c.signed()
}

// rewrite makes another log with the right key, as if nothing was remembered.
func (w *world) rewrite(t *testing.T, lines ...[]byte) {
	t.Helper()
	assert.NilError(t, os.RemoveAll(w.log))
	assert.NilError(t, os.Remove(w.log+".checkpoint"))
	signer, err := note.NewSigner(strings.TrimSpace(w.skey))
	assert.NilError(t, err)
	verifier, err := note.NewVerifier(w.vkey)
	assert.NilError(t, err)
	l, err := tlog.Open(w.log, tlog.Options{Origin: logName, Signer: signer, Verifier: verifier, Create: true})
	assert.NilError(t, err)
	_, err = l.Append(t.Context(), lines)
	assert.NilError(t, err)
	assert.NilError(t, l.Close())
}

func (w *world) strip(t *testing.T) {
	t.Helper()
	file := filepath.Join(w.log, "checkpoint")
	body, _, ok := strings.Cut(text(t, file), "\n\n")
	assert.Assert(t, ok)
	write(t, file, body+"\n")
}

func TestUnsigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, shown, err := w.call(t, archive.Chain, nil)
	want(t, r, err, evidence.Pass)
	assert.Equal(t, r.Log.Trust, "unsigned")
	assert.Equal(t, r.Log.Origin, archive.DefaultOrigin)
	assert.Assert(t, strings.Contains(shown, "unsigned: DPONE_LOG_KEY is not set"), shown)
	w.expect(t, archive.Verify, nil, evidence.Unverified, "unsigned")
	w.expect(t, archive.List, nil, evidence.Pass)

	// A key comes to the log: only when asked for, and only one of its name.
	w.env[archive.EnvLogKey] = w.skey
	w.expect(t, archive.Chain, func(o *archive.Options) { o.Adopt = true }, evidence.Fail, "log_origin")
	w.skey, w.vkey = keys(t, archive.DefaultOrigin)
	w.signed()
	w.expect(t, archive.Chain, nil, evidence.Fail, "unsigned")
	w.expect(t, archive.List, nil, evidence.Unverified, "unsigned")
	write(t, filepath.Join(w.log, "x"), "x")
	w.expect(t, archive.Chain, func(o *archive.Options) { o.Adopt = true }, evidence.Fail, "log_unexpected_file")
	assert.NilError(t, os.Remove(filepath.Join(w.log, "x")))
	r = w.expect(t, archive.Chain, func(o *archive.Options) { o.Adopt = true }, evidence.Pass)
	assert.Equal(t, r.Log.Size, int64(1))
	w.expect(t, archive.Verify, nil, evidence.Pass)

	// From then on it goes on signed.
	delete(w.env, archive.EnvLogKey)
	_, _, err = w.call(t, archive.Chain, nil)
	misuse(t, err, "goes on signed")
	w.env = map[string]string{}
	_, _, err = w.call(t, archive.Chain, nil)
	misuse(t, err, "goes on signed")
	w.signed().strip(t)
	w.expect(t, archive.Chain, func(o *archive.Options) { o.Adopt = true }, evidence.Fail, "bad_signature")
}

func TestChainRefuses(t *testing.T) {
	t.Parallel()
	one := logged(t)
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world)
		codes  []string
	}{
		"a flipped byte": {func(t *testing.T, w *world) { flip(t, filepath.Join(w.run, "record.md")) }, []string{"digest_mismatch"}},
		"no index":       {func(t *testing.T, w *world) { assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json"))) }, []string{"missing_artifact"}},
		"no record": {func(t *testing.T, w *world) {
			w.run = t.TempDir()
			write(t, filepath.Join(w.run, "a.txt"), "a")
			w.expect(t, archive.Index, nil, evidence.Pass)
		}, []string{"missing_artifact"}},
		"a run that is there with other files": {func(t *testing.T, w *world) {
			write(t, filepath.Join(w.run, "record.md"), "all is well")
			assert.NilError(t, os.Remove(filepath.Join(w.run, "index.json")))
			w.expect(t, archive.Index, nil, evidence.Pass)
		}, []string{"digest_mismatch"}},
		"a log without its tiles": {func(t *testing.T, w *world) { assert.NilError(t, os.RemoveAll(filepath.Join(w.log, "tile"))) }, []string{"log_truncated"}},
		"a log that is gone":      {func(t *testing.T, w *world) { assert.NilError(t, os.RemoveAll(w.log)) }, []string{"log_truncated"}},
		"a log of another key": {func(_ *testing.T, w *world) {
			w.env[archive.EnvLogKey], w.env[archive.EnvLogVerifier] = w.other, ""
		}, []string{"bad_signature"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := one.copy(t)
			c.change(t, w)
			w.expect(t, archive.Chain, nil, evidence.Fail, c.codes...)
		})
	}
}

// Two at once append one entry.
func TestChainAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t).signed()
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			o := archive.Options{Root: w.run, Artifacts: w.artifacts, Stdout: &bytes.Buffer{}, Getenv: func(name string) string { return w.env[name] }}
			assert.Check(t, archive.Chain(t.Context(), o))
		})
	}
	group.Wait()
	r := w.expect(t, archive.List, nil, evidence.Pass)
	assert.Equal(t, len(*r.Entries), 1)
}

func TestLogAndProveAreNotGreen(t *testing.T) {
	t.Parallel()
	w := logged(t)
	dir := t.TempDir()
	proof := func(name, run string) func(*archive.Options) {
		return func(o *archive.Options) { o.Run, o.File = run, filepath.Join(dir, name) }
	}
	w.expect(t, archive.Prove, proof("a", "no-such-run"), evidence.Unverified, "unlogged")
	run := filepath.Base(w.run)
	_, _, err := w.call(t, archive.Prove, func(o *archive.Options) { o.Run, o.File = run, filepath.Join(w.log, "p") })
	misuse(t, err, "lies in the log")
	write(t, filepath.Join(dir, "taken.entry"), "mine")
	_, _, err = w.call(t, archive.Prove, proof("taken", run))
	misuse(t, err, "is not written over")
	assert.Equal(t, text(t, filepath.Join(dir, "taken.entry")), "mine")
	w.env[archive.EnvLogVerifier] = w.vgone
	w.expect(t, archive.Prove, proof("b", run), evidence.Fail, "bad_signature")
	w.expect(t, archive.List, nil, evidence.Fail, "bad_signature")
	w.env = map[string]string{}
	w.expect(t, archive.List, nil, evidence.Pass)
	flip(t, filepath.Join(w.log, "tile", "entries", "000.p", "2"))
	r, _, err := w.call(t, archive.List, nil)
	assert.Equal(t, r.Verdict, evidence.Fail, "%v", err)
	r, _, err = w.call(t, archive.Prove, proof("c", run))
	assert.Equal(t, r.Verdict, evidence.Fail, "%v", err)
	left, err := os.ReadDir(dir)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 1, "nothing but what was there: %v", left)
	w.expect(t, archive.List, func(o *archive.Options) { o.Log = dir }, evidence.Unverified, "unlogged")
}

func TestKeygen(t *testing.T) {
	t.Parallel()
	w := &world{artifacts: t.TempDir()}
	file := filepath.Join(t.TempDir(), "key")
	r, _, err := w.call(t, archive.Keygen, func(o *archive.Options) { o.Name, o.File = logName, file })
	want(t, r, err, evidence.Pass)
	info, err := os.Stat(file)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	assert.Equal(t, text(t, file+".pub"), r.Verifier+"\n")
	secret := text(t, file)
	_, _, err = w.call(t, archive.Keygen, func(o *archive.Options) { o.Name, o.File = logName, file })
	misuse(t, err, "is not written over")
	assert.Equal(t, text(t, file), secret)
	for _, bad := range []string{"a b", "a+b", "a\nb", "a\x00", "", "a\u202eb", strings.Repeat("a", 2000)} {
		_, _, err = w.call(t, archive.Keygen, func(o *archive.Options) { o.Name, o.File = bad, file+"2" })
		misuse(t, err, "-name")
	}
	// No folder to write to: an error, and not a success without a key.
	err = archive.Keygen(t.Context(), archive.Options{Name: logName, File: filepath.Join(file+"dir", "x"), Stdout: &bytes.Buffer{}, Getenv: os.Getenv})
	assert.ErrorContains(t, err, "no such file")
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, c := range map[string]struct {
		command  command
		change   func(o *archive.Options)
		env      map[string]string
		contains string
	}{
		"index without root":     {archive.Index, func(o *archive.Options) { o.Root = "" }, nil, "-root is missing"},
		"chain without root":     {archive.Chain, func(o *archive.Options) { o.Root = "" }, nil, "-root is missing"},
		"verify without root":    {archive.Verify, func(o *archive.Options) { o.Root = "" }, nil, "-root is missing"},
		"prove without run":      {archive.Prove, func(o *archive.Options) { o.File = "x" }, nil, "-run is missing"},
		"prove without out":      {archive.Prove, func(o *archive.Options) { o.Run = "x" }, nil, "-out is missing"},
		"keygen without out":     {archive.Keygen, func(o *archive.Options) { o.Name = "x" }, nil, "-out is missing"},
		"a verifier that is not": {archive.Verify, nil, map[string]string{archive.EnvLogVerifier: "x"}, "is not a verifier key"},
		"a secret as verifier":   {archive.Verify, nil, map[string]string{archive.EnvLogVerifier: w.skey}, "which is secret"},
		"a key that is not":      {archive.Chain, nil, map[string]string{archive.EnvLogKey: strings.TrimSpace(w.skey) + "x"}, "is not a signer key"},
		"a verifier as key":      {archive.Chain, nil, map[string]string{archive.EnvLogKey: w.vkey}, "is not a signer key"},
		"two keys":               {archive.Chain, nil, map[string]string{archive.EnvLogKey: w.skey, archive.EnvLogVerifier: w.vgone}, "two keys"},
		"a verifier alone":       {archive.Chain, nil, map[string]string{archive.EnvLogVerifier: w.vkey}, "set DPONE_LOG_KEY"},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := *w
			c2.env = c.env
			_, _, err := c2.call(t, c.command, c.change)
			misuse(t, err, c.contains)
		})
	}
	err := archive.Verify(t.Context(), archive.Options{Root: w.run, Format: "yaml", Stdout: &bytes.Buffer{}, Getenv: os.Getenv})
	misuse(t, err, "write text or json")
	_, err = os.Lstat(w.log)
	assert.Assert(t, errors.Is(err, os.ErrNotExist), "misuse changes nothing")
}

// A check that was stopped refutes nothing and shows nothing.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	w := logged(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []command{archive.Verify, archive.Index, archive.List, archive.Chain} {
		var out bytes.Buffer
		err := c(ctx, archive.Options{Root: w.run, Artifacts: w.artifacts, Stdout: &out, Getenv: func(name string) string { return w.env[name] }})
		var red *archive.NotGreenError
		assert.Assert(t, errors.As(err, &red), "%v", err)
		assert.Equal(t, red.ExitStatus(), 3, "%s", out.String())
	}
}

// TestEveryCodeIsInTheRunbook holds that all that the commands can say is explained.
func TestEveryCodeIsInTheRunbook(t *testing.T) {
	t.Parallel()
	_, section, ok := strings.Cut(text(t, "../../docs/runbooks.md"), "\n## evidence\n")
	assert.Assert(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")
	codes := regexp.MustCompile(`(?m)^\tCode\w+ +(?:Code +)?= "([a-z_]+)"`)
	n := 0
	for _, file := range []string{"result.go", "../../evidence/seal/problem.go"} {
		for _, m := range codes.FindAllStringSubmatch(text(t, file), -1) {
			n++
			assert.Check(t, strings.Contains(section, "`"+m[1]+"`"), m[1])
		}
	}
	assert.Assert(t, n > 30, n)
}
