//go:build unix

package reproduce

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

// module is a source tree with targets of its own, and them compiled.
type module struct{ root, runner string }

// built is one for all tests; they work in clones of it.
var built = sync.OnceValues(func() (m module, err error) {
	dir, err := os.MkdirTemp("", "dpone-reproduce-test-")
	if err != nil {
		return m, err
	}
	m = module{root: filepath.Join(dir, "root"), runner: filepath.Join(dir, "runner")}
	ours, err := filepath.Abs("../..")
	if err != nil {
		return m, err
	}
	files := map[string]string{
		".gitignore":  "/test_artifacts/\n/ignored.*\n/started\n/fast\n/ruined\n",
		"tracked.txt": "yes\n",
		"go.mod": "module example.com/facts\n\ngo 1.26\n\ntool github.com/magefile/mage\n\nrequire github.com/dpone/dpone v0.0.0\n\n" +
			"replace github.com/dpone/dpone => " + ours + "\n",
	}
	for name, from := range map[string]string{"go.sum": filepath.Join(ours, "go.sum"), "magefiles/magefile.go": "testdata/magefile.go"} {
		raw, err := os.ReadFile(from)
		if err != nil {
			return m, err
		}
		files[name] = string(raw)
	}
	for name, content := range files {
		path := filepath.Join(m.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return m, err
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return m, err
		}
	}
	for _, line := range [][]string{
		{"go", "mod", "tidy"},
		{"go", "tool", "mage", "-compile", m.runner},
		{"git", "init", "-q", "-b", "master"},
		{"git", "add", "-A"},
		{"git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "state"},
	} {
		cmd := exec.Command(line[0], line[1:]...)
		cmd.Dir = m.root
		cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "GIT_") })
		if out, err := cmd.CombinedOutput(); err != nil {
			return m, errors.New(strings.Join(line, " ") + ": " + string(out))
		}
	}
	return m, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(b.root)) // of no more use
	}
	os.Exit(code)
}

// checkout is a clone of the module, with a run in it to reproduce.
type checkout struct {
	module
	dir string
	// trap is a program that leaves a trace if it is ever started.
	trap string
	env  []string
}

func newCheckout(t *testing.T) *checkout {
	t.Helper()
	m, err := built()
	assert.NilError(t, err)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	c := &checkout{module: m, dir: filepath.Join(dir, "clone"), trap: filepath.Join(dir, "trap")}
	gatetest.Git(t, dir, "clone", "-q", m.root, c.dir)
	assert.NilError(t, os.WriteFile(c.trap, []byte("#!/bin/sh\ntouch "+c.trap+".sprung\n"), 0o755))
	c.write(t, "ignored.txt", "yes\n")
	c.write(t, "ignored.input", "x")
	c.env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "CI" || strings.HasPrefix(name, "GITHUB_") || strings.HasPrefix(name, "DPONE_") || strings.HasPrefix(name, "MAGEFILE_") || strings.HasSuffix(name, "TOKEN")
	})
	return c
}

func (c *checkout) write(t *testing.T, name, content string) {
	t.Helper()
	assert.NilError(t, os.WriteFile(filepath.Join(c.dir, name), []byte(content), 0o644))
}

// run makes a record and returns the folder of its run.
func (c *checkout) run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(c.runner, args...)
	cmd.Dir, cmd.Env = c.dir, append(slices.Clone(c.env), append(env, "DPONE_OUTPUT=plain")...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	assert.Assert(t, err == nil || errors.As(err, &exit) && exit.ExitCode() != 2, "%v: %s", err, out)
	dir, err := filepath.EvalSymlinks(filepath.Join(c.dir, "test_artifacts", "x", "y", "latest"))
	assert.NilError(t, err, "%s", out)
	return dir
}

// changed is a record with a change, sealed again, in no folder of a run.
func changed(t *testing.T, run string, change func(*evidence.Record)) string {
	t.Helper()
	record, sealed, err := readRecord(t.Context(), run)
	assert.NilError(t, err)
	assert.Assert(t, sealed)
	change(record)
	assert.NilError(t, record.Seal())
	raw, err := record.Encode()
	assert.NilError(t, err)
	path := filepath.Join(t.TempDir(), "any.json")
	assert.NilError(t, os.WriteFile(path, raw, 0o644))
	return path
}

