package verify

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
)

// maxSums is the largest list of checksums, in bytes.
const maxSums = 4 << 20

// loose is a file outside of sealed folders.
type loose struct {
	looseFile
	sha256 string
	// claimed says that somebody who counts speaks of it, said what else does.
	claimed bool
	said    string
}

// spokenOf takes what a claim says of the file.
func (l *loose) spokenOf(c claim, counts bool) {
	switch {
	case c.name != "" && path.Base(c.name) != path.Base(l.path):
		// Two artifacts could change places otherwise.
		l.said = fmt.Sprintf("%s speaks of its bytes as %s", c.from, quoted(c.name))
	case !counts:
		l.said = "only " + c.from + " speaks of it, which nobody signed"
	default:
		l.claimed = true
	}
}

// claim says that there is a file with a digest, and perhaps a name.
type claim struct {
	name, sha256 string
	// from is what says so, dir the folder that names are relative to.
	from, dir string
	// exact asks for the file at that very place, as a list of checksums does.
	exact bool
	// signed says that somebody whom the policy names stands for it; list is the
	// digest of the list of checksums that it is in, for which somebody may.
	signed bool
	list   string
}

// readLoose hashes the files outside of sealed folders and takes those that
// speak about others.
func (p *pass) readLoose() {
	p.loose = make([]*loose, len(p.found.loose))
	root, err := os.OpenRoot(p.root)
	if err != nil {
		p.fail(Code(seal.CodeUnreadable), "", "", "%s", reasonOf(err))
		return
	}
	defer root.Close()
	p.each(p.workers, len(p.found.loose), func(i int) {
		p.loose[i] = p.readLooseFile(root, p.found.loose[i])
	})
	p.loose = slices.DeleteFunc(p.loose, func(l *loose) bool { return l == nil })
	for _, l := range p.loose {
		p.know(l.sha256, l.path)
	}
}

func (p *pass) readLooseFile(root *os.Root, f looseFile) *loose {
	role := seal.RoleOf(f.path)
	limit := scanLimit(role == seal.RoleArtifact)
	switch role {
	case seal.RoleBundle:
		limit = sign.MaxBundle
	case seal.RoleStatement:
		limit = statement.MaxBytes
	case seal.RoleChecksums:
		limit = maxSums
	}
	if f.size > limit {
		switch role {
		case seal.RoleBundle, seal.RoleStatement, seal.RoleChecksums:
			p.fail(Code(seal.CodeLimit), f.path, "", "%d bytes, at most %d", f.size, limit)
		}
		sum, size, err := p.hashLarge(root, f.path)
		if err != nil {
			p.readError(f.path, "", err)
			return nil
		}
		p.count(1, size)
		return &loose{looseFile: looseFile{f.path, size}, sha256: sum}
	}
	raw, err := folder.ReadRegular(root, f.path, limit)
	if err != nil {
		p.readError(f.path, "", err)
		return nil
	}
	sum := sha256.Sum256(raw)
	p.count(1, int64(len(raw)))
	if len(raw) == 0 && (!role.MayBeEmpty() || role == seal.RoleArtifact && p.policy != nil && p.policy.RefuseEmptyArtifacts) {
		p.fail(Code(seal.CodeEmpty), f.path, "", "a file of the role %s has no bytes", role)
	}
	switch role {
	case seal.RoleBundle, seal.RoleStatement, seal.RoleChecksums:
		if !strings.HasSuffix(f.path, ".jsonl") && len(raw) > 0 {
			p.take(spoken{path: f.path, role: role, raw: raw})
		}
	}
	for _, problem := range p.judgeContent(f.path, raw) {
		p.add(evidence.Fail, problem)
	}
	return &loose{looseFile: looseFile{f.path, int64(len(raw))}, sha256: hex.EncodeToString(sum[:])}
}

// hashLarge hashes a file that is not held in memory.
func (p *pass) hashLarge(root *os.Root, name string) (string, int64, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return "", 0, err
	}
	if !before.Mode().IsRegular() {
		return "", 0, errors.New("not a regular file")
	}
	file, err := root.Open(name)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	if now, err := file.Stat(); err != nil || !os.SameFile(before, now) {
		return "", 0, errors.New("was replaced meanwhile")
	}
	hash := sha256.New()
	size, err := io.CopyBuffer(hash, contextReader{p, file}, make([]byte, 256<<10))
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// contextReader ends with the context.
type contextReader struct {
	p    *pass
	from io.Reader
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.p.ctx.Err(); err != nil {
		return 0, err
	}
	return r.from.Read(b)
}

