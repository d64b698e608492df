package archive

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/lockedfile"
	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/tlog"
)

// remembered is the file that holds the last checkpoint that was seen. It lies
// outside the log, where whoever rewrites the log does not rewrite it too.
func (o Options) remembered() string { return o.Log + ".checkpoint" }

// verifier is the key that the log must be signed with; nil when none is set.
func (o Options) verifier(command string) (note.Verifier, error) {
	text := strings.TrimSpace(o.Getenv(EnvLogVerifier))
	switch {
	case text == "":
		return nil, nil
	case strings.HasPrefix(text, "PRIVATE+"):
		return nil, usage(command, "%s holds a signer key, which is secret: set it to the verifier key, and make a new pair if others could see it", EnvLogVerifier)
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return nil, usage(command, "%s is not a verifier key: %v", EnvLogVerifier, err)
	}
	return v, nil
}

// signer is the key to sign the log with, and its verifier; nil when none is set.
func (o Options) signer(command string) (note.Signer, note.Verifier, error) {
	text := strings.TrimSpace(o.Getenv(EnvLogKey))
	if text == "" {
		return nil, nil, nil
	}
	bad := usage(command, "%s is not a signer key as evidence:keygen writes it", EnvLogKey)
	s, err := note.NewSigner(text)
	if err != nil {
		return nil, nil, bad
	}
	// The signer was made of it, so it is PRIVATE+KEY+<name>+<hash>+<algorithm and seed>.
	raw, err := base64.StdEncoding.DecodeString(strings.SplitN(text, "+", 5)[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, nil, bad
	}
	public, ok := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return nil, nil, bad
	}
	vkey, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return nil, nil, bad
	}
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, nil, bad
	}
	return s, v, nil
}

// logKeys are the signer key of the log and its verifier key; nil where there
// is none.
func (o Options) logKeys(command string) (note.Signer, note.Verifier, error) {
	verifier, err := o.verifier(command)
	if err != nil {
		return nil, nil, err
	}
	signer, own, err := o.signer(command)
	if err != nil || signer == nil {
		return nil, verifier, err
	}
	if verifier != nil && (verifier.Name() != own.Name() || verifier.KeyHash() != own.KeyHash()) {
		return nil, nil, usage(command, "%s and %s are of two keys", EnvLogKey, EnvLogVerifier)
	}
	return signer, own, nil
}

// head reads a checkpoint without judging it; nil when there is none that could be read.
func head(path string) *tlog.Checkpoint {
	raw, err := folder.ReadIn(filepath.Dir(path), filepath.Base(path), tlog.MaxCheckpoint)
	if err != nil {
		return nil
	}
	c, err := tlog.ParseCheckpoint(raw, nil)
	if err != nil {
		return nil
	}
	return &c
}

// options are those of the log as it is: without a key, its own name is taken.
func (o Options) options(verifier note.Verifier) tlog.Options {
	opts := tlog.Options{Origin: DefaultOrigin, Verifier: verifier, Remember: o.remembered()}
	if verifier != nil {
		opts.Origin = verifier.Name()
	} else if c := head(filepath.Join(o.Log, "checkpoint")); c != nil {
		opts.Origin = c.Origin
	}
	return opts
}

// stripped refuses a log that lost its signature: a signed log goes on signed.
func (r *Result) stripped(o Options) bool {
	now, before := head(filepath.Join(o.Log, "checkpoint")), head(o.remembered())
	if now == nil || before == nil || now.Trust != tlog.Unsigned || before.Trust == tlog.Unsigned {
		return false
	}
	r.problem(CodeBadSignature, "", "the log was signed when it was last seen, and is not any more")
	return true
}

