// Package posture holds that the project takes the precautions that the OSSF
// Scorecard can see in the files of a checkout: pinned actions, minimal tokens,
// no dangerous workflows, no binaries, a licence, a way to report.
//
// The other checks ask GitHub; they belong to the workflow, and are SKIP here
// by name, so that nobody takes one list for the other.
package posture

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/policy"
	"github.com/dpone/dpone/gates/security/sarif"
	"github.com/dpone/dpone/gates/tool"
)

const (
	// ID is the name of the gate, of its step and of the mage target.
	ID = "security:scorecard"
	// Area is the folder below the artifacts that the runs go to.
	Area = "security"
	// AcceptFile is where a project accepts less than the full score.
	AcceptFile = ".ci/scorecard-accept.yaml"
	// Report is the name of the artifact, in the folder of the run.
	Report = "scorecard.sarif"

	runbook = "docs/runbooks.md#security-scorecard"
	full    = 10
)

// offline are the checks that need nothing but the files; online those that
// ask GitHub or other services, in scorecard v5.
var (
	offline = []string{
		"Binary-Artifacts", "Dangerous-Workflow", "Dependency-Update-Tool", "License",
		"Pinned-Dependencies", "SAST", "Security-Policy", "Token-Permissions",
	}
	online = []string{
		"Branch-Protection", "CI-Tests", "CII-Best-Practices", "Code-Review", "Contributors",
		"Fuzzing", "Maintained", "Packaging", "Signed-Releases", "Vulnerabilities",
	}
)

// Options are what can be chosen: nothing of weight.
type Options struct {
	// Today decides which exceptions have expired; now if zero.
	Today time.Time `json:"-"`
}

// Gate is the gate security:scorecard.
func Gate(o Options) gates.Gate {
	if o.Today.IsZero() {
		o.Today = time.Now()
	}
	doc := "The checks of the OSSF Scorecard that need no network give their full score, or what is accepted with a reason."
	return gates.Gate{
		ID: ID, Doc: doc, Runbook: runbook, Area: Area, Options: o,
		Inputs: []string{AcceptFile, "magefiles/tools/scorecard/go.mod", "magefiles/tools/scorecard/go.sum"},
		Steps: []gates.Step{{
			ID: ID, Doc: doc, Runbook: runbook,
			Tools: func(root string) []tool.Tool { return []tool.Tool{pins.Find(root, "scorecard")} },
			Commands: func(string) ([]proc.Command, error) {
				return []proc.Command{
					{Name: "git", Args: []string{"ls-files", "-z", "--cached", "--others", "--exclude-standard"}, Env: []string{"GIT_OPTIONAL_LOCKS=0"}},
					{
						Name: "scorecard", Dir: "$SCRATCH",
						Args: []string{"--local=tree", "--format=json", "--show-details", "--output=$SCRATCH/scorecard.json", "--checks=" + strings.Join(offline, ",")},
						// Other modes of the program change the format and the checks.
						Env: []string{"ENABLE_SARIF=", "SCORECARD_EXPERIMENTAL=", "SCORECARD_V6="},
					},
				}, nil
			},
			Run: o.run,
		}},
	}
}

const maxReport = 64 << 20

