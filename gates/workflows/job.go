package workflows

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
	"golang.org/x/mod/semver"

	"github.com/dpone/dpone/gates/target"
)

// Limits of what a job may ask for.
const (
	maxMinutes = 360 // where GitHub ends a job
	maxDays    = 90  // as long as GitHub keeps an artifact of a public repository
)

// job looks at a job and its steps.
func (l *looker) job(f *file, job *actionlint.Job) {
	id := job.ID.Value
	if job.WorkflowCall != nil {
		l.add(codeAction, f, job.Pos.Line, "job "+id+" calls a workflow", "give the job steps of its own")
		return
	}
	l.grants(f, job)
	switch t := job.TimeoutMinutes; {
	case t == nil:
		l.add(codeTimeout, f, job.Pos.Line, "job "+id+" has no timeout-minutes", "timeout-minutes: 30, or how long it may take")
	case t.Expression != nil || t.Value <= 0 || t.Value > maxMinutes:
		l.add(codeTimeout, f, t.Pos.Line, "timeout-minutes: "+f.value(t.Pos.Line), fmt.Sprintf("a number from 1 to %d", maxMinutes))
	}
	l.continues(f, job.ContinueOnError, "job "+id)
	l.defaults(f, f.ast.Defaults)
	l.defaults(f, job.Defaults)
	environment := variablesOf(f.ast.Env, job.Env)
	before := len(f.calls)
	uploads := 0
	for _, step := range job.Steps {
		if step == nil {
			continue
		}
		l.steps++
		l.continues(f, step.ContinueOnError, "a step of job "+id)
		switch exec := step.Exec.(type) {
		case *actionlint.ExecRun:
			l.run(f, id, exec, append(slices.Clone(environment), variablesOf(step.Env)...))
		case *actionlint.ExecAction:
			if exec.Uses == nil {
				continue
			}
			name := l.action(f, id, exec)
			switch name {
			case "actions/upload-artifact":
				uploads++
				l.upload(f, id, step, exec)
			case "actions/upload-pages-artifact":
				l.artifact(f, id, exec, "github-pages")
			case "actions/checkout":
				if input(exec, "persist-credentials") != "false" {
					l.add(codeCredentials, f, exec.Uses.Pos.Line, "persist-credentials is not false", "with: {persist-credentials: false}")
				}
			}
		}
	}
	entry := f.entry.job(id)
	if entry == nil {
		return
	}
	keeps := slices.ContainsFunc(f.calls[before:], func(c call) bool { return slices.Contains(entry.Gates, c.target) })
	if keeps && uploads == 0 {
		l.add(codeUpload, f, job.Pos.Line, "job "+id+" runs a gate and keeps nothing", "add a step with actions/upload-artifact and if: always()")
	}
	l.missingArtifacts(f, job, entry)
}

// value is what stands behind the colon of a line, for a finding.
func (f *file) value(line int) string {
	_, value, _ := strings.Cut(f.line(line), ":")
	value, _, _ = strings.Cut(value, " #")
	return strings.TrimSpace(value)
}

func (l *looker) continues(f *file, b *actionlint.Bool, what string) {
	if b != nil && (b.Value || b.Expression != nil) {
		l.add(codeContinue, f, b.Pos.Line, "continue-on-error for "+what, "drop it; a verdict that does not count is not worth its time")
	}
}

func (l *looker) defaults(f *file, d *actionlint.Defaults) {
	if d == nil || d.Run == nil {
		return
	}
	if d.Run.Shell != nil || d.Run.WorkingDirectory != nil {
		l.addOnce(codeScript, f, d.Pos.Line, "defaults for shell or working-directory", "drop them; a laptop has none")
	}
}

// addOnce is add for what several jobs would repeat.
func (l *looker) addOnce(code string, f *file, line int, observed, fix string) {
	if !slices.Contains(l.findings, finding{code, f.path, line, observed, fix}) {
		l.add(code, f, line, observed, fix)
	}
}

func variablesOf(envs ...*actionlint.Env) []string {
	var names []string
	for _, env := range envs {
		if env == nil {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(env.Vars)) {
			names = append(names, env.Vars[key].Name.Value)
		}
	}
	return names
}

// run looks at a command. The names are those of the variables that the workflow sets for it.
func (l *looker) run(f *file, job string, exec *actionlint.ExecRun, environment []string) {
	if exec.Run == nil {
		return
	}
	text, line := exec.Run.Value, exec.Run.Pos.Line
	if exec.Shell != nil || exec.WorkingDirectory != nil {
		l.add(codeScript, f, line, "shell or working-directory is set", "drop it; the command is one line of a plain shell in the root")
	}
	if i := strings.Index(text, "${{"); i >= 0 {
		shown, _, _ := strings.Cut(text[i:], "}}")
		l.add(codeExpression, f, line, shown+"}}", `env: {NAME: the expression}, and "$NAME" in the command`)
		text = expression.ReplaceAllString(text, pasted)
	}
	s := scan(text)
	for _, c := range s.constructs {
		l.add(c.code, f, line, c.what, "put it into the target; a step is one command")
	}
	words := s.words
	if len(words) > 0 && words[0].text == "exec" {
		words = words[1:]
	}
	if len(words) == 0 {
		l.add(codeRun, f, line, "an empty command", "run: exec mage <target>")
		return
	}
	if len(words) == 3 && words[0].text == "go" && words[1].text == "install" && words[2].text == "tool" {
		return
	}
	if words[0].text != "mage" {
		f.unclear = append(f.unclear, job)
		if len(s.constructs) == 0 {
			l.add(codeRun, f, line, firstLine(text), "run: exec mage <target>, with a target that does this")
		}
		return
	}
	l.mage(f, job, line, words[1:], environment)
}

