package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/evidence/verify/reader"
)

// Options say what to hold the evidence against. The zero value vouches for
// nothing: without a policy the best verdict is UNVERIFIED.
type Options struct {
	// Policy is the trust policy, or nil for none.
	Policy *policy.Policy
	// Ask is what the caller says the evidence must be about.
	Ask policy.Ask
	// Require are gates that must be shown besides those of the policy.
	Require []string
	// Now is the time to compare with; mandatory.
	Now time.Time
	// LogVerifier is the key of the log where no policy says it.
	LogVerifier note.Verifier
	// Log is the folder of the log when it lies elsewhere; otherwise each log
	// below the root is taken.
	Log string
	// Memory is the file with the last checkpoint that was seen; the log's
	// path with ".checkpoint" behind it, if empty and there.
	Memory string
	// MAC is the caller's local key, for a policy that accepts it.
	MAC []byte
	// Certificates checks bundles that were signed with a certificate; nil
	// where that cannot be done.
	Certificates sign.CertificateVerifier
	// Redactor knows the secrets of the surroundings; nil for shapes only.
	Redactor *redact.Redactor
	// Workers is how many files are read at once; 0 means GOMAXPROCS.
	Workers int
}

// Limits of what is looked at, beyond those of package seal; a policy can lower them.
const (
	maxFolders = 10_000
	maxLoose   = 50_000
	maxDepth   = 64
	// maxScan bounds the files that are searched for secrets, in bytes; maxScanArtifact
	// those among them that are artifacts, which hold a key only when they are one.
	maxScan         = 4 << 20
	maxScanArtifact = 64 << 10
)

// Verify holds the directory root against the options; see the package
// comment. It reads and writes nothing else. It always returns a report: what
// went wrong is in it.
func Verify(ctx context.Context, root string, opts Options) Report {
	p := newPass(ctx, root, opts)
	p.run()
	p.report.finish()
	return p.report
}

func newPass(ctx context.Context, root string, opts Options) *pass {
	if opts.Log != "" {
		opts.Log = absolute(opts.Log)
	}
	p := &pass{
		ctx: ctx, root: absolute(root), opts: opts, policy: opts.Policy, now: opts.Now.UTC(), redactor: opts.Redactor, workers: opts.Workers,
		byDir: map[string]*sealed{}, known: map[string][]string{}, signed: map[string]bool{},
	}
	p.report = Report{
		Schema: ReportSchema, EvaluatedAt: p.now,
		Gates: []Gate{}, Folders: []Folder{}, Statements: []Statement{}, Artifacts: []Artifact{}, Logs: []Log{},
	}
	if p.redactor == nil {
		p.redactor = redact.New(nil)
	}
	if p.workers <= 0 {
		p.workers = runtime.GOMAXPROCS(0)
	}
	return p
}

// Attestations holds what speaks about the index of a run folder against the
// index and the record, without a policy: each bundle and each pending
// statement must be one that follows from them, a proof must be about them, and
// nothing else may be there. No signature is checked. The caller has verified
// the files against the index.
func Attestations(ctx context.Context, dir string, index seal.Index) []Problem {
	p := newPass(ctx, dir, Options{})
	f := &sealed{dir: ".", index: index, whole: true}
	run, err := reader.Reopen(dir, index)
	defer letGo(run)
	if err != nil {
		p.readError(folder.RecordJSON, "", err)
	} else {
		f.record, f.gate = run.Record, run.Record.Stable.Gate.ID
		p.readAttestations(f, run)
	}
	p.report.finish()
	return p.report.Problems
}

// pass is one verification.
type pass struct {
	ctx      context.Context
	root     string
	opts     Options
	policy   *policy.Policy
	target   policy.Target
	now      time.Time
	trust    sign.Trust
	redactor *redact.Redactor
	workers  int

	found   found
	folders []*sealed
	byDir   map[string]*sealed
	loose   []*loose
	// known are the paths of a digest; signed the digests of the statements that
	// bundles have.
	known  map[string][]string
	signed map[string]bool

	mu     sync.Mutex // guards what follows while workers run
	report Report
	claims []claim
	spoken []spoken
	files  int
	bytes  int64
}