func (o Options) run(ctx context.Context, p *gates.Pass) error {
	list, err := p.Exec(ctx, p.Commands[0], proc.Options{Stdout: io.Discard, Capture: maxReport})
	if err != nil {
		return err
	}
	// It looks at every file below the folder: what git ignores is no source.
	files, err := snapshot(p.Root, filepath.Join(p.Scratch, "tree"), string(list.Stdout))
	if err != nil {
		return err
	}
	if files == 0 {
		return fmt.Errorf("%w: there are no files", gates.ErrNothingRan)
	}
	if _, err := p.Exec(ctx, p.Commands[1], proc.Options{}); err != nil {
		if ctx.Err() != nil {
			return err
		}
		return fmt.Errorf("scorecard broke: %w", err)
	}
	raw, err := folder.ReadIn(p.Scratch, "scorecard.json", maxReport)
	if err != nil {
		return fmt.Errorf("scorecard's report: %w", err)
	}
	results, err := decode(raw)
	if err != nil {
		return err
	}
	accepted, err := readAccepted(p.Root)
	if err != nil {
		p.Check(evidence.Finding("security.scorecard.accept", AcceptFile, 0, err.Error(), "mend the file; docs/security.md says what it holds"))
	}
	checks, findings := judge(results, accepted, o.Today)
	for _, c := range checks {
		p.Check(c)
	}
	out, err := render(findings, p.Version("scorecard"))
	if err == nil {
		err = p.Folder().WriteFile(Report, out)
	}
	p.Fact("%d checks of %d files; %d ask GitHub and are left to the workflow", len(results), files, len(online))
	return err
}

// render writes findings as SARIF.
func render(findings []sarif.Finding, version string) ([]byte, error) {
	run := sarif.Run{Tool: "scorecard", Version: version, URL: "https://github.com/ossf/scorecard", Category: ID, Findings: findings}
	for _, f := range findings {
		if !slices.ContainsFunc(run.Rules, func(r sarif.Rule) bool { return r.ID == f.Rule }) {
			run.Rules = append(run.Rules, sarif.Rule{ID: f.Rule, Doc: "The Scorecard's check " + f.Rule + "."})
		}
	}
	return sarif.Marshal(run)
}

// snapshot copies what is source into a folder of its own. Links are left out:
// they may lead anywhere.
func snapshot(root, into, list string) (int, error) {
	from, err := os.OpenRoot(root)
	if err != nil {
		return 0, err
	}
	defer from.Close()
	if err := os.Mkdir(into, 0o700); err != nil {
		return 0, err
	}
	to, err := os.OpenRoot(into)
	if err != nil {
		return 0, err
	}
	defer to.Close()
	files := 0
	for name := range strings.SplitSeq(list, "\x00") {
		local := filepath.FromSlash(name)
		if name == "" {
			continue
		}
		info, err := from.Lstat(local)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue
		}
		if err == nil {
			err = copyFile(from, to, local)
		}
		if err != nil {
			return files, fmt.Errorf("copy the source: %w", err)
		}
		files++
	}
	return files, nil
}