// reproduce calls the command in both forms of output if it is not to run anything.
func (c *checkout) reproduce(t *testing.T, ctx context.Context, o Options) (Result, string, error) {
	t.Helper()
	var out, progress bytes.Buffer
	o.Root, o.Sources, o.Environ, o.Stdout, o.Stderr = c.dir, os.DirFS(filepath.Join(c.dir, "magefiles")), append(slices.Clone(c.env), o.Environ...), &out, &progress
	if o.mage == nil {
		o.mage = []string{c.runner}
	}
	o.Outside = map[string]string{"live": "it changes what nobody can put back"}
	o.Format = "json"
	err := Reproduce(ctx, o)
	var r Result
	dec := json.NewDecoder(bytes.NewReader(out.Bytes()))
	assert.NilError(t, dec.Decode(&r), "%v: %s%s", err, out.String(), progress.String())
	assert.Assert(t, !dec.More())
	for _, ch := range r.text() {
		assert.Assert(t, ch == '\n' || ch >= ' ' && ch != 0x7f, "%q", r.text())
	}
	assert.Assert(t, strings.Contains(r.text(), r.Verdict.String()+"  mage evidence:reproduce  "+r.Outcome), r.text())
	return r, progress.String(), err
}

// want holds outcome, exit status and codes.
func want(t *testing.T, r Result, err error, outcome string, status int, codes ...string) {
	t.Helper()
	got := []string{}
	for _, reason := range r.Reasons {
		got = append(got, reason.Code)
	}
	slices.Sort(got)
	slices.Sort(codes)
	if codes == nil {
		codes = []string{}
	}
	t.Log(r.text())
	assert.DeepEqual(t, slices.Compact(got), codes)
	assert.Equal(t, r.Outcome, outcome, "%+v", r.Reasons)
	if status == 0 {
		assert.NilError(t, err)
		return
	}
	// As mage does: the error itself, not one in its chain.
	exit, ok := err.(interface{ ExitStatus() int })
	assert.Assert(t, ok, "%v", err)
	assert.Equal(t, exit.ExitStatus(), status)
}

func TestReproduced(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	for _, line := range [][]string{{"facts"}, {"facts", "-words=two words", "-n=-3", "-timeout=10m"}, {"F"}} {
		run := c.run(t, nil, line...)
		// Variables that the record does not name do not get through.
		r, _, err := c.reproduce(t, t.Context(), Options{Record: run, Environ: []string{"STRAY=x", "X_TOKEN=abcdefgh", "GOFLAGS=-nonsense", "DPONE_LOG_KEY=x"}})
		want(t, r, err, Reproduced, 0)
		assert.Assert(t, r.Report.Same)
		assert.Equal(t, len(r.Notes), 0)
		assert.Equal(t, r.Recorded.Verdict, evidence.Pass)
	}
}

// Without -keep nothing is left.
func TestLeavesNothing(t *testing.T) {
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	r, _, err := c.reproduce(t, t.Context(), Options{Record: run})
	want(t, r, err, Reproduced, 0)
	left, err := os.ReadDir(tmp)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "%v", left)
}

// A red record is reproduced by a red run.
func TestReproducedRed(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write(t, "ignored.txt", "no\n")
	run := c.run(t, nil, "facts")
	keep := filepath.Join(c.dir, "..", "kept")
	r, _, err := c.reproduce(t, t.Context(), Options{Record: filepath.Join(run, "record.json"), Keep: keep})
	want(t, r, err, Reproduced, 0)
	assert.Equal(t, r.Recorded.Verdict, evidence.Fail)
	// What was kept is evidence as any other.
	runs, err := filepath.Glob(filepath.Join(keep, "x", "y", "2*"))
	assert.NilError(t, err)
	assert.Equal(t, len(runs), 1)
	record, sealed, err := readRecord(t.Context(), runs[0])
	assert.NilError(t, err)
	assert.Assert(t, sealed)
	assert.Equal(t, record.StableDigest, r.Recorded.StableDigest)
	// Beside it, nothing is left.
	rest, err := filepath.Glob(filepath.Join(c.dir, "..", ".dpone-*"))
	assert.NilError(t, err)
	assert.Equal(t, len(rest), 0)
	// What is there is not written over.
	err = Reproduce(t.Context(), Options{Record: run, Keep: keep})
	var usage *gates.UsageError
	assert.Assert(t, errors.As(err, &usage), "%v", err)
}