func (p *pass) run() {
	if p.now.IsZero() {
		p.fail(Code(sign.NoTime), "", "", "no time to compare with was given")
		return
	}
	if err := p.opts.Ask.Check(); err != nil {
		p.refuse("", "", err)
		return
	}
	for _, gate := range p.opts.Require {
		if !policy.IsGate(gate) {
			p.fail(Code(strict.Schema), "", "", "%s, which is required, is not the name of a gate such as ci:test", strict.Quote(gate))
			return
		}
	}
	var refused []*strict.Error
	p.target, refused = p.policy.Resolve(p.opts.Ask)
	p.report.Target = p.target
	for _, r := range refused {
		p.refuse("", "", r)
	}
	if p.policy == nil {
		p.unverified(CodeNoPolicy, "", "", "no policy says whose word counts")
	} else {
		p.report.Policy = &PolicyUsed{Name: p.policy.Name, Use: p.policy.Use, SHA256: p.policy.SHA256}
		var err error
		if p.trust, err = p.policy.Trust(p.opts.MAC); err != nil {
			p.refuse("", "", err)
			return
		}
	}
	p.look()
	p.report.Files, p.report.Bytes = p.files, p.bytes
	if err := p.ctx.Err(); err != nil {
		p.unverified(Code(seal.CodeInterrupted), "", "", "%v", err)
	}
}

// look does the work, step by step. A check that is stopped refutes nothing
// but what it saw: what is not there was perhaps not reached.
func (p *pass) look() {
	if !p.discover() {
		return
	}
	for _, step := range []func(){p.readFolders, p.readLoose, p.readLogs, p.judgeStatements, p.judgeClaims, p.judgeGates} {
		if p.ctx.Err() != nil {
			return
		}
		step()
	}
}

// add notes a problem. Details name no place outside of the evidence, so that
// the report is the same wherever it lies.
func (p *pass) add(verdict evidence.Verdict, problem Problem) {
	problem.Detail = p.local(problem.Detail)
	p.mu.Lock()
	defer p.mu.Unlock()
	if verdict == evidence.Fail && problem.Code != Code(seal.CodeInterrupted) {
		p.report.Problems = append(p.report.Problems, problem)
	} else {
		p.report.Unverified = append(p.report.Unverified, problem)
	}
}

func (p *pass) fail(code Code, path, gate, format string, args ...any) {
	p.add(evidence.Fail, Problem{Code: code, Path: path, Gate: gate, Detail: fmt.Sprintf(format, args...)})
}

func (p *pass) unverified(code Code, path, gate, format string, args ...any) {
	p.add(evidence.Unverified, Problem{Code: code, Path: path, Gate: gate, Detail: fmt.Sprintf(format, args...)})
}

func (p *pass) note(path, gate, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.Notes = append(p.report.Notes, Note{path, gate, p.local(fmt.Sprintf(format, args...))})
}

// refuse notes an error with a reason; one without is of the system.
func (p *pass) refuse(path, gate string, err error) {
	var refusal *strict.Error
	if !errors.As(err, &refusal) {
		p.fail(Code(seal.CodeUnreadable), path, gate, "%s", reasonOf(err))
		return
	}
	detail := refusal.Detail
	if refusal.Field != "" {
		detail = refusal.Field + ": " + detail
	}
	p.add(ReasonOf(Code(refusal.Reason)).Verdict, Problem{Code: Code(refusal.Reason), Path: path, Gate: gate, Detail: detail})
}

// sealProblems notes what package seal found in a folder.
func (p *pass) sealProblems(dir, gate string, problems []seal.Problem) {
	for _, s := range problems {
		p.fail(Code(s.Code), path.Join(dir, s.Path), gate, "%s", s.Detail)
	}
}

// reasonOf is the text of an error without the path, which differs from
// machine to machine.
func reasonOf(err error) string {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// local takes the place of the evidence out of a text. The places are absolute,
// so that no other part of a text is like them.
func (p *pass) local(detail string) string {
	for _, place := range []struct{ dir, name string }{{p.opts.Log, "the log"}, {p.root, "."}} {
		if len(place.dir) > 1 {
			detail = strings.ReplaceAll(detail, place.dir, place.name)
		}
	}
	return strings.ReplaceAll(detail, "\n", "; ")
}

// absolute is a path from the top, or the path itself where the system does
// not say where that is.
func absolute(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	return abs
}

// each calls work for each of n, on so many workers.
func (p *pass) each(workers, n int, work func(i int)) {
	var group sync.WaitGroup
	jobs := make(chan int)
	for range min(n, workers) {
		group.Go(func() {
			for i := range jobs {
				if p.ctx.Err() == nil {
					work(i)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	group.Wait()
}

// count adds to what was hashed.
func (p *pass) count(files int, size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.files += files
	p.bytes += size
}

// know remembers where a digest was found.
func (p *pass) know(digest, where string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[digest] = append(p.known[digest], where)
}

// required are the gates that must be shown, sorted.
func (p *pass) required() []string {
	list := slices.Clone(p.opts.Require)
	if p.policy != nil {
		list = append(list, p.policy.RequiredGates...)
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// exists says whether a file is there, link or not.
func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}
