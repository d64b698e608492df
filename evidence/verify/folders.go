package verify

import (
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/evidence/verify/reader"
)

// sealed is a sealed folder and what was shown of it.
type sealed struct {
	dir   string
	index seal.Index
	whole bool
	// record is nil when there is none, or none to believe. gate is what the
	// record is of, also when the files are not all as they were sealed.
	record *evidence.Record
	gate   string
	// signer vouches for the gate statement; nil when nobody was shown to.
	signer *vouched
	// pending says that the gate statement is written down, refused that a
	// bundle of it is there and was refused.
	pending, refused bool
	// logged says that the log, or a proof, has the index; trusted that the
	// checkpoint is signed by the key that is asked for.
	logged, trusted bool
}

// vouched is who stands for a statement.
type vouched struct{ name, class string }

func (p *pass) sealOptions() seal.Options {
	o := seal.Options{Outside: attest.Outside(), Workers: p.workers}
	if p.policy != nil {
		o.RefuseEmptyArtifacts = p.policy.RefuseEmptyArtifacts
		o.RefuseHardLinks = p.policy.Use == policy.Release
		if l := p.policy.Limits.Files; l > 0 {
			o.MaxFiles = min(l, seal.DefaultMaxFiles)
		}
		if l := p.policy.Limits.Bytes; l > 0 {
			o.MaxBytes = min(l, seal.DefaultMaxBytes)
		}
	}
	return o
}

// readFolders verifies all sealed folders. A few large ones and many small
// ones both keep all workers busy.
func (p *pass) readFolders() {
	seen := map[string]bool{}
	for queue := p.found.folders; len(queue) > 0; {
		batch := make([]*sealed, len(queue))
		opts := p.sealOptions()
		opts.Workers = max(1, p.workers/len(queue))
		p.each(p.workers, len(queue), func(i int) {
			batch[i] = p.readFolder(queue[i], opts)
		})
		queue = nil
		for _, f := range batch {
			if f == nil {
				continue // interrupted
			}
			p.folders = append(p.folders, f)
			// A sealed folder in a sealed folder is evidence of its own, too.
			for _, file := range f.index.Files {
				inner := path.Join(f.dir, path.Dir(file.Path))
				// The index of the outermost names all that are inside.
				if f.whole && file.Role == seal.RoleIndex && path.Base(file.Path) == seal.IndexJSON && !seen[inner] {
					seen[inner] = true
					queue = append(queue, inner)
				}
			}
		}
		if limit, _ := p.limits(); len(p.folders)+len(queue) > limit {
			p.fail(Code(seal.CodeLimit), "", "", "more than %d sealed folders", limit)
			break
		}
	}
	slices.SortFunc(p.folders, func(a, b *sealed) int { return strings.Compare(a.dir, b.dir) })
	for _, f := range p.folders {
		p.byDir[f.dir] = f
		for _, file := range f.index.Files {
			if f.whole {
				p.know(file.SHA256, path.Join(f.dir, file.Path))
			}
		}
		if f.index.SHA256 != "" {
			p.know(f.index.SHA256, path.Join(f.dir, seal.IndexJSON))
		}
	}
}