// claim keeps the subjects of a statement that are files.
func (p *pass) claim(s spoken, of *statement.Statement, signed bool) {
	for _, subject := range of.Subject {
		if digest := subject.Digest["sha256"]; digest != "" && subject.Name != statement.DirtySourceName {
			p.claims = append(p.claims, claim{name: subject.Name, sha256: digest, from: s.path, dir: path.Dir(s.path), signed: signed})
		}
	}
}

// judgeSums reads a list of checksums as sha256sum writes it: a digest, two
// spaces or a space and a star, a path relative to the list.
func (p *pass) judgeSums(s spoken) {
	malformed := func(line int, why string) {
		p.fail("schema", s.path, "", "line %d: %s", line, why)
	}
	seen := map[string]bool{}
	sum := sha256.Sum256(s.raw)
	list := hex.EncodeToString(sum[:])
	lines := bytes.Split(s.raw, []byte("\n"))
	if last := len(lines) - 1; len(lines[last]) == 0 {
		lines = lines[:last]
	}
	for i, raw := range lines {
		line := string(raw)
		const digits = 2 * sha256.Size
		if len(line) < digits+3 || !isHex(line[:digits]) || line[digits] != ' ' || line[digits+1] != ' ' && line[digits+1] != '*' {
			malformed(i+1, "not a digest in lower-case hex, two spaces and a path")
			continue
		}
		name := line[digits+2:]
		switch {
		case !safePath(name):
			p.fail(Code(seal.CodePathEscape), s.path, "", "line %d: %q leads elsewhere", i+1, name)
			continue
		case seen[name]:
			p.fail(Code(seal.CodeDuplicate), s.path, "", "line %d: %q is there twice", i+1, name)
			continue
		}
		seen[name] = true
		p.claims = append(p.claims, claim{name: name, sha256: line[:digits], from: s.path, dir: path.Dir(s.path), exact: s.in == nil, list: list})
	}
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return s != ""
}

// judgeClaims holds what is said of files against the files.
func (p *pass) judgeClaims() {
	paths := make(map[string]*loose, len(p.loose))
	for _, l := range p.loose {
		paths[l.path] = l
	}
	vouched := p.vouchedDigests()
	for _, c := range p.claims {
		at := ""
		if safePath(c.name) {
			at = path.Join(c.dir, c.name)
		}
		here, there := paths[at], p.sealedDigest(at)
		has := there
		if here != nil {
			has = here.sha256
		}
		if digest := p.known[c.sha256]; len(digest) > 0 && (!c.exact || has == c.sha256) {
			for _, name := range digest {
				if l := paths[name]; l != nil {
					l.spokenOf(c, p.policy == nil || c.signed || vouched[c.list])
				}
			}
			// Under the name there may still be something else.
			if has == "" || has == c.sha256 {
				continue
			}
		}
		switch {
		case has != "":
			if here != nil {
				here.claimed = true
			}
			p.fail(Code(seal.CodeDigestMismatch), at, "", "sha256 %s, %s says %s", has, c.from, c.sha256)
		case c.exact:
			p.fail(Code(seal.CodeMissing), at, "", "%s lists the file, it is not here", c.from)
		case p.policy != nil && p.policy.Use == policy.Release:
			p.fail(Code(seal.CodeMissing), c.from, "", "the subject %s, sha256 %s, is not here", quoted(c.name), c.sha256)
		default:
			p.unverified(Code(seal.CodeMissing), c.from, "", "the subject %s, sha256 %s, is not here", quoted(c.name), c.sha256)
		}
	}
	for _, l := range p.loose {
		if p.policy != nil && (l.sha256 == p.policy.SHA256 || p.policy.TrustedRoot != nil && l.sha256 == p.policy.TrustedRoot.SHA256) {
			l.claimed = true
		}
		switch seal.RoleOf(l.path) {
		case seal.RoleBundle, seal.RoleStatement, seal.RoleChecksums:
			// They speak for themselves.
			if !strings.HasSuffix(l.path, ".jsonl") {
				l.claimed = true
			}
		}
		if !l.claimed {
			p.unverified(CodeUnclaimed, l.path, "", "%s", cmp.Or(l.said, "no index, statement or list of checksums speaks of it"))
		}
		p.report.Artifacts = append(p.report.Artifacts, Artifact{Path: l.path, Size: l.size, SHA256: l.sha256, Claimed: l.claimed})
	}
	for _, f := range p.folders {
		// Whoever can write can seal: an index alone says nothing of its files.
		if p.policy != nil && f.whole && f.record == nil && !p.vouches(f) && !vouched[f.index.SHA256] {
			p.unverified(CodeUnclaimed, path.Join(f.dir, seal.IndexJSON), "", "the folder has no record, and nobody signed its index")
		}
	}
}