// pasted stands for an expression in a command that is looked at further.
const pasted = "\x00"

var expression = regexp.MustCompile(`\$\{\{(?s:.*?)\}\}`)

func firstLine(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	return text
}

// mage looks at what follows mage on a command line.
func (l *looker) mage(f *file, job string, line int, words []word, environment []string) {
	args := make([]string, len(words))
	name := ""
	for i, w := range words {
		args[i] = w.text
		for _, v := range w.variables {
			if !slices.Contains(environment, v) && !strings.HasPrefix(v, "GITHUB_") && !strings.HasPrefix(v, "RUNNER_") {
				l.add(codeVariable, f, line, "$"+v+" is not set", "env: {"+v+": ...} of the step or the job")
			}
		}
		if !strings.HasPrefix(w.text, "-") {
			name = w.text
			if strings.Contains(name, pasted) {
				f.unclear = append(f.unclear, job)
				return
			}
		}
		flag, _, ok := strings.Cut(strings.TrimPrefix(w.text, "-"), "=")
		if w.first < 0 || !ok {
			continue
		}
		// The value is known only when the step runs: an example of its type stands in for it.
		if param, known := l.commands.Param(name, flag); known && w.first > len(flag)+1 {
			args[i] = "-" + flag + "=" + target.Example(param.Type)
		}
	}
	calls, err := l.commands.Check(args...)
	for _, c := range calls {
		f.calls = append(f.calls, call{job: job, line: line, target: c.Target, mode: c.Flags["mode"]})
	}
	if err != nil {
		why, fix := err.Error(), "run: exec mage <target>"
		if usage, ok := err.(interface{ Short() (string, string) }); ok {
			why, fix = usage.Short()
		}
		l.add(codeTarget, f, line, why, fix)
		f.unclear = append(f.unclear, job)
		return
	}
	if len(calls) != 1 {
		l.add(codeRun, f, line, fmt.Sprintf("%d targets in one step", len(calls)), "a step for each target, so that each has a result of its own")
	}
}

// pin is where an action was met first.
type pin struct {
	commit, version string
	path            string
	line            int
}

var (
	usesPattern    = regexp.MustCompile(`^([A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)((?:/[A-Za-z0-9_./-]+)?)@(.+)$`)
	commitPattern  = regexp.MustCompile(`^[0-9a-f]{40}$`)
	versionPattern = regexp.MustCompile(`^(v\d+(?:\.\d+){0,2})(?:\s|$)`)
)

// action looks at what an action step uses and returns the name of its repository, or "".
func (l *looker) action(f *file, job string, exec *actionlint.ExecAction) string {
	uses, line := exec.Uses.Value, exec.Uses.Pos.Line
	m := usesPattern.FindStringSubmatch(uses)
	if m == nil {
		l.add(codeAction, f, line, "uses: "+uses, "an action of another repository, or a target; no local and no container action")
		return ""
	}
	name, sub, ref := m[1], m[2], m[3]
	family := l.inventory.family(name)
	if family == nil {
		l.add(codeAction, f, line, name+" is not in the inventory", "do it in a target, or add the action with its baseline to the inventory in gates/workflows")
		return name
	}
	base := []string{"actions/checkout", "actions/setup-go", "actions/upload-artifact"}
	if entry := f.entry.job(job); entry != nil && !slices.Contains(append(base, entry.Actions...), name) {
		l.add(codeAction, f, line, name+" is not in the inventory for job "+job, "do it in a target, or add it to the job in the inventory in gates/workflows")
	}
	version := ""
	if v := versionPattern.FindStringSubmatch(f.comment(line)); v != nil {
		version = v[1]
	}
	switch first, known := l.pins[name]; {
	case !commitPattern.MatchString(ref):
		l.add(codePin, f, line, uses, "pin the 40 digits of the commit: "+name+sub+"@<commit> # v1.2.3")
	case version == "":
		l.add(codePin, f, line, "no version beside "+uses, name+sub+"@"+ref+" # v1.2.3")
	case known && (first.commit != ref || first.version != version):
		l.add(codePin, f, line, fmt.Sprintf("%s@%s %s, but %s:%d has %s %s", name, ref[:7], version, first.path, first.line, first.commit[:7], first.version), "one version of an action everywhere")
	case !known:
		l.pins[name] = pin{ref, version, f.path, line}
	}
	if version != "" && semver.Compare(version, family.Min) < 0 {
		l.add(codeBaseline, f, line, fmt.Sprintf("%s %s is below %s", name, version, family.Min), "pin the commit of "+family.Min+" or later: "+family.Why)
	}
	l.inputs(f, name+sub, version, exec)
	return name
}