func copyFile(from, to *os.Root, name string) error {
	if err := to.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	in, err := from.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// result is what scorecard says of one check. A score is 0 to 10, or -1 when it
// could not tell.
type result struct {
	Name    string   `json:"name"`
	Score   int      `json:"score"`
	Reason  string   `json:"reason"`
	Details []string `json:"details"`
}

// decode reads scorecard's JSON report and holds that each check was made, once.
func decode(raw []byte) ([]result, error) {
	var report struct {
		Scorecard struct{ Version string } `json:"scorecard"`
		Checks    []result                 `json:"checks"`
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&report); err != nil {
		return nil, fmt.Errorf("scorecard's report: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("scorecard's report goes on behind its end")
	}
	var names []string
	for _, r := range report.Checks {
		if r.Score < -1 || r.Score > full || r.Reason == "" {
			return nil, fmt.Errorf("scorecard's report: %q has the score %d", r.Name, r.Score)
		}
		names = append(names, r.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, offline) {
		return nil, fmt.Errorf("scorecard's report has the checks %q, want %q", names, offline)
	}
	return report.Checks, nil
}

// place is the end of a detail that names a file: "...: .github/workflows/ci.yml:12".
// A file without a line has the line 0, or none.
var place = regexp.MustCompile(`^Warn: (.*?):? ([^\s:]+):(\d+)$`)

// locate reads a detail that warns.
func locate(detail string) (message, path string, line int, warns bool) {
	text, warns := strings.CutPrefix(detail, "Warn: ")
	if !warns {
		return "", "", 0, false
	}
	if m := place.FindStringSubmatch(detail); m != nil && filepath.IsLocal(m[2]) {
		n, err := strconv.Atoi(m[3])
		if err == nil {
			return m[1], m[2], n, true
		}
	}
	return text, "", 0, true
}

// judge compares the scores with what is asked for.
func judge(results []result, accepted acceptList, today time.Time) ([]evidence.Check, []sarif.Finding) {
	var checks []evidence.Check
	var findings []sarif.Finding
	for _, r := range results {
		want, problem := accepted.want(r, today)
		expected := fmt.Sprintf("a score of %d", want)
		fix := "https://github.com/ossf/scorecard/blob/main/docs/checks.md#" + strings.ToLower(r.Name)
		if problem != "" {
			check := evidence.Finding("security.scorecard.accept", AcceptFile, 0, problem, "set the score that there is, give a reason and a day that is to come, or take the entry out")
			check.Subject = AcceptFile + ": " + r.Name
			checks = append(checks, check)
		}
		if r.Score < 0 {
			checks = append(checks, evidence.CouldNotTell("security.scorecard.check", r.Name, expected, "scorecard could not tell: "+r.Reason, fix))
			continue
		}
		observed := fmt.Sprintf("a score of %d: %s", r.Score, r.Reason)
		if r.Score >= want {
			checks = append(checks, evidence.Expect("security.scorecard.check", r.Name, true, observed, expected, ""))
			continue
		}
		before := len(findings)
		for _, detail := range r.Details {
			message, path, line, warns := locate(detail)
			if !warns {
				continue
			}
			findings = append(findings, sarif.Finding{Rule: r.Name, Level: sarif.Error, Message: message, Path: path, Line: line})
			check := evidence.Finding("security.scorecard.check", path, line, r.Name+": "+message, fix)
			check.Expected = expected
			if path == "" {
				check.Subject = r.Name
			}
			checks = append(checks, check)
		}
		if len(findings) == before {
			findings = append(findings, sarif.Finding{Rule: r.Name, Level: sarif.Error, Message: observed})
			checks = append(checks, evidence.Expect("security.scorecard.check", r.Name, false, observed, expected, fix))
		}
	}
	for _, name := range online {
		checks = append(checks, evidence.Skipped("security.scorecard.check", name, "a score", "it asks GitHub or another service; the workflow does", ""))
	}
	return checks, findings
}

// acceptList is the content of [AcceptFile].
//
//	accept:
//	  - check: Dependency-Update-Tool
//	    score: 0
//	    reason: tools are bumped by hand, with their changes read
//
// The score is the one that there is: when it gets better, the entry is red until
// it says so.
type acceptList struct {
	Accept []acceptance `yaml:"accept"`
}

type acceptance struct {
	Check          string `yaml:"check"`
	Score          int    `yaml:"score"`
	policy.Because `yaml:",inline"`
}

func readAccepted(root string) (acceptList, error) {
	var list acceptList
	if err := policy.Read(root, AcceptFile, &list); err != nil {
		return acceptList{}, err
	}
	seen := map[string]bool{}
	for i, a := range list.Accept {
		if !slices.Contains(offline, a.Check) || seen[a.Check] || a.Score < 0 || a.Score >= full {
			return acceptList{}, fmt.Errorf("%s: entry %d is about no check that is made here, about one twice, or about the score %d", AcceptFile, i+1, a.Score)
		}
		seen[a.Check] = true
	}
	return list, nil
}

// want is the score that a check has to reach, and what is wrong with the entry
// that would lower it.
func (l acceptList) want(r result, today time.Time) (int, string) {
	for _, a := range l.Accept {
		if a.Check != r.Name {
			continue
		}
		if problem := a.Problem(today); problem != "" {
			return full, problem
		}
		if r.Score > a.Score {
			return a.Score, fmt.Sprintf("the score is %d by now, and not %d", r.Score, a.Score)
		}
		return a.Score, ""
	}
	return full, ""
}