// vouches says whether somebody whom the policy names stands for the files of a folder.
func (p *pass) vouches(f *sealed) bool {
	return f.signer != nil || p.logAlone() && f.logged && f.trusted
}

// vouchedDigests are the files that somebody whom the policy names stands for.
func (p *pass) vouchedDigests() map[string]bool {
	vouched := map[string]bool{}
	for _, c := range p.claims {
		if c.signed {
			vouched[c.sha256] = true
		}
	}
	for _, f := range p.folders {
		if f.whole && p.vouches(f) {
			for _, file := range f.index.Files {
				vouched[file.SHA256] = true
			}
		}
	}
	return vouched
}

// sealedDigest is the digest of a file in a sealed folder, by its path.
func (p *pass) sealedDigest(name string) string {
	if name == "" {
		return ""
	}
	for dir := path.Dir(name); ; dir = path.Dir(dir) {
		if f := p.byDir[dir]; f != nil && f.whole {
			if file, ok := f.index.Find(strings.TrimPrefix(name, strings.TrimPrefix(dir+"/", "./"))); ok {
				return file.SHA256
			}
		}
		if dir == "." {
			return ""
		}
	}
}

func quoted(name string) string {
	const most = 120
	if len(name) > most {
		name = name[:most] + "..."
	}
	return fmt.Sprintf("%+q", name)
}

// judgeDecisions holds each decision against its inputs, as far as they are
// here: GO over a gate that is not green, or over evidence that is refused,
// does not stand.
func (p *pass) judgeDecisions() {
	folders := map[string]*sealed{}
	for _, f := range p.folders {
		folders[f.index.SHA256] = f
		if file, ok := f.index.Find(folder.RecordJSON); ok {
			folders[file.SHA256] = f
		}
	}
	for _, s := range p.spoken {
		d := decisionIn(s)
		if d == nil {
			continue
		}
		if digest := d.Policy.Digest["sha256"]; p.policy != nil && digest != p.policy.SHA256 && len(p.known[digest]) == 0 {
			p.fail(Code(policy.PolicyDigest), s.path, "", "decided with the policy sha256:%s, which is neither this one nor here", digest)
		}
		for _, input := range d.Inputs {
			digest := input.Digest["sha256"]
			f := folders[digest]
			switch {
			case digest == "":
			case f == nil && len(p.known[digest]) == 0:
				p.unverified(Code(seal.CodeMissing), s.path, "", "the input %s, sha256 %s, is not here", quoted(input.Name), digest)
			case f == nil || f.record == nil:
			case (d.Verdict == statement.Go || d.Verdict == statement.GoWithWaivers && !waives(d, f.gate)) && f.record.Verdict.ExitCode() != 0:
				p.fail(CodeDecision, s.path, f.gate, "%s, although the gate is %s in %s", d.Verdict, f.record.Verdict, f.dir)
			}
		}
	}
}

// waives says whether a decision has a waiver for a gate: blockers are named
// "<subject>.<problem>".
func waives(d *statement.Decision, gate string) bool {
	return slices.ContainsFunc(d.Waivers, func(w statement.Waiver) bool {
		return w.Blocker == gate || strings.HasPrefix(w.Blocker, gate+".")
	})
}

// decisionIn is the decision that a bundle or a statement is; nil for any other.
func decisionIn(s spoken) *statement.Decision {
	raw := s.raw
	switch s.role {
	case seal.RoleBundle:
		b, err := sign.DecodeBundle(raw)
		if err != nil {
			return nil
		}
		if raw, err = b.Payload(); err != nil {
			return nil
		}
	case seal.RoleStatement:
	default:
		return nil
	}
	decoded, err := statement.Decode(raw)
	if err != nil {
		return nil
	}
	d, err := statement.As[statement.Decision](decoded)
	if err != nil {
		return nil
	}
	return d
}
