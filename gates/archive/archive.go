// Package archive holds the commands that look after evidence that is there:
// they seal a folder, put it into the log, prove that it is there, and check
// it. To look at evidence makes none: the commands write no record.
//
// Each command prints a [Result], as text or as one object of JSON, and returns
// nil for PASS, a [*NotGreenError] for FAIL and UNVERIFIED, and a
// [*gates.UsageError] when it was asked for something that it cannot do, in
// which case nothing was changed. None of them needs a network. Secrets come
// from the environment alone, and no output and no error repeats one.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify/reader"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/source"
)

// Environment variables that the commands read through [Options].Getenv.
const (
	EnvLogKey      = "DPONE_LOG_KEY"      // signer key of the log, a secret
	EnvLogVerifier = "DPONE_LOG_VERIFIER" // verifier key of the log
)

const (
	// LogDir is the folder of the log, beside the areas.
	LogDir = "evidence_log"
	// DefaultOrigin is the name of a log without a key; with one, it is that of the key.
	DefaultOrigin = "github.com/dpone/dpone/evidence"
)

// Options are what the commands are asked. Each says which it needs.
type Options struct {
	// Root is the folder of evidence.
	Root string
	// Log is the folder of the log; [LogDir] in Artifacts if empty.
	Log string
	// Artifacts is where run folders go; test_artifacts in the source tree
	// around the working directory if empty.
	Artifacts string
	// Run is the name of a run, with its area or without.
	Run string
	// File takes what is written.
	File string
	// Kind is that of a key to make: [KeyKindLog], which is also meant by "", or a
	// [sign.KeyType].
	Kind string
	// Name is that of the key of a log, and of the log.
	Name string
	// Adopt allows to sign a log that was unsigned so far.
	Adopt bool
	// Format is "text", which is also meant by "", or "json".
	Format string
	// Trust is what [Verify] holds evidence against.
	Trust  Trust
	Stdout io.Writer
	// Getenv looks up a variable, as os.Getenv.
	Getenv func(string) string
	// Keyless makes the signer for an identity of the surroundings; nil where
	// there is none.
	Keyless func() (sign.Signer, error)

	anyLog bool // nobody said which log
}

func usage(command, format string, args ...any) error {
	return &gates.UsageError{Problem: command + ": " + fmt.Sprintf(format, args...)}
}

// prepare refuses options that make no sense and fills in the defaults.
// required are pairs of a flag and its value.
func (o Options) prepare(command string, required ...string) (Options, error) {
	for i := 0; i < len(required); i += 2 {
		if required[i+1] == "" {
			return o, usage(command, "-%s is missing", required[i])
		}
	}
	switch o.Format {
	case "", "text", "json":
	default:
		return o, usage(command, "-format=%s: write text or json", o.Format)
	}
	if o.Artifacts == "" {
		wd, err := os.Getwd()
		if err != nil {
			return o, fmt.Errorf("working directory: %w", err)
		}
		o.Artifacts = filepath.Join(source.Root(wd), "test_artifacts")
	}
	if o.Log == "" {
		o.anyLog = true
		o.Log = filepath.Join(o.Artifacts, LogDir)
	}
	o.Log = filepath.Clean(o.Log)
	return o, nil
}

// Index seals the folder Root. One that is sealed already is checked and left
// as it is: sealing again would hide what happened to it since.
func Index(ctx context.Context, o Options) error {
	const command = "evidence:index"
	o, err := o.prepare(command, "root", o.Root)
	if err != nil {
		return err
	}
	r := newResult(command, o.Root)
	if !r.isFolder(o.Root) {
		return r.finish(o)
	}
	if _, err := os.Lstat(filepath.Join(o.Root, seal.IndexJSON)); err == nil {
		if r.verifyFiles(ctx, o.Root) != nil {
			r.check("index", evidence.Pass, "sealed before, and left as it is: sha256:%s", r.Sealed.SHA256)
		} else {
			r.check("index", evidence.Fail, "sealed before, does not agree with the files, and is not sealed again")
		}
		return r.finish(o)
	}
	if !hasFile(o.Root) {
		r.problem(string(seal.CodeEmpty), "", "there is no file to seal")
		return r.finish(o)
	}
	index, err := seal.Seal(ctx, o.Root, seal.Options{Outside: attest.Outside()})
	if err != nil {
		r.sealError(err)
		return r.finish(o)
	}
	r.Written = []string{seal.IndexJSON}
	r.check("index", evidence.Pass, "sealed now: sha256:%s", index.SHA256)
	r.verifyFiles(ctx, o.Root)
	return r.finish(o)
}