func TestDiverged(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	c.write(t, "ignored.txt", "no\n")
	r, _, err := c.reproduce(t, t.Context(), Options{Record: run})
	want(t, r, err, Diverged, 1, CodeDiverged)
	d := r.Report.Group(difference.Checks)[0]
	assert.Equal(t, d.Path+" "+string(d.A)+" "+string(d.B), `/steps/facts:ignored/checks/facts.file ignored.txt/observed "yes" "no"`)
	assert.Assert(t, strings.Contains(r.text(), `    now       "no"`), r.text())

	// What a step cannot tell this time is no divergence.
	assert.NilError(t, os.Remove(filepath.Join(c.dir, "ignored.txt")))
	r, _, err = c.reproduce(t, t.Context(), Options{Record: run})
	want(t, r, err, NotReproducible, 3, CodeCouldNotRun)
	assert.Assert(t, strings.Contains(r.text(), "facts:ignored: ignored.txt: there is no such file"), r.text())

	// Unless another step came to another fact.
	r, _, err = c.reproduce(t, t.Context(), Options{Record: changed(t, run, func(r *evidence.Record) {
		r.Stable.Steps[1].Checks[0].Observed = "yes, indeed"
	})})
	want(t, r, err, Diverged, 1, CodeDiverged, CodeCouldNotRun)

	// A record that could not tell is not reproduced by a run that can.
	run = c.run(t, nil, "facts")
	c.write(t, "ignored.txt", "yes\n")
	r, _, err = c.reproduce(t, t.Context(), Options{Record: run})
	want(t, r, err, Diverged, 1, CodeDiverged)
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	secret := []string{"X_TOKEN=a-secret-of-this-test", "DPONE_LOCAL_ATTESTATION_KEY=" + strings.Repeat("k", 40)}
	run := c.run(t, secret, "facts")
	r, _, err := c.reproduce(t, t.Context(), Options{Record: run, mage: []string{c.trap}})
	want(t, r, err, NotReproducible, 3, CodeSecretMissing)
	assert.Assert(t, strings.Contains(r.Reasons[0].Detail, "-without=X_TOKEN"), "%v", r.Reasons)
	assert.Assert(t, !strings.Contains(r.Reasons[0].Detail, "ATTESTATION"), "keys of evidence are not needed: %v", r.Reasons)
	r, progress, err := c.reproduce(t, t.Context(), Options{Record: run, Environ: secret})
	want(t, r, err, Reproduced, 0)
	assert.Assert(t, !strings.Contains(progress+r.text(), "a-secret-of-this-test"))
	// Without it the run is made, and comes to another fact.
	r, _, err = c.reproduce(t, t.Context(), Options{Record: run, Without: []string{"X_TOKEN"}})
	want(t, r, err, Diverged, 1, CodeDiverged)
	assert.Assert(t, strings.Contains(r.text(), "without X_TOKEN"), r.text())
}

