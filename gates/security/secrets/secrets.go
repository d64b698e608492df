// Package secrets holds that no secret is in the source: not in the working
// tree, not in the index, not in any file or message of any commit that a ref
// leads to, however long ago it was deleted.
//
// It takes every object out of git, each once, and has gitleaks look at all of
// them: a diff would leave out what a merge brought in, what an attribute
// calls binary, and the lines around a change. A secret itself never leaves
// the step's scratch directory: records, logs and reports hold the rule, the
// place and a digest too short to guess from.
package secrets

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/sarif"
	"github.com/dpone/dpone/gates/tool"
)

const (
	// ID is the name of the gate, of its step and of the mage target.
	ID = "security:secrets"
	// Area is the folder below the artifacts that the runs go to.
	Area = "security"
	// AllowFile is where a project names findings that are no secrets.
	AllowFile = ".ci/secrets-allow.yaml"
	// Report is the name of the artifact, in the folder of the run.
	Report = "secrets.sarif"

	doc     = "No secret is in the working tree, or in anything that a commit, a message or a tag holds."
	runbook = "docs/runbooks.md#security-secrets"
)

// Options are what can be chosen; the zero value suits every project.
type Options struct {
	// Live asks that secrets that were found, and others, be tried out: see [Gate].
	Live bool `json:"live"`
	// Today decides which exceptions have expired; now if zero.
	Today time.Time `json:"-"`
}

//go:embed rules.toml
var rules []byte

// Gate is the gate security:secrets. Every finding is FAIL, whether the secret still
// works or not: it was published. Whether it works is asked only with Live, by
// a trufflehog that is installed, because asking means showing it to its issuer.
func Gate(o Options) gates.Gate {
	return gates.Gate{
		ID: ID, Doc: doc, Runbook: runbook, Area: Area, Options: o,
		Steps: []gates.Step{Step(o)}, Inputs: inputs,
	}
}

var inputs = []string{AllowFile, "magefiles/tools/gitleaks/go.mod", "magefiles/tools/gitleaks/go.sum"}

// Places in the step's scratch directory.
const (
	itemsDir   = "items"
	reportName = "gitleaks.json"
	rulesName  = "rules.toml"
)

// Exit codes that gitleaks is told to use, or has.
const leaksFound = 10