func (r *Result) isFolder(root string) bool {
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.problem(string(seal.CodeMissing), "", "there is no folder %s", root)
	case err != nil:
		r.problem(string(seal.CodeUnreadable), "", "%v", err)
	case !info.IsDir():
		r.problem(string(seal.CodeNotRegular), "", "%s is not a folder", root)
	default:
		return true
	}
	return false
}

// hasFile says whether there is anything but directories. What cannot be read
// may be a file: the sealing tells.
func hasFile(root string) bool {
	found := false
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (entry.IsDir() || path == root) {
			return nil
		}
		found = true
		return fs.SkipAll
	})
	return found || err != nil
}

// verifyFiles compares a folder with its index and returns the index when every
// byte agrees; otherwise the problems are noted.
func (r *Result) verifyFiles(ctx context.Context, root string) *seal.Index {
	found := seal.Verify(ctx, root, seal.Options{Outside: attest.Outside()})
	if found.Index.SHA256 != "" {
		r.Sealed = &Sealed{found.Index.Schema, found.Index.SHA256, found.Files, found.Bytes}
	}
	if r.sealProblems(found.Problems) {
		verdict := evidence.Fail
		if len(r.Problems) == 0 {
			verdict = evidence.Unverified // stopped before anything was found
		}
		r.check("files", verdict, "%d of %d files are as index.json says; %s", found.Files, len(found.Index.Files), count(len(found.Problems), "problem"))
		return nil
	}
	r.check("files", evidence.Pass, "%s, %d bytes: each as index.json says, and no other", count(found.Files, "file"), found.Bytes)
	r.index = &found.Index
	return r.index
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func entries(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func letGo(c io.Closer) { c.Close() }

// readRecord reads the record of a folder whose index is known, from the very
// bytes that the index speaks of. It returns nil when there is a problem.
func (r *Result) readRecord(root string, index seal.Index) (*evidence.Record, string) {
	run, err := reader.Reopen(root, index)
	defer letGo(run)
	var bad *seal.Error
	if errors.As(err, &bad) && len(bad.Problems) > 0 {
		p := bad.Problems[0]
		r.problem(string(p.Code), p.Path, "%s", p.Detail)
		fact := "it is not what a run writes"
		switch p.Code {
		case seal.CodeMissing:
			fact = "there is none"
		case seal.CodeDigestMismatch, seal.CodeSizeMismatch:
			fact = "it is not what the index says, so what it says counts for nothing"
		}
		r.check("record", evidence.Fail, "%s", fact)
		return nil, ""
	}
	if err != nil {
		r.problem(string(seal.CodeUnreadable), folder.RecordJSON, "%v", err)
		r.check("record", evidence.Fail, "it cannot be read")
		return nil, ""
	}
	record := run.Record
	about := "no commit"
	if c := record.Stable.Source.Commit; c != "" {
		about = "commit " + short(c)
		if record.Stable.Source.Dirty {
			about += " with changes"
		}
	}
	r.check("record", evidence.Pass, "its stable digest holds; it says that %s is %s, about %s", record.Stable.Gate.ID, record.Verdict, about)
	return record, run.RecordSHA256
}

// entryOf is the entry of a run, but for its area.
func entryOf(record *evidence.Record, index, digest string) tlog.Entry {
	return tlog.Entry{
		Schema: tlog.EntrySchema, Run: record.Volatile.Run, IndexSHA256: index, RecordSHA256: digest,
		Verdict: record.Verdict, Commit: record.Stable.Source.Commit, Time: record.Volatile.Finished.UTC(),
	}
}

// area is where the folder lies among the artifacts. One that lies elsewhere
// has that of the gate's name.
func area(o Options, record *evidence.Record) string {
	real := func(dir string) string {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return dir
		}
		if resolved, err := filepath.EvalSymlinks(abs); err == nil {
			return resolved
		}
		return abs
	}
	rel, err := filepath.Rel(real(o.Artifacts), filepath.Dir(real(o.Root)))
	if err == nil && filepath.IsLocal(rel) && rel != "." {
		return filepath.ToSlash(rel)
	}
	name, _, _ := strings.Cut(record.Stable.Gate.ID, ":")
	return name
}

// runName is the name of a run without its area.
func runName(run string) string { return run[strings.LastIndexByte(run, '/')+1:] }