// A record is input from outside: whatever it says, nothing of these is run.
func TestNothingIsRun(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	command := func(line string) func(*evidence.Record) {
		return func(r *evidence.Record) { r.Stable.Invocation.Command = line }
	}
	for name, test := range map[string]struct {
		change func(*evidence.Record)
		codes  []string
	}{
		"another program":            {command("rm -rf /"), []string{CodeBadCommand}},
		"a path":                     {command("/bin/mage facts"), []string{CodeBadCommand}},
		"nothing":                    {command(""), []string{CodeBadCommand}},
		"no target":                  {command("mage"), []string{CodeBadCommand}},
		"a list":                     {command("mage -l"), []string{CodeBadCommand}},
		"help":                       {command("mage -h facts"), []string{CodeBadCommand}},
		"a flag of mage":             {command("mage -t 5s facts"), []string{CodeBadCommand}},
		"another folder":             {command("mage -d /tmp facts"), []string{CodeBadCommand}},
		"compile":                    {command("mage -compile x"), []string{CodeBadCommand}},
		"a shell's second command":   {command("mage facts; touch ruined"), []string{CodeBadCommand}},
		"a shell's substitution":     {command("mage facts $(touch ruined)"), []string{CodeBadCommand}},
		"a line break":               {command("mage facts\ntouch ruined"), []string{CodeBadCommand}},
		"an unknown target":          {command("mage nope"), []string{CodeBadCommand}},
		"an unknown flag":            {command("mage facts -nope=1"), []string{CodeBadCommand}},
		"a flag of the wrong type":   {command("mage facts -n=x"), []string{CodeBadCommand}},
		"a flag twice":               {command("mage facts -n=1 -n=2"), []string{CodeBadCommand}},
		"a flag without a value":     {command("mage facts -words"), []string{CodeBadCommand}},
		"two targets":                {command("mage facts slow"), []string{CodeBadCommand}},
		"an argument":                {command("mage facts more"), []string{CodeBadCommand}},
		"what is no gate":            {command("mage ruin -out=x"), []string{CodeBadCommand}},
		"a gate's plan":              {command("mage facts -plan=true"), []string{CodeBadCommand}},
		"a value that is a flag":     {command("mage facts '-words=-exec=touch ruined'"), []string{CodeBadCommand}},
		"a value that holds a flag":  {command("mage facts '-words=./... -exec=touch'"), []string{CodeBadCommand}},
		"a list that holds a flag":   {command("mage facts -words=a,-exec=touch"), []string{CodeBadCommand}},
		"a secret that is gone":      {command("mage facts '-words=[redacted:X]'"), []string{CodeRedacted}},
		"a target that acts outside": {command("mage live"), []string{CodeOutside}},
		"a gate that acts outside":   {func(r *evidence.Record) { r.Stable.Gate.ID = "live" }, []string{CodeOutside}},
		"no name of a variable":      {func(r *evidence.Record) { r.Volatile.SecretNames = []string{"A=B"} }, []string{CodeBadRecord}},
		"a tool in another folder":   {func(r *evidence.Record) { r.Stable.Environment.Tools = []evidence.Tool{{Name: "../x"}} }, []string{CodeBadRecord}},
		"an input outside":           {func(r *evidence.Record) { r.Stable.Inputs[0].Path = "../../etc/passwd" }, []string{CodeWrongInput}},
		"no commit":                  {func(r *evidence.Record) { r.Stable.Source.Commit = "" }, []string{CodeNoCommit}},
		"another commit":             {func(r *evidence.Record) { r.Stable.Source.Commit = strings.Repeat("a", 40) }, []string{CodeWrongCommit}},
		"changes that are gone":      {func(r *evidence.Record) { r.Stable.Source.Dirty, r.Stable.Source.DirtyDigest = true, "sha256:x" }, []string{CodeNoDifference}},
		"another system":             {func(r *evidence.Record) { r.Stable.Environment.OS = "plan9" }, []string{CodeWrongPlatform}},
		"another processor":          {func(r *evidence.Record) { r.Stable.Environment.Arch = "mips" }, []string{CodeWrongPlatform}},
		"another Go":                 {func(r *evidence.Record) { r.Stable.Environment.Go = "go1.4" }, []string{CodeWrongGo}},
		"another tool": {func(r *evidence.Record) {
			r.Stable.Environment.Tools = []evidence.Tool{{Name: "gofumpt", Version: "v0.0.1"}}
		}, []string{CodeWrongTool}},
		"an input that is gone":     {func(r *evidence.Record) { r.Stable.Inputs[0].Path = "gone" }, []string{CodeWrongInput}},
		"another input":             {func(r *evidence.Record) { r.Stable.Inputs[1].SHA256 = "x" }, []string{CodeWrongInput}},
		"an input of another size":  {func(r *evidence.Record) { r.Stable.Inputs[1].Size = 77 }, []string{CodeWrongInput}},
		"an input that is a folder": {func(r *evidence.Record) { r.Stable.Inputs[1].Path = "magefiles" }, []string{CodeWrongInput}},
		"all at once": {func(r *evidence.Record) {
			r.Stable.Invocation.Command, r.Stable.Environment.Go, r.Stable.Source.Commit = "sh -c x", "go1.4", "x"
			r.Volatile.SecretNames = []string{"MISSING_TOKEN"}
		}, []string{CodeBadCommand, CodeWrongGo, CodeWrongCommit, CodeSecretMissing}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, progress, err := c.reproduce(t, t.Context(), Options{Record: changed(t, run, test.change), mage: []string{c.trap}})
			want(t, r, err, NotReproducible, 3, test.codes...)
			assert.Assert(t, !strings.Contains(progress, "planning"), progress)
			for _, path := range []string{c.trap + ".sprung", filepath.Join(c.dir, "ruined"), "ruined"} {
				_, err := os.Lstat(path)
				assert.Assert(t, errors.Is(err, os.ErrNotExist), path)
			}
		})
	}
}