// readLog checks the whole log and returns it open, as of the checkpoint that
// was checked. It returns nil when there is a problem or no log. It changes
// nothing, the memory included.
func (r *Result) readLog(ctx context.Context, o Options, verifier note.Verifier) *tlog.Log {
	refuse := func(err error) *tlog.Log {
		r.logError(err)
		r.check("log", evidence.Fail, "%s is not as it was written", o.Log)
		return nil
	}
	before := head(o.remembered())
	if _, err := os.Stat(filepath.Join(o.Log, "checkpoint")); errors.Is(err, fs.ErrNotExist) {
		_, tiles := os.Lstat(filepath.Join(o.Log, "tile"))
		if before != nil && before.Size > 0 || tiles == nil {
			r.problem(CodeTruncated, "", "the checkpoint of the log %s is gone", o.Log)
			r.check("log", evidence.Fail, "it is gone")
			return nil
		}
		r.unverified(CodeUnlogged, "there is no log at %s", o.Log)
		r.check("log", evidence.Unverified, "there is none")
		return nil
	}
	if r.stripped(o) {
		r.check("log", evidence.Fail, "its signature was taken away")
		return nil
	}
	// A writer may come between the two looks; then both are taken again.
	var l *tlog.Log
	var report tlog.Report
	for range 5 {
		opts := o.options(verifier)
		var err error
		report, err = tlog.Fsck(ctx, o.Log, opts)
		if errors.Is(err, tlog.ErrUnsigned) {
			opts.AdoptUnsigned = true // not wrong, and nobody vouches: see trust
			report, err = tlog.Fsck(ctx, o.Log, opts)
		}
		if err != nil {
			return refuse(err)
		}
		opts.Remember = "" // it was held against the memory; a reader does not move it
		if l, err = tlog.Open(o.Log, opts); err != nil {
			return refuse(err)
		}
		if string(l.Checkpoint().Raw) == string(report.Checkpoint.Raw) {
			break
		}
		letGo(l)
		l = nil
	}
	if l == nil {
		r.problem(string(seal.CodeChanged), "", "the log %s changes all the time", o.Log)
		return nil
	}
	c := report.Checkpoint
	r.Log = &Head{Dir: o.Log, Origin: c.Origin, Size: c.Size, Root: c.Root.String(), Trust: c.Trust.String()}
	r.check("log", evidence.Pass, "%s in %s, each hash derived again", entries(c.Size), c.Origin)
	if before == nil {
		r.check("memory", evidence.Skip, "no checkpoint was remembered, so it is not known whether the log was longer before")
	} else {
		r.check("memory", evidence.Pass, "it continues what was seen last, %s", entries(before.Size))
	}
	return l
}

// trust says who vouches for the log; strict takes PASS away when nobody does.
func (r *Result) trust(c tlog.Checkpoint, verifier note.Verifier, strict bool) {
	lacking := func(code, fact string) {
		if !strict {
			r.check("signature", evidence.Skip, "%s", fact)
			return
		}
		r.check("signature", evidence.Unverified, "%s", fact)
		r.unverified(code, "%s", fact)
	}
	switch {
	case c.Trust == tlog.Signed && verifier != nil:
		r.check("signature", evidence.Pass, "by the key %s+%08x", verifier.Name(), verifier.KeyHash())
	case c.Trust == tlog.Unchecked:
		lacking(CodeNoVerifier, "not checked: "+EnvLogVerifier+" is not set")
	default:
		lacking(CodeUnsigned, "the log is unsigned: whoever can write to it can write another one")
	}
}

// each goes through the entries of a log as far as it is checked, and stops
// when it is told to. It says whether all that it saw was in order.
func (r *Result) each(ctx context.Context, l *tlog.Log, see func(p Place, raw []byte) (more bool)) bool {
	for record, err := range l.Entries(0, l.Checkpoint().Size) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			r.logError(err)
			return false
		}
		entry, err := tlog.DecodeEntry(record.Data)
		if err != nil {
			r.problem(CodeEntry, "", "entry %d of the log: %v", record.Index, err)
			return false
		}
		if !see(Place{record.Index, entry}, record.Data) {
			return true
		}
	}
	return true
}

// find looks for the entry of an index. A run that is there with another index
// is a problem: the files and their index were changed together.
func (r *Result) find(ctx context.Context, l *tlog.Log, index, run string) (place *Place, ok bool) {
	var other *Place
	ok = r.each(ctx, l, func(p Place, _ []byte) bool {
		switch {
		case p.IndexSHA256 == index:
			place = &p
		case run != "" && runName(p.Run) == run && other == nil:
			other = &p
		}
		return place == nil
	})
	if ok && place == nil && other != nil {
		r.problem(string(seal.CodeDigestMismatch), seal.IndexJSON, "the log has the run %s with the index sha256:%s at entry %d", other.Run, other.IndexSHA256, other.Number)
		return nil, false
	}
	return place, ok
}

// agrees holds the entry of the log against the record that the folder has.
func (r *Result) agrees(p Place, record *evidence.Record, digest string) bool {
	want := entryOf(record, p.IndexSHA256, digest)
	differ := func(what string, logged, recorded any) {
		r.problem(CodeWrongEntry, "", "entry %d of the log has the %s %v, the record %v", p.Number, what, logged, recorded)
	}
	before := len(r.Problems)
	if runName(p.Run) != want.Run {
		differ("run", runName(p.Run), want.Run)
	}
	if p.RecordSHA256 != want.RecordSHA256 {
		differ("record", p.RecordSHA256, want.RecordSHA256)
	}
	if p.Verdict != want.Verdict {
		differ("verdict", p.Verdict, want.Verdict)
	}
	if p.Commit != want.Commit {
		differ("commit", p.Commit, want.Commit)
	}
	if !p.Time.Equal(want.Time) {
		differ("time", p.Time, want.Time)
	}
	return len(r.Problems) == before
}