// inputs holds the inputs of an action against those that it has, as far as actionlint knows it. A pin by commit
// would hide them from actionlint's own rule.
func (l *looker) inputs(f *file, name, version string, exec *actionlint.ExecAction) {
	known := actionlint.PopularActions[name+"@"+semver.Major(version)]
	if version == "" || known == nil || known.SkipInputs {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(exec.Inputs)) {
		if _, ok := known.Inputs[key]; !ok {
			l.add(codeInput, f, exec.Inputs[key].Name.Pos.Line, fmt.Sprintf("%s %s has no input %q", name, semver.Major(version), key),
				"one of "+strings.Join(slices.Sorted(maps.Keys(known.Inputs)), ", "))
		}
	}
}

// input is the value of an action's input, or "".
func input(exec *actionlint.ExecAction, name string) string {
	if in := exec.Inputs[name]; in != nil && in.Value != nil {
		return in.Value.Value
	}
	return ""
}

// upload looks at a step that keeps evidence.
func (l *looker) upload(f *file, job string, step *actionlint.Step, exec *actionlint.ExecAction) {
	line := exec.Uses.Pos.Line
	condition := ""
	if step.If != nil {
		condition = strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(step.If.Value), "${{"), "}}"))
	}
	if condition != "always()" {
		l.add(codeUpload, f, line, "the evidence of a red run is not kept", "if: always()")
	}
	if input(exec, "if-no-files-found") != "error" {
		l.add(codeUpload, f, line, "an empty upload would be green", "if-no-files-found: error")
	}
	l.artifact(f, job, exec, "artifact")
}

// artifact holds an upload against the inventory; unnamed is its name when none is given.
func (l *looker) artifact(f *file, job string, exec *actionlint.ExecAction, unnamed string) {
	line := exec.Uses.Pos.Line
	name := artifactName(exec, unnamed)
	days, err := strconv.Atoi(input(exec, "retention-days"))
	if err != nil || days < 1 || days > maxDays {
		l.add(codeRetention, f, line, fmt.Sprintf("retention-days of %s is %q", name, input(exec, "retention-days")), fmt.Sprintf("a number from 1 to %d", maxDays))
	}
	entry := f.entry.job(job)
	if entry == nil {
		return
	}
	at := slices.IndexFunc(entry.Artifacts, func(a Artifact) bool { return a.Name == name })
	if at < 0 {
		l.add(codeArtifact, f, line, name+" is not in the inventory for job "+job, "add it to the inventory in gates/workflows, with its purpose")
		return
	}
	want := entry.Artifacts[at]
	if path := firstLine(input(exec, "path")); path != want.Path {
		l.add(codeArtifact, f, line, fmt.Sprintf("%s is made of %q, and the inventory says %q", name, path, want.Path), "change the one that is wrong")
	}
	if err == nil && days >= 1 && days <= maxDays && days != want.Days {
		l.add(codeRetention, f, line, fmt.Sprintf("%s is kept for %d days, and the inventory says %d", name, days, want.Days), "change the one that is wrong")
	}
}

var placeholder = regexp.MustCompile(`\$\{\{\s*(?:[a-z_]+\.)*([a-z_]+)\s*\}\}`)

// artifactName has <run_id> for ${{ github.run_id }}.
func artifactName(exec *actionlint.ExecAction, unnamed string) string {
	name := input(exec, "name")
	if name == "" {
		return unnamed
	}
	return placeholder.ReplaceAllString(name, "<$1>")
}

// missingArtifacts tells what the inventory says and no step of the job keeps.
func (l *looker) missingArtifacts(f *file, job *actionlint.Job, entry *Job) {
	var kept []string
	for _, step := range job.Steps {
		if exec, ok := step.Exec.(*actionlint.ExecAction); ok && exec.Uses != nil {
			switch name, _, _ := strings.Cut(exec.Uses.Value, "@"); name {
			case "actions/upload-artifact":
				kept = append(kept, artifactName(exec, "artifact"))
			case "actions/upload-pages-artifact":
				kept = append(kept, artifactName(exec, "github-pages"))
			}
		}
	}
	if len(kept) == 0 && len(entry.Gates) > 0 {
		return // told as a job that keeps nothing
	}
	for _, a := range entry.Artifacts {
		if !slices.Contains(kept, a.Name) {
			l.add(codeArtifact, f, job.Pos.Line, fmt.Sprintf("job %s does not keep %s", entry.ID, a.Name), "add the upload, or drop it from the inventory in gates/workflows")
		}
	}
}
