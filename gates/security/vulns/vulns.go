// Package vulns holds that no code of the project reaches a vulnerability that
// is publicly known, by govulncheck and the Go vulnerability database.
//
// The answer is only as good as the database is new, so its age is part of the
// verdict. The exit code of govulncheck's JSON mode is 0 whatever it finds; the
// stream is read instead, and strictly.
//
// Every exported function of a package is taken for called, but of a package main
// only what main and init lead to: a target of a magefile, which nothing calls
// until mage writes its main function, is seen through the packages that it uses.
package vulns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/security/modules"
	"github.com/dpone/dpone/gates/security/policy"
	"github.com/dpone/dpone/gates/security/sarif"
	"github.com/dpone/dpone/gates/tool"
)

const (
	// ID is the name of the gate, of its step and of the mage target.
	ID = "security:vulns"
	// Area is the folder below the artifacts that the runs go to.
	Area = "security"
	// AllowFile is where a project names vulnerabilities that it lives with.
	AllowFile = ".ci/vulns-allow.yaml"
	// Report is the name of the artifact, in the folder of the run.
	Report = "vulns.sarif"
	// Public is the address of the database of the Go project.
	Public = "https://vuln.go.dev"

	runbook = "docs/runbooks.md#security-vulns"
)

// Options are what can be chosen; the zero value asks the public database.
type Options struct {
	// Database is the address of the database: [Public] if empty, or that of a
	// mirror, such as file:///srv/vulndb.
	Database string `json:"database"`
	// MaxAge is how many days ago the database may have changed last; 14 if 0.
	// It changes every few days.
	MaxAge int `json:"max_age_days"`
	// Tags are build tags; "mage" if empty, so that magefiles are looked at, too.
	Tags string `json:"tags"`
	// Now decides what is old; the clock if zero.
	Now time.Time `json:"-"`
}

// Validate refuses an address that govulncheck would not take. The error is a
// *[gates.UsageError].
func (o Options) Validate() error {
	u, err := url.Parse(o.Database)
	if err != nil || o.Database != "" && u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "file" {
		return &gates.UsageError{Problem: fmt.Sprintf("%s: -db=%s is no address such as %s or file:///srv/vulndb", ID, o.Database, Public)}
	}
	if o.MaxAge < 0 {
		return &gates.UsageError{Problem: fmt.Sprintf("%s: -maxAge=%d is no number of days", ID, o.MaxAge)}
	}
	return nil
}

// Gate is the gate security:vulns.
func Gate(o Options) gates.Gate {
	if o.Database == "" {
		o.Database = Public
	}
	if o.MaxAge == 0 {
		o.MaxAge = 14
	}
	if o.Tags == "" {
		o.Tags = "mage"
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	doc := "No code of the project reaches a vulnerability that is publicly known."
	return gates.Gate{
		ID: ID, Doc: doc, Runbook: runbook, Area: Area, Options: o,
		Inputs: []string{AllowFile, "go.mod", "go.sum", "magefiles/tools/govulncheck/go.mod", "magefiles/tools/govulncheck/go.sum"},
		Steps: []gates.Step{{
			ID: ID, Doc: doc, Runbook: runbook,
			Tools:    func(root string) []tool.Tool { return []tool.Tool{pins.Find(root, "govulncheck")} },
			Commands: o.commands, Run: o.run,
		}},
	}
}

func (o Options) commands(root string) ([]proc.Command, error) {
	all, err := modules.Find(root)
	if err != nil {
		return nil, err
	}
	var commands []proc.Command
	for _, m := range all {
		if m.Code {
			commands = append(commands, proc.Command{
				Name: "govulncheck", Dir: m.Dir, Env: []string{"GOWORK=off"},
				Args: []string{"-db=" + o.Database, "-format=json", "-mode=source", "-scan=symbol", "-tags=" + o.Tags, "./..."},
			})
		}
	}
	return commands, nil
}

const maxStream = 256 << 20

func (o Options) run(ctx context.Context, p *gates.Pass) error {
	if len(p.Commands) == 0 {
		return fmt.Errorf("%w: there is no Go module with code", gates.ErrNothingRan)
	}
	if err := o.checkMirror(); err != nil {
		p.Check(evidence.CouldNotTell("security.vulns.database", o.Database, "a database", err.Error(), mirrorHelp))
		return nil
	}
	list, err := readAllowList(p.Root)
	if err != nil {
		p.Check(evidence.Finding("security.vulns.allow", AllowFile, 0, err.Error(), "mend the file; docs/security.md says what it holds"))
	}
	run := sarif.Run{Tool: "govulncheck", Version: p.Version("govulncheck"), URL: "https://go.dev/security/vuln", Category: ID}
	found, linked, reached := 0, 0, 0
	for i, c := range p.Commands {
		p.Progress(i, len(p.Commands), c.Dir)
		result, err := p.Exec(ctx, c, proc.Options{Capture: maxStream})
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			// Most often the database cannot be reached. That is no answer.
			p.Check(evidence.CouldNotTell("security.vulns.scan", c.Dir, "govulncheck answers", err.Error(), mirrorHelp))
			continue
		}
		s, err := decode(result.Stdout)
		if err != nil {
			return err
		}
		if i == 0 {
			o.checkAge(p, s.modified)
		}
		linked += s.modules
		open := 0
		for _, v := range s.sorted() {
			found++
			if !v.reached {
				p.Check(evidence.Skipped("security.vulns.unreached", v.ID+" in "+c.Dir, "no vulnerable code", "the project has "+v.Module+", but calls nothing in it that is vulnerable", "upgrade all the same: "+v.fix()))
				continue
			}
			reached++
			if list.take(v.ID, o.Now) {
				continue
			}
			open++
			v.path = place(c.Dir, v.path)
			check := evidence.Finding("security.vulns.reached", v.path, v.line, v.ID+" in "+v.Module+" "+v.Version+": "+v.Summary+"; reached through "+v.symbol, v.fix())
			if v.path == "" {
				check.Subject, check.Line = v.ID+" in "+c.Dir, 0
			}
			p.Check(check)
			if !slices.ContainsFunc(run.Rules, func(r sarif.Rule) bool { return r.ID == v.ID }) {
				run.Rules = append(run.Rules, sarif.Rule{ID: v.ID, Doc: v.Summary, URL: "https://pkg.go.dev/vuln/" + v.ID})
			}
			run.Findings = append(run.Findings, sarif.Finding{Rule: v.ID, Level: sarif.Error, Message: check.Observed, Path: v.path, Line: check.Line, Fingerprint: v.ID + ":" + c.Dir})
		}
		if open == 0 {
			p.Check(evidence.Expect("security.vulns.none", c.Dir, true, "no vulnerability is reached", "no vulnerability is reached", ""))
		}
	}
	list.check(p, o.Now)
	raw, err := sarif.Marshal(run)
	if err == nil {
		err = p.Folder().WriteFile(Report, raw)
	}
	p.Fact("%d vulnerabilities in %d linked modules, %d reached", found, linked, reached)
	return err
}