func git(args ...string) proc.Command {
	return proc.Command{
		Name: "git", Args: args,
		// Replaced objects are not those of the commits. A partial clone must not
		// start to download in the middle of a scan.
		Env: []string{"GIT_OPTIONAL_LOCKS=0", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_NO_LAZY_FETCH=1"},
	}
}

// The planned commands by place.
const (
	cmdShallow = iota
	cmdReachable
	cmdOrigins
	cmdObjects
	cmdTree
	cmdScan
	cmdLive
)

// Step is the gate as a step of another one.
func Step(o Options) gates.Step {
	return gates.Step{
		ID: ID, Doc: doc, Runbook: runbook,
		Tools: func(root string) []tool.Tool { return []tool.Tool{pins.Find(root, "gitleaks")} },
		Commands: func(string) ([]proc.Command, error) {
			commands := []proc.Command{
				git("rev-parse", "--is-shallow-repository"),
				git("rev-list", "--objects", "--missing=print", "--all", "--indexed-objects", "HEAD"),
				git("-c", "log.showSignature=false", "log", "--all", "HEAD", "--reverse", "-m", "--root", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-color", "--format=format:%H"),
				git("cat-file", "--batch-all-objects", "--batch", "--unordered", "--buffer"),
				git("ls-files", "-z", "--cached", "--others", "--exclude-standard"),
				{Name: "gitleaks", Dir: "$SCRATCH/" + itemsDir, Args: []string{
					"dir", ".", "--config=$SCRATCH/" + rulesName, "--report-format=json", "--report-path=$SCRATCH/" + reportName,
					fmt.Sprintf("--exit-code=%d", leaksFound), "--log-level=warn", "--no-banner", "--no-color",
					// Exceptions are made in one place, with a reason.
					"--ignore-gitleaks-allow", "--gitleaks-ignore-path=$SCRATCH/none", "--max-archive-depth=3", "--max-decode-depth=5",
				}, Env: []string{"GITLEAKS_CONFIG=", "GITLEAKS_CONFIG_TOML="}},
			}
			if o.Live {
				commands = append(commands, live())
			}
			return commands, nil
		},
		Run: func(ctx context.Context, p *gates.Pass) error { return run(ctx, p, o) },
	}
}

func run(ctx context.Context, p *gates.Pass, o Options) error {
	if o.Today.IsZero() {
		o.Today = time.Now()
	}
	allowed, err := readAllowList(p.Root)
	if err != nil {
		p.Check(evidence.Finding("security.secrets.allow", AllowFile, 0, err.Error(), "mend the file; docs/security.md says what it holds"))
		allowed = allowList{}
	}
	whole, err := history(ctx, p)
	if err != nil {
		return err
	}
	c, err := collect(ctx, p)
	if err != nil {
		return err
	}
	if len(c.missing) > 0 {
		p.Check(evidence.CouldNotTell("security.secrets.history", "objects of the repository", "all objects are here",
			fmt.Sprintf("%d objects are not in this clone, such as %s", len(c.missing), c.missing[0]), "git fetch --refetch, or a full clone"))
		whole = false
	}
	for _, item := range c.tooLarge {
		p.Check(evidence.CouldNotTell("security.secrets.size", item.where(), fmt.Sprintf("at most %d bytes", maxItem), "it is too large to be looked at", "keep such files out of the repository"))
	}
	findings, err := scan(ctx, p, c)
	if err != nil {
		return err
	}
	report(p, c, findings, allowed, whole, o.Today)
	if err := o.checkLive(ctx, p); err != nil {
		return err
	}
	messages := c.count(commitMessage) + c.count(tagMessage)
	p.Fact("%d findings, %d of them allowed; %d blobs, %d messages, %d files", len(findings), allowed.used(), c.count(blob), messages, c.files)
	return nil
}

// history holds that the clone has all of it.
func history(ctx context.Context, p *gates.Pass) (bool, error) {
	result, err := p.Exec(ctx, p.Commands[cmdShallow], proc.Options{Capture: 1 << 10})
	if err != nil {
		return false, err
	}
	const code, subject, want = "security.secrets.history", "history", "all commits are here"
	switch answer := strings.TrimSpace(string(result.Stdout)); answer {
	case "false":
		p.Check(evidence.Expect(code, subject, true, want, want, ""))
		return true, nil
	case "true":
		p.Check(evidence.CouldNotTell(code, subject, want, "the clone is shallow: older commits are not here to be looked at", "git fetch --unshallow; in a workflow, checkout with fetch-depth: 0"))
		return false, nil
	default:
		return false, fmt.Errorf("git rev-parse --is-shallow-repository said %q", answer)
	}
}

// report turns findings into checks and into SARIF.
func report(p *gates.Pass, c *collection, findings []finding, allowed allowList, whole bool, today time.Time) {
	run := sarif.Run{Tool: "gitleaks", Version: p.Version("gitleaks"), URL: "https://github.com/gitleaks/gitleaks", Category: ID}
	seen := map[string]bool{}
	red := 0
	for _, f := range findings {
		if allowed.take(f, today) {
			continue
		}
		red++
		check := evidence.Finding(f.code(), f.path, f.Line, f.String(), "revoke it where it is valid, then take it out; "+AllowFile+" if it never was one")
		check.Subject = f.where()
		if f.code() == codePast {
			// The file of today may not have it, or not there.
			check.Path, check.Line = "", 0
		}
		p.Check(check)
		if !seen[f.Rule] {
			seen[f.Rule] = true
			run.Rules = append(run.Rules, sarif.Rule{ID: f.Rule, Doc: f.Doc})
		}
		out := sarif.Finding{Rule: f.Rule, Level: sarif.Error, Message: f.String(), Path: f.path, Line: f.Line, Fingerprint: f.Rule + ":" + f.Digest, Commit: f.commit}
		if f.path == "" {
			out.Line = 0
		}
		run.Findings = append(run.Findings, out)
	}
	if red == 0 {
		p.Check(evidence.Expect("security.secrets.none", "everything that was looked at", true, "no secrets", "no secrets", ""))
	}
	allowed.check(p, whole, today)
	raw, err := sarif.Marshal(run)
	if err == nil {
		err = p.Folder().WriteFile(Report, raw)
	}
	if err != nil {
		p.Check(evidence.CouldNotTell("security.secrets.report", Report, "written", err.Error(), "see the step's log"))
	}
}

// scan has gitleaks look at what was collected. It plants a token of its own
// first: a scanner that does not find that one has looked at nothing.
func scan(ctx context.Context, p *gates.Pass, c *collection) ([]finding, error) {
	canary, err := c.plant()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.Scratch, rulesName), rules, 0o600); err != nil {
		return nil, err
	}
	p.Progress(0, 0, fmt.Sprintf("%d objects and files", len(c.items)))
	said := &proc.Buffer{Max: 1 << 20}
	_, err = p.Exec(ctx, p.Commands[cmdScan], proc.Options{Output: said})
	code, exited := proc.ExitCode(err)
	if err != nil && (!exited || code != leaksFound) {
		return nil, fmt.Errorf("gitleaks broke: %w", err)
	}
	// It warns of what it could not read and goes on.
	if problem := trouble(said.String()); problem != "" || said.Over {
		p.Check(evidence.CouldNotTell("security.secrets.scan", "gitleaks", "everything is read", "gitleaks left something out: "+problem, "see the step's log"))
	}
	scratch, err := os.OpenRoot(p.Scratch)
	if err != nil {
		return nil, err
	}
	defer scratch.Close()
	raw, err := readReport(scratch)
	if err != nil {
		return nil, err
	}
	leaks, err := decodeReport(raw)
	if err != nil {
		return nil, err
	}
	if (len(leaks) > 0) != (code == leaksFound) {
		return nil, fmt.Errorf("gitleaks contradicts itself: exit code %d with %d findings", code, len(leaks))
	}
	findings, found, err := c.locate(leaks, canary)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errors.New("gitleaks did not find the token that was planted for it, so what it says means nothing")
	}
	return findings, nil
}