func (p *pass) readFolder(dir string, opts seal.Options) *sealed {
	f := &sealed{dir: dir}
	found := &findings{pass: p, dir: dir}
	opts.Look = found.look
	run, err := reader.Open(p.ctx, p.under(dir), reader.Options{Seal: opts, NoRecord: true})
	defer letGo(run)
	f.index = run.Index
	p.count(run.Files, run.Bytes)
	f.record, f.whole = run.Record, err == nil
	if f.record != nil {
		f.gate = f.record.Stable.Gate.ID
	}
	if err != nil {
		// Whose evidence is broken is told, if the record itself is as sealed. It
		// is believed for nothing else.
		again, unread := reader.Reopen(p.under(dir), run.Index)
		if unread == nil {
			f.gate = again.Record.Stable.Gate.ID
		}
		defer letGo(again)
		var bad *seal.Error
		if errors.As(err, &bad) {
			p.sealProblems(clean(dir), f.gate, bad.Problems)
			if err = bad.Cause; err != nil || len(bad.Problems) == 0 {
				p.fail(Code(seal.CodeUnreadable), clean(dir), f.gate, "%v", err)
			}
		}
	}
	found.tell(f.gate)
	if f.whole {
		p.takeListed(f, run)
		p.readAttestations(f, run)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Folders = append(p.report.Folders, Folder{
		Path: dir, SHA256: f.index.SHA256, Files: run.Files, Bytes: run.Bytes, Whole: f.whole, Gate: f.gate,
	})
	return f
}

// takeListed takes the statements, bundles and checksums that a folder holds
// as its own files, as those of a release do.
func (p *pass) takeListed(f *sealed, run *reader.Run) {
	for _, file := range f.index.Files {
		limit := int64(0)
		switch file.Role {
		case seal.RoleBundle:
			limit = sign.MaxBundle
		case seal.RoleStatement:
			limit = statement.MaxBytes
		case seal.RoleChecksums:
			limit = maxSums
		default:
			continue
		}
		if strings.HasSuffix(file.Path, ".jsonl") {
			continue // lines of envelopes for other tools; the bundles are beside it
		}
		name := path.Join(f.dir, file.Path)
		raw, err := run.ReadFile(file.Path, limit)
		if err != nil {
			p.readError(name, f.gate, err)
			continue
		}
		p.take(spoken{path: name, role: file.Role, raw: raw, in: f})
	}
}

// readError notes why a file could not be read back.
func (p *pass) readError(name, gate string, err error) {
	var bad *seal.Error
	switch {
	case errors.As(err, &bad) && len(bad.Problems) > 0:
		p.fail(Code(bad.Problems[0].Code), name, gate, "%s", bad.Problems[0].Detail)
	case errors.Is(err, folder.ErrTooLarge):
		p.fail(Code(seal.CodeLimit), name, gate, "%s", reasonOf(err))
	default:
		p.fail(Code(seal.CodeUnreadable), name, gate, "%s", reasonOf(err))
	}
}

// readAttestations verifies what speaks about the index of a run folder.
func (p *pass) readAttestations(f *sealed, run *reader.Run) {
	place := path.Join(f.dir, attest.Dir)
	kept, err := attest.Read(p.under(f.dir))
	if err != nil {
		p.readError(place, f.gate, err)
		f.refused = true
		return
	}
	for _, name := range kept.Foreign {
		p.fail(Code(sign.Unexpected), path.Join(place, name), f.gate, "neither a bundle nor a statement nor a proof, by its name")
	}
	if f.record == nil {
		for _, k := range slices.Concat(kept.Bundles, kept.Pending) {
			p.fail(CodeWrongStatement, path.Join(place, k.Name), f.gate, "the folder has no record that a statement could follow from")
		}
	} else {
		p.readOwn(f, run, kept, place)
	}
	if len(kept.Proof.Raw)+len(kept.Entry.Raw) > 0 || kept.Proof.Name+kept.Entry.Name != "" {
		p.readProof(f, kept, place)
	}
}

// readOwn holds the bundles and the pending statements of a run folder against
// those that follow from its record and index.
func (p *pass) readOwn(f *sealed, run *reader.Run, kept attest.Contents, place string) {
	derived, err := attest.Statements(f.record, run.RecordSHA256, f.index)
	if err != nil {
		p.fail(CodeWrongStatement, place, f.gate, "no statement follows from the record: %v", err)
		return
	}
	wanted := map[string]int{}
	for i, raw := range derived {
		wanted[attest.Digest(raw)] = i
	}
	const gateStatement = 0 // the first is about the gate
	for _, k := range kept.Bundles {
		name := path.Join(place, k.Name)
		opened := p.openBundle(name, f.gate, k.Raw, claimOf(f.record))
		if opened.payload == nil {
			f.refused = true
			continue
		}
		digest := attest.Digest(opened.payload)
		ok := opened.ok
		if digest != k.Digest {
			p.fail(Code(seal.CodeDigestMismatch), name, f.gate, "the bundle is of the statement sha256:%s, its name says another", digest)
			ok = false
		}
		i, follows := wanted[digest]
		if !follows {
			p.misstated(f, name, opened.payload)
			ok = false
		}
		if ok && opened.signer != nil && !opened.signer.MayVouch(f.gate) {
			p.fail(CodeNotAllowed, name, f.gate, "the signer %q may not vouch for the gate", opened.by.name)
			ok = false
		}
		// What was made elsewhere and brought to a workflow is not of that workflow.
		if ok && opened.signer != nil && opened.signer.Identity != nil && opened.signer.Identity.Workflow != "" && f.record.Volatile.CI.RunID == "" {
			p.fail(Code(policy.WrongRun), name, f.gate, "signed by a run of CI, and the record is of none")
			ok = false
		}
		p.state(name, opened, ok)
		switch {
		case !ok, opened.by == nil && p.policy != nil:
			f.refused = true // which is told already
		case i == gateStatement && opened.by != nil && f.signer == nil:
			f.signer = opened.by
		}
	}
	for _, k := range kept.Pending {
		name := path.Join(place, k.Name)
		digest := attest.Digest(k.Raw)
		i, follows := wanted[digest]
		switch {
		case len(k.Raw) == 0:
			p.fail(Code(seal.CodeEmpty), name, f.gate, "a statement without bytes")
		case digest != k.Digest:
			p.fail(Code(seal.CodeDigestMismatch), name, f.gate, "the statement is not the one that was written")
		case !follows:
			p.misstated(f, name, k.Raw)
		case i == gateStatement:
			f.pending = true
		}
	}
}

// misstated says in which way a statement does not follow from the folder.
func (p *pass) misstated(f *sealed, name string, payload []byte) {
	s, err := statement.Decode(payload, statement.AnyPredicateType())
	if err != nil {
		p.refuse(name, f.gate, err)
		return
	}
	for _, subject := range s.Subject {
		if digest := subject.Digest["sha256"]; subject.Name == seal.IndexJSON && digest != f.index.SHA256 {
			p.fail(Code(seal.CodeDigestMismatch), name, f.gate, "the statement is about the index sha256:%s, this one is sha256:%s", digest, f.index.SHA256)
			return
		}
	}
	p.fail(CodeWrongStatement, name, f.gate, "the statement is not what follows from the record and the index")
}

// readProof verifies the proof that a log has the index.
func (p *pass) readProof(f *sealed, kept attest.Contents, place string) {
	name := path.Join(place, attest.ProofName)
	if kept.Proof.Name == "" || kept.Entry.Name == "" {
		p.fail(CodeInclusion, name, f.gate, "proof and entry go together, and one of them is not there")
		return
	}
	entry, err := tlog.DecodeEntry(kept.Entry.Raw)
	if err != nil {
		p.fail(CodeEntry, path.Join(place, attest.EntryName), f.gate, "%v", err)
		return
	}
	inclusion, err := tlog.VerifyProof(kept.Proof.Raw, kept.Entry.Raw, p.logVerifier())
	switch {
	case errors.Is(err, tlog.ErrInclusion):
		p.fail(CodeInclusion, name, f.gate, "%v", err)
	case err != nil:
		p.logError(name, f.gate, err)
	case entry.IndexSHA256 != f.index.SHA256:
		p.fail(CodeInclusion, name, f.gate, "the proof is about the index sha256:%s, this one is sha256:%s", entry.IndexSHA256, f.index.SHA256)
	case f.record != nil && !p.agrees(f, entry, name):
	default:
		f.logged = true
		f.trusted = f.trusted || inclusion.Checkpoint.Trust == tlog.Signed
	}
}

// findings are what was found in the files of a folder while they were hashed.
type findings struct {
	pass *pass
	dir  string

	mu       sync.Mutex
	problems []Problem
	skipped  int
}

// look takes each file that is small enough.
func (f *findings) look(file seal.File) func([]byte) {
	artifact := file.Role == seal.RoleArtifact
	if file.Size > scanLimit(artifact) {
		if !artifact {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.skipped++
		}
		return nil
	}
	return func(content []byte) {
		if problems := f.pass.judgeContent(path.Join(f.dir, file.Path), content); len(problems) > 0 {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.problems = append(f.problems, problems...)
		}
	}
}

// tell notes what was found, once it is known whose it is.
func (f *findings) tell(gate string) {
	for _, problem := range f.problems {
		problem.Gate = gate
		f.pass.add(evidence.Fail, problem)
	}
	if f.skipped > 0 {
		f.pass.note(clean(f.dir), gate, "%d files of more than %d bytes were not searched for secrets", f.skipped, maxScan)
	}
}

func scanLimit(artifact bool) int64 {
	if artifact {
		return maxScanArtifact
	}
	return maxScan
}

// isEnd says that a listing simply ended.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// letGo closes what was only read.
func letGo(c io.Closer) { c.Close() }