const mirrorHelp = "check the network; or mirror the database and name it: mage security:vulns -db=file:///srv/vulndb"

// checkMirror holds that a database on this disk lists anything at all: an
// empty folder would answer that nothing is vulnerable.
func (o Options) checkMirror() error {
	u, err := url.Parse(o.Database)
	if err != nil || u.Scheme != "file" {
		return err
	}
	dir, err := os.OpenRoot(filepath.FromSlash(u.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	raw, err := folder.ReadRegular(dir, filepath.Join("index", "modules.json"), maxStream)
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("the folder has no index/modules.json, so it is no vulnerability database")
	}
	if err != nil {
		return err
	}
	var listed []struct {
		Path  string
		Vulns []struct{ ID string }
	}
	if err := json.Unmarshal(raw, &listed); err != nil {
		return fmt.Errorf("index/modules.json: %w", err)
	}
	if len(listed) == 0 {
		return errors.New("index/modules.json lists no modules")
	}
	return nil
}

// checkAge holds that the database is new enough to know what is known.
func (o Options) checkAge(p *gates.Pass, modified time.Time) {
	const code = "security.vulns.age"
	want := fmt.Sprintf("changed at most %d days ago", o.MaxAge)
	days := int(o.Now.Sub(modified).Hours() / 24)
	value := modified.UTC().Format(time.RFC3339)
	switch {
	case modified.IsZero():
		p.Check(evidence.CouldNotTell(code, o.Database, want, "the database does not say when it changed", mirrorHelp))
	case days > o.MaxAge:
		p.Measure(evidence.CouldNotTell(code, o.Database, want, fmt.Sprintf("it is older than %d days: what was found since is not in it", o.MaxAge), "mirror it anew"), value)
	case modified.After(o.Now.Add(24 * time.Hour)):
		p.Measure(evidence.CouldNotTell(code, o.Database, want, "it is from the future", "look at its index/db.json, and at the clock"), value)
	default:
		p.Measure(evidence.Expect(code, o.Database, true, want, want, ""), value)
	}
}

// place is a path in a module's directory, relative to the root; "" for one elsewhere.
func place(dir, name string) string {
	if name == "" || filepath.IsAbs(name) || !filepath.IsLocal(filepath.FromSlash(name)) {
		return ""
	}
	return path.Join(dir, filepath.ToSlash(name))
}

// allowList is the content of [AllowFile].
//
//	allow:
//	  - id: GO-2026-0001
//	    reason: only clients that we trust can reach the handler
//	    expires: 2027-03-31
//
// Each entry has to have a last day: what is known of a vulnerability changes.
type allowList struct {
	Allow []*allowance `yaml:"allow"`
}

type allowance struct {
	ID             string `yaml:"id"`
	policy.Because `yaml:",inline"`

	met bool
}

func readAllowList(root string) (allowList, error) {
	var list allowList
	if err := policy.Read(root, AllowFile, &list); err != nil {
		return allowList{}, err
	}
	for i, a := range list.Allow {
		if a == nil || !strings.HasPrefix(a.ID, "GO-") || a.Expires == "" {
			return allowList{}, fmt.Errorf("%s: entry %d has no id such as GO-2026-0001, or no last day", AllowFile, i+1)
		}
	}
	return list, nil
}

func (l allowList) take(id string, now time.Time) bool {
	for _, a := range l.Allow {
		if a.ID == id {
			a.met = true
			return a.Problem(now) == ""
		}
	}
	return false
}

func (l allowList) check(p *gates.Pass, now time.Time) {
	for _, a := range l.Allow {
		problem := a.Problem(now)
		if problem == "" && !a.met {
			problem = "it is not reached any more"
		}
		if problem != "" {
			check := evidence.Finding("security.vulns.allow", AllowFile, 0, problem, "take the entry out, or give a reason and a day that is to come")
			check.Subject = AllowFile + ": " + a.ID
			p.Check(check)
		}
	}
}
