package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/tlog"
)

// logVerifier is the key of the log, by the policy or by the caller.
func (p *pass) logVerifier() note.Verifier {
	if p.policy != nil && p.policy.LogVerifier() != nil {
		return p.policy.LogVerifier()
	}
	return p.opts.LogVerifier
}

// readLogs verifies the logs and looks for the indexes of the folders in them.
func (p *pass) readLogs() {
	if p.opts.Log != "" {
		p.readLog(p.opts.Log, logDir)
	}
	for _, dir := range p.found.logs {
		if p.under(dir) != p.opts.Log {
			p.readLog(p.under(dir), dir)
		}
	}
}

// readLog verifies one log; name is what reports call it.
func (p *pass) readLog(dir, name string) {
	if !exists(filepath.Join(dir, checkpointName)) {
		if exists(dir) || exists(dir+".checkpoint") {
			p.fail(CodeLogTruncated, name, "", "the checkpoint of the log is gone")
		}
		return
	}
	opts := tlog.Options{Verifier: p.logVerifier(), Remember: p.opts.Memory}
	if opts.Remember == "" && exists(dir+".checkpoint") {
		opts.Remember = dir + ".checkpoint"
	}
	switch {
	case opts.Verifier != nil:
		opts.Origin = opts.Verifier.Name()
		p.judgeMemory(opts.Remember, name, opts.Verifier)
	default:
		opts.Origin = originOf(dir)
	}
	report, err := tlog.Fsck(p.ctx, dir, opts)
	if errors.Is(err, tlog.ErrUnsigned) && (p.policy == nil || p.policy.LogVerifier() == nil) {
		opts.AdoptUnsigned = true // not wrong, and nobody vouches
		report, err = tlog.Fsck(p.ctx, dir, opts)
	}
	if err != nil {
		p.logError(name, "", err)
		return
	}
	opts.Remember = "" // it was held against the memory; a reader does not move it
	l, err := tlog.Open(dir, opts)
	if err != nil {
		p.logError(name, "", err)
		return
	}
	defer letGo(l)
	c := l.Checkpoint()
	if string(c.Raw) != string(report.Checkpoint.Raw) {
		p.fail(Code(seal.CodeChanged), name, "", "the log grew while it was read")
		return
	}
	p.report.Logs = append(p.report.Logs, Log{Path: name, Origin: c.Origin, Size: c.Size, Root: c.Root.String(), Trust: c.Trust.String()})
	switch {
	case p.policy != nil && p.policy.Log == nil: // it asks for no log
	case c.Trust == tlog.Unchecked:
		p.unverified(CodeNoVerifier, name, "", "the log is signed, and there is no key to check that with")
	case c.Trust == tlog.Unsigned:
		p.unverified(Code(sign.Unsigned), name, "", "the log is unsigned: whoever can write to it can write another one")
	}
	p.findEntries(l, name, c.Trust == tlog.Signed)
}

// originOf is the name that a log gives itself.
func originOf(dir string) string {
	raw, err := folder.ReadIn(dir, checkpointName, tlog.MaxCheckpoint)
	if err != nil {
		return ""
	}
	c, err := tlog.ParseCheckpoint(raw, nil)
	if err != nil {
		origin, _, _ := strings.Cut(string(raw), "\n")
		return origin // the reading proper says what is wrong
	}
	return c.Origin
}

// judgeMemory holds the last checkpoint that was seen against the key: who can
// write to the evidence may be able to write there, too.
func (p *pass) judgeMemory(memory, name string, verifier note.Verifier) {
	if memory == "" {
		return
	}
	raw, err := folder.ReadIn(filepath.Dir(memory), filepath.Base(memory), tlog.MaxCheckpoint)
	if err != nil {
		return // the log is held against it, and says so
	}
	// One from before the log was signed has no signature.
	if _, err := tlog.ParseCheckpoint(raw, verifier); err != nil && !errors.Is(err, tlog.ErrUnsigned) {
		p.logError(name+".checkpoint", "", err)
	}
}

// maxAbsent bounds the runs that a note names.
const maxAbsent = 10

// findEntries goes through the log once.
func (p *pass) findEntries(l *tlog.Log, name string, signed bool) {
	indexes, runs := map[string]*sealed{}, map[string]*sealed{}
	for _, f := range p.folders {
		if f.index.SHA256 != "" {
			indexes[f.index.SHA256] = f
		}
		if f.record != nil {
			runs[f.record.Volatile.Run] = f
		}
	}
	replaced := map[*sealed]string{}
	absent, names := 0, []string(nil)
	for record, err := range l.Entries(0, l.Checkpoint().Size) {
		if err == nil {
			err = p.ctx.Err()
		}
		if err != nil {
			p.logError(name, "", err)
			return
		}
		entry, err := tlog.DecodeEntry(record.Data)
		if err != nil {
			p.fail(CodeEntry, name, "", "entry %d: %v", record.Index, err)
			continue
		}
		if f := indexes[entry.IndexSHA256]; f != nil {
			if f.record == nil || p.agrees(f, entry, clean(f.dir)) {
				f.logged = true
				f.trusted = f.trusted || signed
			}
			continue
		}
		if f := runs[path.Base(entry.Run)]; f != nil {
			replaced[f] = entry.IndexSHA256
			continue
		}
		if p.target.Commit != "" && entry.Commit == p.target.Commit {
			absent++
			if len(names) < maxAbsent {
				names = append(names, fmt.Sprintf("%s (%s)", entry.Run, entry.Verdict))
			}
		}
	}
	if absent > 0 {
		// Somebody may have left out what does not suit; or nobody asked for it.
		p.note(name, "", "the log has %d more runs of the commit, which are not here: %s", absent, strings.Join(names, ", "))
	}
	for _, f := range p.folders {
		if digest := replaced[f]; digest != "" && !f.logged {
			p.fail(Code(seal.CodeDigestMismatch), path.Join(f.dir, seal.IndexJSON), f.gate, "the log has this run with the index sha256:%s", digest)
		}
	}
}

