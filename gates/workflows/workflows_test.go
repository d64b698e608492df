package workflows

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

// project is the inventory of testdata/good.txtar.
func project() Inventory {
	return Inventory{
		Workflows: []Workflow{
			{
				File: "ci.yml", Name: "CI", State: Present, On: Trigger{Push: true, PullRequest: true, ByHand: true},
				Jobs: []Job{{
					ID: "gate", Gates: []string{"ci"}, Parts: []string{"ci:lint", "ci:test"},
					Artifacts: []Artifact{{Name: "gate-<run_id>", Path: "test_artifacts/ci/", Days: 90}},
				}},
			},
			{
				File: "nightly.yml", Name: "Nightly", State: Present,
				On: Trigger{Schedule: "17 3 * * 1", ByHand: true, Inputs: []Input{
					{Name: "mode", Default: "mock_local", Options: []string{"mock_local", "vendor_live"}}, {Name: "shards", Default: "4"},
				}},
				Jobs: []Job{
					{
						ID: "plan", Helpers: []string{"matrix:plan"}, Actions: []string{"github/codeql-action"},
						Grants: []Grant{{Scope: "security-events: write"}},
					},
					{
						ID: "live", Gates: []string{"matrix:vendorLive"}, Secrets: []Secret{{Name: "LIVE_DSN"}},
						Artifacts: []Artifact{{Name: "live", Path: "test_artifacts/live/", Days: 30}},
					},
				},
			},
			{File: "release.yml", Name: "Release", State: Planned},
		},
		ByHand: []Reason{{"doctor", "by hand"}, {"matrix:shard", "by hand"}},
		Slow:   []Reason{{"matrix:shard", "takes long"}, {"matrix:vendorLive", "needs credentials"}},
		Live:   []string{"matrix:vendorLive"},
		Families: []Family{
			{"actions/checkout", "v6", "Node 24"},
			{"actions/setup-go", "v6.2", "Node 24"},
			{"actions/upload-artifact", "v6", "Node 24"},
			{"actions/download-artifact", "v7", "Node 24"},
			{"github/codeql-action", "v4", "maintained"},
		},
	}
}

func good(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/good.txtar")
	assert.NilError(t, err)
	return string(raw)
}

// tree writes a source tree without git.
func tree(t testing.TB, archive string) string {
	t.Helper()
	dir := t.TempDir()
	gatetest.Write(t, dir, archive)
	return dir
}

func lookAt(t testing.TB, root string, inventory Inventory) *looker {
	t.Helper()
	l, err := look(root, os.DirFS(filepath.Join(root, "magefiles")), Options{Inventory: inventory})
	assert.NilError(t, err)
	return l
}

func TestGoodWorkflowsAreGreen(t *testing.T) {
	t.Parallel()
	l := lookAt(t, tree(t, good(t)), project())
	assert.Equal(t, len(l.findings), 0, "%v", l.findings)
	assert.Equal(t, len(l.files), 2)
	for _, check := range l.checks() {
		assert.Equal(t, check.Verdict, evidence.Pass, check.Code)
	}
	assert.Equal(t, len(l.checks()), len(Rules()))
}

// A plant is one change of the good tree. Exactly its code turns red, at the line that holds mark.
type plant struct {
	name      string
	old, new  string // in the archive; old stands there, and its first occurrence is changed
	inventory func(*Inventory)
	code      string
	mark      string // in the line of the finding; "" for a finding without a line
	says      string // in what is observed or in the fix
}

