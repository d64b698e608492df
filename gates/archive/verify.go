package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify"
)

// Trust is what evidence is held against, besides the log and its key.
type Trust struct {
	// Policy is the file of the trust policy, PolicySHA256 the digest that it must have.
	Policy, PolicySHA256 string
	// Commit and Run are what the evidence must be about; Run is the ID of a
	// run of CI, with "/" and the attempt or without. Version is that of a release.
	Commit, Run, Version string
	// Require are gates that must be shown besides those of the policy.
	Require []string
	// Certificates checks what was signed with a certificate; nil where nothing can.
	Certificates sign.CertificateVerifier
	// Environ is the environment, whose secrets must not be in the evidence.
	Environ []string
	// Now is the time to compare with; the present if zero.
	Now time.Time
}

// Verify checks evidence from its bytes, offline. Without a policy, the folder
// Root of one run is held against its index, its record, its attestations and
// the log. With a policy, or when Root is a directory with many folders, package
// verify holds all of it against the policy. All problems are found in one
// pass. Where the evidence lies does not matter.
func Verify(ctx context.Context, o Options) error {
	const command = "evidence:verify"
	o, err := o.prepare(command, "root", o.Root)
	if err != nil {
		return err
	}
	verifier, err := o.verifier(command)
	if err != nil {
		return err
	}
	if !o.single() {
		return o.verifyAll(ctx, command, verifier)
	}
	r := newResult(command, o.Root)
	if r.isFolder(o.Root) {
		r.verify(ctx, o, verifier)
	}
	return r.finish(o)
}

func (r *Result) verify(ctx context.Context, o Options, verifier note.Verifier) {
	index := r.verifyFiles(ctx, o.Root)
	var record *evidence.Record
	var digest string
	if index != nil {
		record, digest = r.readRecord(o.Root, *index)
		if record != nil {
			r.attestations(ctx, o.Root)
		}
	} else {
		r.check("record", evidence.Unverified, "not looked at, because the files are not what was sealed")
	}
	l := r.readLog(ctx, o, verifier)
	if l == nil {
		r.check("entry", evidence.Unverified, "not shown: no log that could hold it")
		return
	}
	defer letGo(l)
	r.entry(ctx, l, record, digest)
	r.trust(l.Checkpoint(), verifier, true)
}

// attestations holds what speaks about the index against the index and the
// record. Who signed it is for a policy; the key of the log is held against
// the log itself.
func (r *Result) attestations(ctx context.Context, dir string) {
	problems := verify.Attestations(ctx, dir, *r.index)
	for _, p := range problems {
		r.Problems = append(r.Problems, Problem{Code: string(p.Code), Path: p.Path, Detail: p.Detail})
	}
	if len(problems) > 0 {
		r.check("statements", evidence.Fail, "%s with what speaks about the index", count(len(problems), "problem"))
	}
}

// entry holds the index against the log, as far as there is one.
func (r *Result) entry(ctx context.Context, l *tlog.Log, record *evidence.Record, digest string) {
	if r.Sealed == nil {
		r.check("entry", evidence.Unverified, "not looked for, because there is no index")
		return
	}
	run := ""
	if record != nil {
		run = record.Volatile.Run
	}
	place, ok := r.find(ctx, l, r.Sealed.SHA256, run)
	switch {
	case !ok:
		r.check("entry", evidence.Fail, "the log does not have this index")
	case place == nil:
		r.check("entry", evidence.Unverified, "the log does not have this index, so it may have been made at any time by anybody")
		r.unverified(CodeUnlogged, "the log has no entry with the index sha256:%s; mage evidence:chain -root=DIR appends it", r.Sealed.SHA256)
	case record == nil:
		r.Entry = place
		r.check("entry", evidence.Pass, "entry %d of the log has this index; the files are not those of it", place.Number)
	case !r.agrees(*place, record, digest):
		r.Entry = place
		r.check("entry", evidence.Fail, "entry %d of the log has this index and says something else than the record", place.Number)
	default:
		r.Entry = place
		r.check("entry", evidence.Pass, "entry %d of the log, %s", place.Number, place.Run)
	}
}

