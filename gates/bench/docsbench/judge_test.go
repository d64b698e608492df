package docsbench

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		figures Figures
		want    evidence.Verdict
	}{
		"fast":       {Figures{Peer: []float64{2, 3, 1}, Build: []float64{0.1, 0.05, 0.2}, Gate: []float64{0.3}}, evidence.Pass},
		"slow build": {Figures{Peer: []float64{2}, Build: []float64{0.11}, Gate: []float64{0.3}}, evidence.Fail},
		"slow gate":  {Figures{Peer: []float64{20}, Build: []float64{0.1}, Gate: []float64{1.1}}, evidence.Fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := Gate(Options{})
			g.Steps[0].Run = func(_ context.Context, p *gates.Pass) error { return c.figures.judge(p) }
			outcome := gatetest.Run(t, g, gates.Options{Root: gatetest.Repository(t, "-- go.mod --\nmodule example.com/x\n")})
			step := gatetest.Step(t, outcome, ID)
			assert.Equal(t, step.Verdict, c.want, "%+v", step)
			raw, err := os.ReadFile(filepath.Join(outcome.Folder, "bench.md"))
			assert.NilError(t, err)
			assert.Assert(t, is.Contains(string(raw), "| the build:"))
		})
	}
}

func TestPagesForThePeer(t *testing.T) {
	t.Parallel()
	root, scratch := t.TempDir(), t.TempDir()
	gatetest.Write(t, root, "-- docs/README.md --\n[b](deep/) [c](deep/README.md#x) [code](../go.mod#L1) [web](https://example.com/a) [here](#x)\n-- docs/deep/README.md --\n# B\n")
	assert.NilError(t, forPeer(root, scratch, t.TempDir(), []string{"docs/README.md", "docs/deep/README.md"}))
	raw, err := os.ReadFile(filepath.Join(scratch, "pages", "README.md"))
	assert.NilError(t, err)
	assert.Equal(t, string(raw), "[b](deep/README.md) [c](deep/README.md#x) [code](https://example.com/go.mod#L1) [web](https://example.com/a) [here](#x)\n")
	_, err = os.Stat(filepath.Join(scratch, "pages", "deep", "README.md"))
	assert.NilError(t, err)
	assert.Assert(t, forPeer(root, scratch, t.TempDir(), []string{"docs/none.md"}) != nil)
}