var plants = []plant{
	{name: "too large", old: "# The default gate.", new: "# " + strings.Repeat("x", maxFile), code: codeFile, says: "larger than 262144 bytes"},
	{name: "no YAML", old: "permissions:\n  contents: read\n", new: "permissions: [\n", code: codeYAML, says: "did not find"},
	{name: "tab", old: "  group: ci-", new: "\tgroup: ci-", code: codeYAML, mark: "\tgroup:"},
	{name: "doubled key", old: "    timeout-minutes: 30\n", new: "    timeout-minutes: 30\n    timeout-minutes: 40\n", code: codeDuplicate, mark: "timeout-minutes: 40", says: `"timeout-minutes" is duplicated`},
	{name: "alias", old: "    branches: [master]\n  pull_request:\n    branches: [master]", new: "    branches: &b [master]\n  pull_request:\n    branches: *b", code: codeAlias, mark: "branches: *b"},
	{name: "unknown key", old: "    runs-on: ubuntu-24.04\n    timeout-minutes: 30", new: "    runs-on: ubuntu-24.04\n    timeout-minuts: 3\n    timeout-minutes: 30", code: codeSyntax, mark: "timeout-minuts"},
	{name: "no jobs", old: "    runs-on: ubuntu-24.04\n    timeout-minutes: 30\n    steps:", new: "    timeout-minutes: 30\n    steps:", code: codeSyntax, mark: "  gate:"},
	{name: "unknown runner", old: "runs-on: ubuntu-24.04", new: "runs-on: ubuntu-1804", code: codeLint, mark: "ubuntu-1804", says: "unknown"},
	{name: "unknown context", old: "group: ci-${{ github.ref }}", new: "group: ci-${{ github.reff }}", code: codeLint, mark: "github.reff"},
	{name: "another program", old: "run: go install tool", new: "run: npm ci", code: codeRun, mark: "npm ci", says: "npm ci"},
	{name: "go tool mage", old: "run: exec mage ci", new: "run: go tool mage ci", code: codeRun, mark: "go tool mage"},
	{name: "two targets", old: "run: exec mage ci\n", new: "run: exec mage ci ci:lint\n", inventory: func(i *Inventory) {
		i.Workflows[0].Jobs[0].Helpers = []string{"ci:lint"}
	}, code: codeRun, mark: "exec mage", says: "2 targets"},
	{name: "unknown target", old: "run: exec mage ci\n", new: "run: exec mage ci:tset\n", code: codeTarget, mark: "ci:tset", says: "the nearest is ci:test"},
	{name: "unknown flag", old: "-mode=mock_local", new: "-mod=mock_local", code: codeTarget, mark: "matrix:plan", says: "the nearest is -mode"},
	{name: "wrong type", old: `-shards="$SHARDS"`, new: `-shards=four`, code: codeTarget, mark: "matrix:plan", says: "of type int"},
	{name: "a variable for a target", old: "run: exec mage ci\n", new: "run: exec mage \"$GITHUB_JOB\"\n", code: codeTarget, mark: "GITHUB_JOB", says: "no such target"},
	{name: "no target", old: "run: exec mage ci\n", new: "run: exec mage\n", code: codeTarget, mark: "exec mage", says: "no target is named"},
	{name: "unset variable", old: `-shards="$SHARDS"`, new: `-shards="$SHARD"`, code: codeVariable, mark: "matrix:plan", says: "$SHARD is not set"},
	{name: "expression", old: `-shards="$SHARDS"`, new: `-shards=${{ inputs.shards }}`, code: codeExpression, mark: "matrix:plan", says: "${{ inputs.shards }}"},
	{name: "pipe", old: "run: exec mage ci\n", new: "run: exec mage ci | tee log\n", code: codePipe, mark: "tee log", says: "| tee"},
	{name: "or true", old: "run: exec mage ci\n", new: "run: exec mage ci || true\n", code: codeMasked, mark: "|| true", says: "|| true"},
	{name: "negated", old: "run: exec mage ci\n", new: "run: \"! mage ci\"\n", code: codeMasked, mark: "! mage"},
	{name: "here-document", old: "run: exec mage ci\n", new: "run: |\n          mage ci <<EOF\n          {\"passed\": true}\n          EOF\n", code: codeHeredoc, mark: "run: |"},
	{name: "two lines", old: "run: exec mage ci\n", new: "run: |\n          mage ci\n          mage ci\n", code: codeScript, mark: "run: |", says: "more than one line"},
	{name: "and", old: "run: exec mage ci\n", new: "run: mage ci && mage ci\n", code: codeScript, mark: "&&"},
	{name: "redirection", old: "run: exec mage ci\n", new: "run: mage ci > log\n", code: codeScript, mark: "> log"},
	{name: "substitution", old: "run: exec mage ci\n", new: "run: mage ci \"-plan=$(cat x)\"\n", code: codeScript, mark: "cat x"},
	{name: "unquoted variable", old: `-shards="$SHARDS"`, new: `-shards=$SHARDS`, code: codeScript, mark: "matrix:plan", says: "without quotes"},
	{name: "another shell", old: "run: exec mage ci\n", new: "run: exec mage ci\n        shell: bash\n", code: codeScript, mark: "exec mage ci"},
	{name: "default shell", old: "concurrency:\n  group: ci", new: "defaults:\n  run:\n    shell: bash\nconcurrency:\n  group: ci", code: codeScript, mark: "defaults:"},
	{name: "step may fail", old: "      - name: Gate\n", new: "      - name: Gate\n        continue-on-error: true\n", code: codeContinue, mark: "continue-on-error"},
	{name: "job may fail", old: "    timeout-minutes: 30\n", new: "    timeout-minutes: 30\n    continue-on-error: ${{ github.ref != 'x' }}\n", code: codeContinue, mark: "continue-on-error"},
	{name: "foreign action", old: "actions/setup-go@", new: "evil/setup-go@", code: codeAction, mark: "evil/setup-go"},
	{name: "action of another job", old: "uses: actions/setup-go@2222222222222222222222222222222222222222 # v6.4.0\n        with:\n          go-version-file: go.mod", new: "uses: actions/download-artifact@2222222222222222222222222222222222222222 # v7.0.0", code: codeAction, mark: "download-artifact", says: "for job gate"},
	{name: "container action", old: "uses: actions/setup-go@2222222222222222222222222222222222222222 # v6.4.0\n        with:\n          go-version-file: go.mod", new: "uses: docker://alpine:3.20", code: codeAction, mark: "docker://"},
	{name: "unknown input", old: "go-version-file: go.mod", new: "go-version-fil: go.mod", code: codeInput, mark: "go-version-fil", says: "go-version-file"},
	{name: "tag", old: "actions/setup-go@2222222222222222222222222222222222222222 # v6.4.0", new: "actions/setup-go@v6 # v6.4.0", code: codePin, mark: "actions/setup-go"},
	{name: "short commit", old: "actions/setup-go@2222222222222222222222222222222222222222", new: "actions/setup-go@2222222", code: codePin, mark: "actions/setup-go"},
	{name: "no version", old: " # v6.4.0", new: "", code: codePin, mark: "actions/setup-go", says: "no version"},
	{name: "two commits of one action", old: "uses: actions/upload-artifact@3333333333333333333333333333333333333333", new: "uses: actions/upload-artifact@5555555555555555555555555555555555555555", code: codePin, says: "ci.yml"},
	{name: "below the baseline", old: "# v6.4.0", new: "# v6.1.0", code: codeBaseline, mark: "actions/setup-go", says: "below v6.2"},
	{name: "token left behind", old: "          persist-credentials: false\n", new: "          persist-credentials: true\n", code: codeCredentials, mark: "actions/checkout"},
	{name: "no permissions", old: "permissions:\n  contents: read\n\nconcurrency", new: "concurrency", code: codePermissions, mark: "The default gate"},
	{name: "read-all", old: "permissions: {}", new: "permissions: read-all", code: codePermissions, mark: "permissions: read-all"},
	{name: "write for all jobs", old: "permissions:\n  contents: read\n\nconcurrency", new: "permissions:\n  contents: write\n\nconcurrency", code: codePermissions, mark: "contents: write"},
	{name: "grant without a reason", old: " # findings go to code scanning", new: "", code: codeGrant, mark: "security-events: write", says: "without a reason"},
	{name: "grant beyond the inventory", old: "      security-events: write #", new: "      pull-requests: write # to comment\n      security-events: write #", code: codeGrant, mark: "pull-requests: write"},
	{name: "write-all", old: "    permissions:\n      contents: read\n    env:", new: "    permissions: write-all\n    env:", code: codeGrant, mark: "write-all"},
	{name: "grant that is gone", old: "      security-events: write # findings go to code scanning\n", new: "", code: codeGrant, mark: "  plan:"},
	{name: "secret for pull requests", old: "    timeout-minutes: 30\n", new: "    timeout-minutes: 30\n    env:\n      KEY: ${{ secrets.KEY }}\n", code: codePullRequest, mark: "secrets.KEY"},
	{name: "secret for pull requests by index", old: "    timeout-minutes: 30\n", new: "    timeout-minutes: 30\n    env:\n      KEY: ${{ SECRETS['KEY'] }}\n", code: codePullRequest, mark: "SECRETS["},
	{name: "secret for outsiders", old: "on:\n  schedule:", new: "on:\n  issue_comment:\n  schedule:", inventory: func(i *Inventory) {
		i.Workflows[1].On.Others = []string{"issue_comment"}
	}, code: codeFork, mark: "secrets.LIVE_DSN", says: "issue_comment"},
	{name: "secret for outsiders after a run", old: "on:\n  schedule:", new: "on:\n  workflow_run:\n    workflows: [CI]\n  schedule:", inventory: func(i *Inventory) {
		i.Workflows[1].On.Others = []string{"workflow_run"}
	}, code: codeFork, mark: "secrets.LIVE_DSN", says: "workflow_run"},
	{name: "secret for all jobs", old: "  SHARDS: ${{ inputs.shards }}", new: "  SHARDS: ${{ inputs.shards }}\n  LIVE_DSN: ${{ secrets.LIVE_DSN }}", code: codeScope, mark: "  LIVE_DSN: ${{ secrets.LIVE_DSN }}"},
	{name: "secret of another job", old: "      - run: exec mage matrix:plan", new: "      - env:\n          LIVE_DSN: ${{ secrets.LIVE_DSN }}\n        run: exec mage matrix:plan", code: codeScope, mark: "          LIVE_DSN", says: "for job plan"},
	{name: "all secrets", old: "      LIVE_DSN: ${{ secrets.LIVE_DSN }}", new: "      LIVE_DSN: ${{ secrets.LIVE_DSN }}\n      ALL: ${{ toJSON(secrets) }}", code: codeScope, mark: "toJSON", says: "all secrets"},
	{name: "live without its secret", old: "    env:\n      LIVE_DSN: ${{ secrets.LIVE_DSN }}\n", new: "", code: codeVendorLive, mark: "matrix:vendorLive", says: "LIVE_DSN"},
	{name: "live that lists no secret", old: "    env:\n      LIVE_DSN: ${{ secrets.LIVE_DSN }}\n", new: "", inventory: func(i *Inventory) {
		i.Workflows[1].Jobs[1].Secrets = nil
	}, code: codeVendorLive, mark: "matrix:vendorLive", says: "lists no secret"},
	{name: "live without a job", old: "run: exec mage matrix:vendorLive", new: "run: exec mage matrix:shard", inventory: func(i *Inventory) {
		i.Workflows[1].Jobs[1].Gates = []string{"matrix:shard"}
		i.ByHand = []Reason{{"doctor", ""}, {"matrix:vendorLive", ""}}
	}, code: codeVendorLive, mark: "options:", says: "no job"},
	{name: "main", old: "  push:\n    branches: [master]", new: "  push:\n    branches: [main]", code: codeBranch, mark: "  push:", says: "[main]"},
	{name: "every branch", old: "  pull_request:\n    branches: [master]", new: "  pull_request:", code: codeBranch, mark: "  pull_request:"},
	{name: "pull_request_target", old: "  workflow_dispatch:\n\npermissions", new: "  workflow_dispatch:\n  pull_request_target:\n\npermissions", inventory: func(i *Inventory) {
		i.Workflows[0].On.Others = []string{"pull_request_target"}
	}, code: codePRTarget, mark: "pull_request_target"},
	{name: "slow for pull requests", old: "run: exec mage ci\n", new: "run: exec mage matrix:shard\n", inventory: func(i *Inventory) {
		i.Workflows[0].Jobs[0].Gates = []string{"matrix:shard"}
		i.ByHand = []Reason{{"doctor", ""}, {"ci", ""}}
	}, code: codeSlow, mark: "matrix:shard", says: "takes long"},
	{name: "another time", old: "17 3 * * 1", new: "17 4 * * 1", code: codeTrigger, says: "17"},
	{name: "another default", old: "        default: mock_local", new: "        default: vendor_live", code: codeTrigger, says: "input mode"},
	{name: "no timeout", old: "    timeout-minutes: 30\n", new: "", code: codeTimeout, mark: "  gate:"},
	{name: "endless", old: "    timeout-minutes: 30\n", new: "    timeout-minutes: 999\n", code: codeTimeout, mark: "timeout-minutes", says: "999"},
	{name: "no concurrency", old: "concurrency:\n  group: nightly\n\n", new: "", code: codeConcurrency, mark: "name: Nightly"},
	{name: "no upload after red", old: "        if: always()\n", new: "", code: codeUpload, mark: "actions/upload-artifact"},
	{name: "upload only after red", old: "        if: always()\n", new: "        if: failure()\n", code: codeUpload, mark: "actions/upload-artifact"},
	{name: "empty upload", old: "          if-no-files-found: error\n", new: "", code: codeUpload, mark: "actions/upload-artifact"},
	{name: "no upload", old: "      - name: Upload\n        if: always()\n        uses: actions/upload-artifact@3333333333333333333333333333333333333333 # v7.0.1\n        with:\n          name: gate-${{ github.run_id }}\n          path: test_artifacts/ci/\n          if-no-files-found: error\n          retention-days: 90\n", new: "", code: codeUpload, mark: "  gate:", says: "keeps nothing"},
	{name: "no retention", old: "          retention-days: 90\n", new: "", code: codeRetention, mark: "actions/upload-artifact"},
	{name: "another retention", old: "          retention-days: 90\n", new: "          retention-days: 9\n", code: codeRetention, mark: "actions/upload-artifact", says: "says 90"},
	{name: "another name", old: "name: gate-${{ github.run_id }}", new: "name: gate", inventory: func(i *Inventory) {
		a := &i.Workflows[0].Jobs[0].Artifacts
		*a = append(*a, Artifact{Name: "gate", Path: "test_artifacts/ci/", Days: 90})
	}, code: codeArtifact, mark: "  gate:", says: "gate-<run_id>"},
	{name: "unknown artifact", old: "", new: "", inventory: func(i *Inventory) { i.Workflows[0].Jobs[0].Artifacts = nil }, code: codeArtifact, mark: "actions/upload-artifact"},
	{name: "another path", old: "path: test_artifacts/ci/", new: "path: ./", code: codeArtifact, mark: "actions/upload-artifact"},
	{name: "unknown workflow", old: "", new: "", inventory: func(i *Inventory) {
		i.Workflows = slices.Delete(i.Workflows, 0, 1)
		i.ByHand = append(i.ByHand, Reason{"ci", ""}, Reason{"ci:lint", ""}, Reason{"ci:test", ""})
		i.ByHand = slices.DeleteFunc(i.ByHand, func(r Reason) bool { return r.Target == "ci" })
		i.Workflows[1].Jobs = []Job{{Gates: []string{"ci"}}}
	}, code: codeInventory, says: "not in the inventory"},
	{name: "missing workflow", old: "", new: "", inventory: func(i *Inventory) { i.Workflows[2].State = Present }, code: codeInventory, says: "not there"},
	{name: "planned, but there", old: "-- .github/workflows/ci.yml --", new: "-- .github/workflows/release.yml --\nname: Release\non:\n  push:\n    tags: [v1]\npermissions: {}\nconcurrency:\n  group: release\njobs:\n  none:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 1\n    steps:\n      - run: go install tool\n-- .github/workflows/ci.yml --", code: codeInventory, says: "planned"},
	{name: "another title", old: "name: Nightly", new: "name: Weekly", code: codeInventory, mark: "name: Weekly"},
	{name: "unknown job", old: "  gate:\n", new: "  lint:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 9\n    steps:\n      - run: go install tool\n  gate:\n", code: codeInventory, mark: "  lint:"},
	{name: "missing job", old: "", new: "", inventory: func(i *Inventory) {
		i.Workflows[0].Jobs = append(i.Workflows[0].Jobs, Job{ID: "gone"})
	}, code: codeInventory, says: "no job gone"},
	{name: "gate that no workflow calls", old: "// Doctor looks at the machine.\n", new: "// Extra is new.\nfunc Extra() error { return nil }\n\n// Doctor looks at the machine.\n", code: codeGate, says: "extra is called by no workflow"},
	{name: "documented gate that is not called", old: "      - name: Gate\n        run: exec mage ci\n", new: "", code: codeGate, mark: "  gate:", says: "does not call ci"},
	{name: "call that is not documented", old: "        run: exec mage ci\n", new: "        run: exec mage ci\n      - run: exec mage ci:lint\n", code: codeGate, mark: "ci:lint", says: "ci:lint is not in the inventory"},
	{name: "gate that never runs", old: "      - name: Gate\n", new: "      - name: Gate\n        if: ${{ false }}\n", code: codeLint, mark: "${{ false }}", says: "constant"},
	{name: "by hand, but called", old: "", new: "", inventory: func(i *Inventory) { i.ByHand = append(i.ByHand, Reason{"ci", ""}) }, code: codeGate, says: "in the list of those by hand"},
	{name: "by hand, twice", old: "", new: "", inventory: func(i *Inventory) { i.ByHand = append(i.ByHand, i.ByHand[0]) }, code: codeGate, says: "doctor is twice in the list of those by hand"},
	{name: "slow, twice", old: "", new: "", inventory: func(i *Inventory) { i.Slow = append(i.Slow, i.Slow[0]) }, code: codeGate, says: "is twice in the list of those that take long"},
	{name: "by hand, but gone", old: "", new: "", inventory: func(i *Inventory) { i.ByHand = append(i.ByHand, Reason{"gone", ""}) }, code: codeGate, says: "no such target"},
}