// The trap of the test before works.
func TestTheTrap(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	r, _, err := c.reproduce(t, t.Context(), Options{Record: c.run(t, nil, "facts"), mage: []string{c.trap}})
	want(t, r, err, NotReproducible, 3, CodeNoPlan) // the trap prints none
	_, err = os.Lstat(c.trap + ".sprung")
	assert.NilError(t, err)
}

func TestCheckoutIsAnother(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	refused := func(code string, o Options) {
		t.Helper()
		o.Record, o.mage = run, []string{c.trap}
		r, _, err := c.reproduce(t, t.Context(), o)
		want(t, r, err, NotReproducible, 3, code)
	}
	c.write(t, "more.txt", "x")
	refused(CodeDirty, Options{})
	// A record about changes is reproduced where the same changes are.
	dirty := c.run(t, nil, "facts")
	r, _, err := c.reproduce(t, t.Context(), Options{Record: dirty})
	want(t, r, err, Reproduced, 0)
	c.write(t, "more.txt", "y")
	run = dirty
	refused(CodeNoDifference, Options{})
	assert.NilError(t, os.Remove(filepath.Join(c.dir, "more.txt")))
	refused(CodeNoDifference, Options{})
	gatetest.Git(t, c.dir, "commit", "-q", "--allow-empty", "-m", "next")
	refused(CodeWrongCommit, Options{})

	// Less history than there was.
	shallow := newCheckout(t)
	run = shallow.run(t, nil, "facts")
	assert.NilError(t, os.Rename(shallow.dir, shallow.dir+".whole"))
	gatetest.Git(t, shallow.dir+".whole", "commit", "-q", "--allow-empty", "-m", "next")
	gatetest.Git(t, shallow.dir+".whole", "clone", "-q", "--depth=1", "file://"+shallow.dir+".whole", shallow.dir)
	run = changed(t, filepath.Join(shallow.dir+".whole", "test_artifacts", "x", "y", filepath.Base(run)), func(r *evidence.Record) {
		r.Stable.Source.Commit = strings.TrimSpace(output(t, shallow.dir, "git", "rev-parse", "HEAD"))
		r.Stable.Inputs = nil
	})
	r, _, err = shallow.reproduce(t, t.Context(), Options{Record: run, mage: []string{c.trap}})
	want(t, r, err, NotReproducible, 3, CodeShallow)
	r, _, err = shallow.reproduce(t, t.Context(), Options{Record: changed2(t, run, func(r *evidence.Record) { r.Volatile.Origin.Shallow = true }), mage: []string{c.trap}})
	want(t, r, err, NotReproducible, 3, CodeNoPlan) // as far as the trap

	// No repository at all.
	assert.NilError(t, os.RemoveAll(filepath.Join(c.dir, ".git")))
	run = dirty
	refused(CodeUnknownSource, Options{})
}

// changed2 is changed for a record that lies in no folder of a run.
func changed2(t *testing.T, path string, change func(*evidence.Record)) string {
	t.Helper()
	record, sealed, err := readRecord(t.Context(), path)
	assert.NilError(t, err)
	assert.Assert(t, !sealed)
	change(record)
	assert.NilError(t, record.Seal())
	raw, err := record.Encode()
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, raw, 0o644))
	return path
}

func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	assert.NilError(t, err)
	return string(out)
}