// Prove writes the proof that the log has the entry of Run to File, and the
// entry itself, byte for byte, to File.entry. With both, and the verifier key
// where the log is signed, [tlog.VerifyProof] needs nothing else.
func Prove(ctx context.Context, o Options) error {
	const command = "evidence:prove"
	o, err := o.prepare(command, "run", o.Run, "out", o.File)
	if err != nil {
		return err
	}
	verifier, err := o.verifier(command)
	if err != nil {
		return err
	}
	if inside(o.Log, o.File) {
		return usage(command, "-out=%s lies in the log, which holds nothing but itself", o.File)
	}
	files := []newFile{{o.File + ".entry", nil, 0o644}, {o.File, nil, 0o644}}
	if err := free(command, files); err != nil {
		return err
	}
	r := newResult(command, "")
	l := r.readLog(ctx, o, verifier)
	if l == nil {
		return r.finish(o)
	}
	defer letGo(l)
	r.trust(l.Checkpoint(), verifier, verifier != nil)
	var found []Place
	r.each(ctx, l, func(p Place, raw []byte) bool {
		if p.Run == o.Run || runName(p.Run) == o.Run {
			found = append(found, p)
			files[0].content = append([]byte{}, raw...)
		}
		return true
	})
	switch {
	case len(r.Problems) > 0:
		return r.finish(o)
	case len(found) == 0:
		r.unverified(CodeUnlogged, "the log has no entry of the run %s", o.Run)
		return r.finish(o)
	case len(found) > 1:
		return usage(command, "-run=%s: the log has it more than once, as %s at entry %d and %s at entry %d", o.Run, found[0].Run, found[0].Number, found[1].Run, found[1].Number)
	case len(r.Unverified) > 0:
		return r.finish(o)
	}
	proof, err := l.WriteProof(found[0].Number)
	if err == nil {
		_, err = tlog.VerifyProof(proof, files[0].content, verifier)
	}
	if err != nil {
		r.logError(err)
		return r.finish(o)
	}
	files[1].content = proof
	if err := writeNew(command, files); err != nil {
		return err
	}
	r.Entry = &found[0]
	r.Written = []string{files[1].path, files[0].path}
	r.check("proof", evidence.Pass, "entry %d of %d, %s, in %s; the entry in %s", found[0].Number, r.Log.Size, found[0].Run, files[1].path, files[0].path)
	return r.finish(o)
}

// newFile is a file that must not be there yet.
type newFile struct {
	path    string
	content []byte
	mode    os.FileMode
}

// free refuses to write over what is there.
func free(command string, files []newFile) error {
	for _, f := range files {
		switch _, err := os.Lstat(f.path); {
		case err == nil:
			return usage(command, "%s is there already and is not written over", f.path)
		case !errors.Is(err, fs.ErrNotExist):
			return usage(command, "%v", err)
		}
	}
	return nil
}

// writeNew writes all files or none, each whole. The last one counts: it is
// there only when the others are.
func writeNew(command string, files []newFile) error {
	for i, f := range files {
		if err := f.write(); err != nil {
			for _, done := range files[:i] {
				// The first error is the one to tell.
				_ = os.Remove(done.path)
			}
			if errors.Is(err, fs.ErrExist) {
				return usage(command, "%s is there already and is not written over", f.path)
			}
			return fmt.Errorf("%s: write %s: %w", command, f.path, err)
		}
	}
	return nil
}

func (f newFile) write() (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(f.path), ".tmp-") // mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(tmp.Name())) }()
	defer tmp.Close()
	if _, err := tmp.Write(f.content); err != nil {
		return err
	}
	if err := tmp.Chmod(f.mode); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	// A rename would write over a file that came meanwhile; a link does not.
	return os.Link(tmp.Name(), f.path)
}

// inside says whether a file lies in a folder, through links.
func inside(dir, file string) bool {
	folder, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false // not there, so nothing is in it
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return false // not there, so nothing is written
	}
	folder, errA := filepath.Abs(folder)
	parent, errB := filepath.Abs(parent)
	rel, err := filepath.Rel(folder, parent)
	return errA == nil && errB == nil && err == nil && filepath.IsLocal(rel)
}