func TestEachPlantTurnsItsRuleRed(t *testing.T) {
	t.Parallel()
	for _, plant := range plants {
		t.Run(plant.name, func(t *testing.T) {
			t.Parallel()
			archive := good(t)
			assert.Assert(t, strings.Contains(archive, plant.old), "the good tree has no %q", plant.old)
			if plant.old != "" {
				archive = strings.Replace(archive, plant.old, plant.new, 1)
			}
			inventory := project()
			if plant.inventory != nil {
				plant.inventory(&inventory)
			}
			root := tree(t, archive)
			l := lookAt(t, root, inventory)
			assert.DeepEqual(t, l.codes(), []string{plant.code})
			said := false
			for _, f := range l.findings {
				assert.Assert(t, f.observed != "" && f.fix != "" && f.path != "")
				said = said || strings.Contains(f.observed+"\n"+f.fix, plant.says)
				if plant.mark == "" {
					continue
				}
				raw, err := os.ReadFile(filepath.Join(root, f.path))
				assert.NilError(t, err)
				assert.Assert(t, f.line > 0, f.observed)
				line := strings.Split(string(raw), "\n")[f.line-1]
				assert.Assert(t, strings.Contains(line, plant.mark), "%s:%d %q (%s)", f.path, f.line, line, f.observed)
			}
			assert.Assert(t, said, "%v", l.findings)
		})
	}
}