func TestTheGateIsAnother(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	for name, change := range map[string]func(*evidence.Record){
		"another gate":   func(r *evidence.Record) { r.Stable.Gate.ID = "other" },
		"another target": func(r *evidence.Record) { r.Stable.Invocation.Command = "mage slow" },
		"other steps":    func(r *evidence.Record) { r.Stable.Invocation.Command = "mage renamed" },
		"a step more":    func(r *evidence.Record) { r.Stable.Steps = append(r.Stable.Steps, evidence.Step{ID: "x"}) },
	} {
		r, progress, err := c.reproduce(t, t.Context(), Options{Record: changed(t, run, change)})
		want(t, r, err, NotReproducible, 3, CodeWrongGate)
		assert.Assert(t, !strings.Contains(progress, "running"), "%s: %s", name, progress)
	}
	// Options that the gate refuses, or a mage that does not start.
	r, _, err := c.reproduce(t, t.Context(), Options{Record: changed(t, run, func(r *evidence.Record) { r.Stable.Invocation.Command = "mage facts -timeout=-1s" })})
	want(t, r, err, NotReproducible, 3, CodeNoPlan)
	r, _, err = c.reproduce(t, t.Context(), Options{Record: run, mage: []string{"no-such-mage"}})
	want(t, r, err, NotReproducible, 3, CodeNoPlan)
}

// A run that leaves no record, or several that could be it.
func TestNoRecord(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	for name, script := range map[string]string{
		"nothing": `exit 3`,
		"twice":   c.runner + " facts; " + c.runner + " facts",
		"another": c.runner + " facts -n=1",
		"edited":  c.runner + ` facts; for f in $DPONE_ARTIFACTS/x/y/2*/record.json; do echo >> $f; done`,
	} {
		mage := filepath.Join(t.TempDir(), "mage")
		plan := "case \"$*\" in *-plan*) exec " + c.runner + " \"$@\";; esac\n"
		assert.NilError(t, os.WriteFile(mage, []byte("#!/bin/sh\n"+plan+script+"\n"), 0o755))
		r, _, err := c.reproduce(t, t.Context(), Options{Record: run, mage: []string{mage}})
		want(t, r, err, NotReproducible, 3, CodeNoRecord)
		assert.Assert(t, r.Report == nil, name)
	}
}

func TestStopped(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	c.write(t, "fast", "")
	run := c.run(t, nil, "slow")
	assert.NilError(t, os.Remove(filepath.Join(c.dir, "fast")))
	parent := t.TempDir()
	keep := filepath.Join(parent, "kept")
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		poll.WaitOn(t, func(poll.LogT) poll.Result {
			if _, err := os.Stat(filepath.Join(c.dir, "started")); err != nil {
				return poll.Continue("not started")
			}
			return poll.Success()
		}, poll.WithTimeout(time.Minute), poll.WithDelay(20*time.Millisecond))
		cancel(&gates.SignalError{Name: "SIGINT"})
	}()
	r, _, err := c.reproduce(t, ctx, Options{Record: run, Keep: keep})
	want(t, r, err, NotReproducible, 130, CodeInterrupted)
	left, err := os.ReadDir(parent)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0, "nothing is half written")

	r, _, err = c.reproduce(t, t.Context(), Options{Record: run, Timeout: time.Nanosecond})
	want(t, r, err, NotReproducible, 3, CodeTimeout)
	ctx, cancelPlain := context.WithCancel(t.Context())
	cancelPlain()
	r, _, err = c.reproduce(t, ctx, Options{Record: run})
	want(t, r, err, NotReproducible, 3, CodeInterrupted)
}