// agrees holds an entry of the log against the record.
func (p *pass) agrees(f *sealed, entry tlog.Entry, where string) bool {
	record, _ := f.index.Find(folder.RecordJSON)
	ok := true
	differ := func(what string, logged, recorded any) {
		p.fail(CodeWrongEntry, where, f.gate, "the entry has the %s %v, the record %v", what, logged, recorded)
		ok = false
	}
	if run := path.Base(entry.Run); run != f.record.Volatile.Run {
		differ("run", run, f.record.Volatile.Run)
	}
	if entry.RecordSHA256 != record.SHA256 {
		differ("record", entry.RecordSHA256, record.SHA256)
	}
	if entry.Verdict != f.record.Verdict {
		differ("verdict", entry.Verdict, f.record.Verdict)
	}
	if entry.Commit != f.record.Stable.Source.Commit {
		differ("commit", entry.Commit, f.record.Stable.Source.Commit)
	}
	if !entry.Time.Equal(f.record.Volatile.Finished) {
		differ("time", entry.Time, f.record.Volatile.Finished)
	}
	return ok
}

// logError takes over an error of package tlog: a problem for each reason in it.
func (p *pass) logError(name, gate string, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		p.unverified(Code(seal.CodeInterrupted), name, gate, "%v", err)
		return
	}
	var unknown *note.UnverifiedNoteError
	known := false
	for _, reason := range []struct {
		is   error
		code Code
	}{
		{tlog.ErrMalformed, CodeLogMalformed},
		{tlog.ErrOrigin, CodeLogOrigin},
		{tlog.ErrUnsigned, CodeCheckpoint},
		{tlog.ErrBadSignature, Code(sign.BadSignature)},
		{tlog.ErrTruncated, CodeLogTruncated},
		{tlog.ErrRollback, CodeLogRollback},
		{tlog.ErrForked, CodeLogForked},
		{tlog.ErrCorrupt, CodeLogCorrupt},
		{tlog.ErrUnexpected, CodeLogUnexpected},
		{tlog.ErrInclusion, CodeInclusion},
	} {
		if !errors.Is(err, reason.is) {
			continue
		}
		known = true
		code := reason.code
		// Signatures, and none of them of the key of the policy: another wrote the
		// checkpoint.
		switch {
		case p.policy == nil && code == CodeCheckpoint:
			p.unverified(Code(sign.Unsigned), name, gate, "%v", err)
			continue
		case p.policy != nil && code == Code(sign.BadSignature) && errors.As(err, &unknown):
			code = CodeCheckpoint
		}
		p.fail(code, name, gate, "%v", err)
	}
	switch {
	case known:
	case errors.Is(err, fs.ErrNotExist):
		p.fail(CodeLogTruncated, name, gate, "%s", reasonOf(err))
	default:
		p.fail(CodeLogUnread, name, gate, "%s", reasonOf(err))
	}
}

// judgeLogged says what is missing of the log for a gate.
func (p *pass) judgeLogged(f *sealed) {
	switch key := p.logVerifier(); {
	case p.policy != nil && (p.policy.Log == nil || p.policy.Log.Optional), p.policy == nil && key == nil:
		return
	case !f.logged:
		p.unverified(CodeUnlogged, clean(f.dir), f.gate, "neither a log nor a proof has the index sha256:%s", f.index.SHA256)
	case !f.trusted:
		p.unverified(Code(sign.Unsigned), clean(f.dir), f.gate, "the log that has the index is unsigned")
	}
}

// judgeSigned says what is missing of the signature for a gate.
func (p *pass) judgeSigned(f *sealed) {
	switch {
	case f.signer != nil, p.policy == nil, f.refused:
	case f.pending:
		p.unverified(Code(sign.PendingSignature), clean(f.dir), f.gate, "the statement is written down and not signed yet")
	case p.logAlone() && f.logged && f.trusted:
		f.signer = &vouched{p.policy.LogVerifier().Name(), classLogged}
	default:
		p.unverified(Code(sign.Unsigned), clean(f.dir), f.gate, "nobody whom the policy names signed the statement about the gate")
	}
}

// logAlone says that the policy has no signers, and so leaves it to the log.
func (p *pass) logAlone() bool {
	return p.policy != nil && len(p.policy.Signers) == 0 && !p.policy.AcceptMAC
}

// classLogged is what a signed log alone proves of a run.
const classLogged = "LOGGED"