// Chain appends the folder Root to the log: its name, the digests of its index
// and its record, the verdict, the commit and the time. The folder is verified
// first. What is in the log already is not appended again.
func Chain(ctx context.Context, o Options) error {
	const command = "evidence:chain"
	o, err := o.prepare(command, "root", o.Root)
	if err != nil {
		return err
	}
	signer, verifier, err := o.logKeys(command)
	if err != nil {
		return err
	}
	if c := head(filepath.Join(o.Log, "checkpoint")); signer == nil && (verifier != nil || c != nil && c.Trust != tlog.Unsigned) {
		return usage(command, "a signed log goes on signed: set %s", EnvLogKey)
	}
	r := newResult(command, o.Root)
	if r.isFolder(o.Root) {
		r.chain(ctx, o, signer, verifier)
	}
	return r.finish(o)
}

// chain returns the record of the folder and its digest, unless the folder is
// not as it was sealed; what came of the log is in the result.
func (r *Result) chain(ctx context.Context, o Options, signer note.Signer, verifier note.Verifier) (*evidence.Record, string) {
	index := r.verifyFiles(ctx, o.Root)
	if index == nil {
		return nil, ""
	}
	record, digest := r.readRecord(o.Root, *index)
	if record != nil {
		r.append(ctx, o, record, digest, signer, verifier)
	}
	return record, digest
}

// append puts a verified folder into the log.
func (r *Result) append(ctx context.Context, o Options, record *evidence.Record, digest string, signer note.Signer, verifier note.Verifier) {
	index := r.index
	entry := entryOf(record, index.SHA256, digest)
	entry.Run = area(o, record) + "/" + entry.Run
	line, err := entry.Encode()
	if err != nil {
		r.problem(CodeEntry, "", "%v", err)
		return
	}
	if err := os.MkdirAll(filepath.Dir(o.Log), 0o755); err != nil {
		r.logError(err)
		return
	}
	// Looking and appending are one, so that two at once do not append the same.
	unlock, err := lockedfile.MutexAt(o.Log + ".lock").Lock()
	if err != nil {
		r.logError(err)
		return
	}
	defer unlock()
	if r.stripped(o) {
		return
	}
	opts := o.options(verifier)
	opts.Signer, opts.AdoptUnsigned, opts.Create = signer, o.Adopt && signer != nil, true
	l, err := tlog.Open(o.Log, opts)
	if errors.Is(err, tlog.ErrUnsigned) {
		err = fmt.Errorf("%w: give -adopt=true to sign all that is in it, or -log=DIR for a new log", err)
	}
	if err != nil {
		r.logError(err)
		return
	}
	defer letGo(l)
	place, ok := r.find(ctx, l, index.SHA256, record.Volatile.Run)
	if !ok || place != nil && !r.agrees(*place, record, digest) {
		return
	}
	if signer != nil && l.Checkpoint().Trust == tlog.Unsigned {
		// The key is about to vouch for all that is there.
		if _, err := tlog.Fsck(ctx, o.Log, opts); err != nil {
			r.logError(err)
			return
		}
	}
	var lines [][]byte
	if place == nil {
		lines = [][]byte{line}
	}
	// With no entry it signs the log, if it is to be signed and is not.
	number, err := l.Append(ctx, lines)
	if err != nil {
		r.logError(err)
		if number < 0 {
			return
		}
	}
	c := l.Checkpoint()
	r.Log = &Head{Dir: o.Log, Origin: c.Origin, Size: c.Size, Root: c.Root.String(), Trust: c.Trust.String()}
	if place != nil {
		r.Entry = place
		r.check("log", evidence.Pass, "in %s before as entry %d, and not appended again; it has %s", c.Origin, place.Number, entries(c.Size))
	} else {
		r.Entry = &Place{number, entry}
		r.check("log", evidence.Pass, "appended to %s as entry %d; it has %s now", c.Origin, number, entries(c.Size))
	}
	if signer != nil {
		r.check("signature", evidence.Pass, "by the key %s+%08x", signer.Name(), signer.KeyHash())
		if proof, err := l.WriteProof(r.Entry.Number); err != nil {
			r.logError(err)
		} else {
			r.prove(o.Root, proof, line)
		}
	} else {
		r.check("signature", evidence.Skip, "the log is unsigned: %s is not set", EnvLogKey)
	}
}

// List checks the whole log and lists what is in it.
func List(ctx context.Context, o Options) error {
	const command = "evidence:log"
	o, err := o.prepare(command)
	if err != nil {
		return err
	}
	verifier, err := o.verifier(command)
	if err != nil {
		return err
	}
	r := newResult(command, "")
	if l := r.readLog(ctx, o, verifier); l != nil {
		defer letGo(l)
		list := []Place{}
		r.each(ctx, l, func(p Place, _ []byte) bool {
			list = append(list, p)
			return true
		})
		r.Entries = &list
		// Who set a key asked for the signature.
		r.trust(l.Checkpoint(), verifier, verifier != nil)
	}
	return r.finish(o)
}
