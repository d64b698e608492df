package workflows

import (
	"io/fs"
	"slices"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/target"
)

// Rule is one thing that holds for all workflows.
type Rule struct {
	Code  string // of its check
	Holds string // what is true when it is green
}

const (
	codeFolder      = "workflows.folder"
	codeFile        = "workflows.file"
	codeYAML        = "workflows.yaml"
	codeDuplicate   = "workflows.duplicate"
	codeAlias       = "workflows.alias"
	codeSyntax      = "workflows.syntax"
	codeLint        = "workflows.lint"
	codeRun         = "workflows.run"
	codeTarget      = "workflows.target"
	codeVariable    = "workflows.variable"
	codeExpression  = "workflows.expression"
	codePipe        = "workflows.pipe"
	codeMasked      = "workflows.masked"
	codeHeredoc     = "workflows.heredoc"
	codeScript      = "workflows.script"
	codeContinue    = "workflows.continue"
	codeAction      = "workflows.action"
	codeInput       = "workflows.input"
	codePin         = "workflows.pin"
	codeBaseline    = "workflows.baseline"
	codeCredentials = "workflows.credentials"
	codePermissions = "workflows.permissions"
	codeGrant       = "workflows.grant"
	codePullRequest = "workflows.secrets.pullrequest"
	codeFork        = "workflows.secrets.fork"
	codeScope       = "workflows.secrets.scope"
	codeVendorLive  = "workflows.vendorlive"
	codeBranch      = "workflows.branch"
	codePRTarget    = "workflows.prtarget"
	codeSlow        = "workflows.slow"
	codeTrigger     = "workflows.trigger"
	codeTimeout     = "workflows.timeout"
	codeConcurrency = "workflows.concurrency"
	codeUpload      = "workflows.upload"
	codeRetention   = "workflows.retention"
	codeArtifact    = "workflows.artifact"
	codeInventory   = "workflows.inventory"
	codeGate        = "workflows.gate"
)

// Rules are all rules, in the order in which they are reported.
func Rules() []Rule {
	return []Rule{
		{codeFile, "each workflow is a regular file of at most 256 KiB"},
		{codeYAML, "each file is YAML"},
		{codeDuplicate, "no key stands twice in one place"},
		{codeAlias, "nothing is put together from YAML anchors"},
		{codeSyntax, "each file is a workflow by GitHub's syntax"},
		{codeLint, "actionlint finds nothing"},
		{codeRun, "each run step is one mage target, or go install tool"},
		{codeTarget, "each target that is called exists, with the flags that it is given"},
		{codeVariable, "each variable of a command is set in the workflow"},
		{codeExpression, "no expression is pasted into a command"},
		{codePipe, "no command is piped into another"},
		{codeMasked, "no exit code is hidden"},
		{codeHeredoc, "no file is made by a here-document"},
		{codeScript, "no step is a script"},
		{codeContinue, "no failure is passed over"},
		{codeAction, "each action is one that the inventory names for the job"},
		{codeInput, "each action gets only inputs that it has"},
		{codePin, "each action is pinned by one commit with its version beside it"},
		{codeBaseline, "each action is at or above the baseline"},
		{codeCredentials, "no checkout leaves its token behind"},
		{codePermissions, "each workflow starts with contents: read or nothing"},
		{codeGrant, "each further permission is given to one job, with a reason, as in the inventory"},
		{codePullRequest, "no workflow of pull requests uses a secret"},
		{codeFork, "no workflow that outsiders can start uses a secret"},
		{codeScope, "each secret is used only in the job that the inventory names"},
		{codeVendorLive, "each job on live systems lists its secrets"},
		{codeBranch, "push and pull_request are for the default branch"},
		{codePRTarget, "nothing starts on pull_request_target"},
		{codeSlow, "no pull request starts a gate that is slow or needs credentials"},
		{codeTrigger, "each workflow starts on what the inventory says"},
		{codeTimeout, "each job has a timeout"},
		{codeConcurrency, "each workflow has a concurrency group"},
		{codeUpload, "each job with a gate keeps the evidence, also of a red run"},
		{codeRetention, "each artifact is kept for as long as the inventory says"},
		{codeArtifact, "each artifact is in the inventory"},
		{codeInventory, "files and inventory name the same workflows and jobs"},
		{codeGate, "each target is called where the inventory says, or is in its list of those by hand"},
	}
}

// finding is a place where a rule does not hold.
type finding struct {
	code, path    string
	line          int // 0 for the whole file
	observed, fix string
}

// looker goes over all files once and collects what it finds.
type looker struct {
	inventory Inventory
	commands  *target.Checker
	files     []*file
	findings  []finding
	broken    []unreadable   // files of which nothing can be told
	pins      map[string]pin // by the name of the action's repository
	steps     int
}

func (l *looker) add(code string, f *file, line int, observed, fix string) {
	l.findings = append(l.findings, finding{code, f.path, line, observed, fix})
}

// look reads the workflows below root and holds all rules against them. The error is that of a folder which cannot be
// read.
func look(root string, magefiles fs.FS, o Options) (*looker, error) {
	commands, err := target.NewChecker(magefiles)
	if err != nil {
		return nil, err
	}
	l := &looker{
		inventory: o.Inventory.withDefaults(), commands: commands, pins: map[string]pin{},
	}
	if err := l.readFolder(root); err != nil {
		return nil, err
	}
	l.all()
	return l, nil
}

// all holds the rules against what was read.
func (l *looker) all() {
	for _, f := range l.files {
		if f.ast == nil {
			continue
		}
		l.header(f)
		for _, job := range f.jobs {
			l.job(f, job)
		}
		l.secrets(f)
		l.live(f)
	}
	l.compare()
}

// checks are one for each finding, and one for each rule without any.
func (l *looker) checks() []evidence.Check {
	var checks []evidence.Check
	for _, b := range l.broken {
		checks = append(checks, evidence.CouldNotTell(codeFile, b.path, "a file that can be read", b.err.Error(), "mend its permissions"))
	}
	for _, rule := range Rules() {
		green := rule.Code != codeFile || len(l.broken) == 0
		for _, f := range l.findings {
			if f.code == rule.Code {
				green = false
				checks = append(checks, evidence.Finding(f.code, f.path, f.line, f.observed, f.fix))
			}
		}
		if green {
			checks = append(checks, evidence.Expect(rule.Code, dir, true, rule.Holds, rule.Holds, ""))
		}
	}
	return checks
}

// codes are those of the findings, sorted, each once.
func (l *looker) codes() []string {
	var codes []string
	for _, f := range l.findings {
		codes = append(codes, f.code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}