func TestReproduceReadsStrictly(t *testing.T) {
	t.Parallel()
	c := newCheckout(t)
	run := c.run(t, nil, "facts")
	path := filepath.Join(run, "record.json")
	raw, err := os.ReadFile(path)
	assert.NilError(t, err)
	refused := func(code, record string) {
		t.Helper()
		r, _, err := c.reproduce(t, t.Context(), Options{Record: record, mage: []string{c.trap}})
		want(t, r, err, NotReproducible, 3, code)
	}
	refused(CodeUnreadable, filepath.Join(run, "no-such.json"))
	refused(CodeUnreadable, filepath.Join(c.dir, "no", "such"))
	refused(CodeBadRecord, filepath.Join(run, "record.md")) // listed, and no record
	bare := filepath.Join(t.TempDir(), "record.json")
	for name, bad := range map[string]string{
		"edited": strings.Replace(string(raw), `"PASS"`, `"FAIL"`, 1), "a key more": strings.Replace(string(raw), "{", `{"x":1,`, 1), "empty": "",
	} {
		assert.NilError(t, os.WriteFile(bare, []byte(bad), 0o644))
		refused(CodeBadRecord, bare)
		_ = name
	}
	assert.NilError(t, os.Remove(bare))
	assert.NilError(t, os.Symlink(path, bare))
	refused(CodeBadRecord, bare)
	// Good on its own, and not what the index says.
	forged := changed(t, run, func(r *evidence.Record) { r.Stable.Steps[1].Checks[0].Observed = "forged" })
	text, err := os.ReadFile(forged)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(path, text, 0o644))
	refused(CodeBadRecord, path)
	assert.NilError(t, os.WriteFile(path, raw, 0o644))
	assert.NilError(t, os.WriteFile(filepath.Join(run, "index.json"), []byte("{}"), 0o644))
	refused(CodeBadRecord, path)
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, err := range map[string]error{
		"no record":        Reproduce(t.Context(), Options{}),
		"format":           Reproduce(t.Context(), Options{Record: "x", Format: "md"}),
		"timeout":          Reproduce(t.Context(), Options{Record: "x", Timeout: -1}),
		"keep in nothing":  Reproduce(t.Context(), Options{Record: "x", Keep: filepath.Join(dir, "no", "such")}),
		"keep over a file": Reproduce(t.Context(), Options{Record: "x", Keep: dir}),
		"diff's a":         Diff(t.Context(), DiffOptions{B: "x"}),
		"diff's b":         Diff(t.Context(), DiffOptions{A: dir}),
		"diff's format":    Diff(t.Context(), DiffOptions{A: "x", B: "x", Format: "yaml"}),
	} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(err, &usage), "%s: %v", name, err)
		assert.Equal(t, usage.ExitStatus(), 2)
	}
}

// No record can put a variable in the place of one that we set.
func TestEnviron(t *testing.T) {
	t.Parallel()
	a := &attempt{
		opts: Options{
			Environ: []string{"PATH=/bin", "STRAY=x", "DPONE_ARTIFACTS=/theirs", "DPONE_SIGNING_KEY=k", "DPONE_SECRET_NAMES=MINE", "PASSED=p", "EMPTY="},
			Pass:    []string{"PASSED", "DPONE_SIGNING_KEY", "EMPTY"},
		},
		result: newResult(reproduceCommand),
		record: &evidence.Record{Volatile: evidence.Volatile{SecretNames: []string{"DPONE_ARTIFACTS", "DPONE_SIGNING_KEY"}}},
	}
	a.environment()
	assert.Equal(t, len(a.result.Reasons), 0)
	environ := a.environ("plain", "/ours")
	last := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		last[name] = value
	}
	for name, value := range map[string]string{"PATH": "/bin", "DPONE_ARTIFACTS": "/ours", "DPONE_OUTPUT": "plain", "PASSED": "p", "DPONE_SECRET_NAMES": "MINE,DPONE_ARTIFACTS", "GOFLAGS": ""} {
		assert.Equal(t, last[name], value, name)
	}
	for _, name := range []string{"STRAY", "DPONE_SIGNING_KEY", "EMPTY"} {
		_, there := last[name]
		assert.Assert(t, !there, name)
	}
}

// TestRunbook holds that every code is explained.
func TestRunbook(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/runbooks.md")
	assert.NilError(t, err)
	code, err := os.ReadFile("result.go")
	assert.NilError(t, err)
	codes := regexp.MustCompile(`(?m)^\tCode\w+ += "(\w+)"`).FindAllStringSubmatch(string(code), -1)
	assert.Equal(t, len(codes), 25)
	sections := ""
	for _, name := range []string{"evidence reproduce", "evidence diff"} {
		_, section, ok := strings.Cut(string(raw), "\n## "+name+"\n")
		assert.Assert(t, ok, name)
		section, _, _ = strings.Cut(section, "\n## ")
		for _, part := range []string{"**Symptom.**", "**Reproduce.**", "**Fix.**", "**Never do.**"} {
			assert.Assert(t, strings.Contains(section, part), "%s has no %s", name, part)
		}
		sections += section
	}
	for _, c := range codes {
		assert.Check(t, strings.Contains(sections, "`"+c[1]+"`"), c[1])
	}
}