// A rule that no test can turn red holds nothing.
func TestEachRuleHasAPlant(t *testing.T) {
	t.Parallel()
	for _, rule := range Rules() {
		planted := slices.ContainsFunc(plants, func(p plant) bool { return p.code == rule.Code })
		assert.Check(t, planted, rule.Code)
		assert.Check(t, rule.Holds != "", rule.Code)
	}
}

// All that is wrong is told at once, in the order of the rules, and the record is red.
func TestGate(t *testing.T) {
	t.Parallel()
	archive := good(t)
	root := gatetest.Repository(t, archive)
	outcome := gatetest.Run(t, Gate(Options{Inventory: project()}), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 0)
	step := gatetest.Step(t, outcome, Check)
	assert.Equal(t, len(step.Checks), len(Rules()))

	archive = strings.Replace(archive, "run: exec mage ci\n", "run: exec mage ci | tee log\n", 1)
	archive = strings.Replace(archive, "    timeout-minutes: 30\n", "", 1)
	archive = strings.Replace(archive, "  group: nightly\n", "  group: nightly\n  group: weekly\n", 1)
	gatetest.Write(t, root, archive)
	outcome = gatetest.Run(t, Gate(Options{Inventory: project()}), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 1)
	var red []string
	for _, check := range gatetest.Step(t, outcome, Check).Checks {
		if check.Verdict == evidence.Fail {
			red = append(red, check.Code+" "+check.Subject)
		}
	}
	assert.DeepEqual(t, red, []string{
		"workflows.duplicate .github/workflows/nightly.yml:21",
		"workflows.pipe .github/workflows/ci.yml:33",
		"workflows.timeout .github/workflows/ci.yml:19",
	})
}

func TestWithoutWorkflowsNothingCanBeTold(t *testing.T) {
	t.Parallel()
	archive := good(t)
	before, _, _ := strings.Cut(archive, "-- .github")
	for name, tc := range map[string]struct{ archive, says string }{
		"no folder":    {before, "there is none"},
		"empty folder": {before + "-- .github/workflows/README.md --\nnothing\n", "no file there ends in .yml"},
	} {
		root := gatetest.Repository(t, tc.archive)
		outcome := gatetest.Run(t, Gate(Options{Inventory: project()}), gates.Options{Root: root})
		assert.Equal(t, outcome.ExitCode(), 3, name)
		checks := gatetest.Step(t, outcome, Check).Checks
		assert.Equal(t, len(checks), 1, name)
		assert.Equal(t, checks[0].Code, codeFolder)
		assert.Assert(t, strings.Contains(checks[0].Reason, tc.says), checks[0].Reason)
	}
}

func TestFilesThatAreNone(t *testing.T) {
	t.Parallel()
	root := tree(t, good(t))
	path := filepath.Join(root, dir, "ci.yml")
	assert.NilError(t, os.Rename(path, filepath.Join(root, "elsewhere.yml")))
	assert.NilError(t, os.Symlink("../../elsewhere.yml", path))
	l := lookAt(t, root, project())
	assert.DeepEqual(t, l.codes(), []string{codeFile})
	assert.Equal(t, l.findings[0].observed, "no regular file")

	// What the system does not let us read is no finding, and not green either. This account may read every file.
	l = &looker{broken: []unreadable{{dir + "/ci.yml", os.ErrPermission}}}
	assert.Equal(t, evidence.Judge(l.checks()), evidence.Unverified)
	assert.Equal(t, l.checks()[0].Subject, dir+"/ci.yml")
}

func TestMagefilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, strings.Replace(good(t), "func Doctor() error", "func Doctor( error", 1))
	outcome := gatetest.Run(t, Gate(Options{Inventory: project()}), gates.Options{Root: root})
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Assert(t, strings.Contains(gatetest.Step(t, outcome, Check).Reason, "gates.go"))
}
