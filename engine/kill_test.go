package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/manifest"
)

// The environment of a victim.
const (
	killPoint    = "DPONE_TEST_KILL_POINT"
	killManifest = "DPONE_TEST_KILL_MANIFEST"
)

// victim runs a manifest and kills its own process at a point of the run.
func victim(point string) {
	m, err := manifest.Read(os.Getenv(killManifest))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	_, err = engine.Run(context.Background(), m, engine.Options{Connectors: connectors.All(), At: func(_ context.Context, p connector.Point) error {
		if string(p) == point {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}})
	fmt.Fprintln(os.Stderr, "the run came to its end:", err)
	os.Exit(4)
}

// killAt starts a victim and expects it to die by the signal.
func (w *world) killAt(text string, point connector.Point) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "manifest.yaml")
	assert.NilError(w.t, os.WriteFile(path, []byte(w.text(text)), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	self, err := os.Executable()
	assert.NilError(w.t, err)
	cmd := osexec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), killPoint+"="+string(point), killManifest+"="+path, "SOURCE_DSN="+w.sourceDSN, "SINK_DSN="+w.sinkDSN)
	out, err := cmd.CombinedOutput()
	var exit *osexec.ExitError
	assert.Assert(w.t, errors.As(err, &exit), "%v %s", err, out)
	status, ok := exit.Sys().(syscall.WaitStatus)
	assert.Assert(w.t, ok && status.Signaled() && status.Signal() == syscall.SIGKILL, "%v %s", err, out)
}

// disconnectAt runs here and has the server end the sink's session at the point.
func (w *world) disconnectAt(text string, point connector.Point) {
	w.t.Helper()
	options := w.options()
	done := false
	options.At = func(ctx context.Context, p connector.Point) error {
		if p != point || done {
			return nil
		}
		done = true
		_, err := w.admin().Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'dpone' AND backend_type = 'client backend'", w.sinkName())
		return err
	}
	_, err := engine.Run(context.Background(), w.manifest(text), options)
	assert.Assert(w.t, done, "the run never came to %s: %v", point, err)
	if committed := slices.Contains([]connector.Point{connector.AfterCommit, connector.AfterAcknowledge}, point); !committed {
		assert.Assert(w.t, err != nil, "the run did not notice that its session was gone at %s", point)
	}
}

func (w *world) sinkName() string {
	var name string
	assert.NilError(w.t, w.sink.QueryRow(context.Background(), "SELECT current_database()").Scan(&name))
	return name
}

// admin is a session that the terminations do not reach.
func (w *world) admin() *pgx.Conn { return w.source }

// crash is one strategy of the kill tests: it loads once, changes the source, dies
// in the second load and must come to the same end as if it had not.
type crash struct {
	name, manifest string
	// target gives the part of the target that must equal the source.
	target, source string
	// check holds what the strategy promises besides.
	check string
}

func crashes() []crash {
	all := "TABLE orders"
	return []crash{
		{name: "full_refresh", manifest: process("mode: full_refresh\nunique_key: id"), target: all, source: all},
		{name: "shadow_swap", manifest: process("mode: full_refresh\noverwrite_type: shadow_swap\nunique_key: id"), target: all, source: all},
		{name: "shadow_swap_workers", manifest: strings.Replace(process("mode: full_refresh\noverwrite_type: shadow_swap\nunique_key: id"), "sink:", "  options: {workers: 2}\nsink:", 1), target: all, source: all},
		{name: "incremental_append", manifest: strings.Replace(process("mode: incremental_append\nunique_key: id"), "sink:", "  options: {incremental_column: id}\nsink:", 1), target: "SELECT id FROM orders", source: "SELECT id FROM orders UNION SELECT generate_series(1, 9)"},
		{name: "incremental_merge", manifest: process("mode: incremental_merge\nunique_key: id"), target: "SELECT * FROM orders WHERE id >= 10", source: all},
		{name: "replace", manifest: process("mode: replace\ncustom_predicate: id > 0"), target: all, source: all},
		{name: "partition_replace", manifest: process("mode: partition_replace\npartition: {column: day}"), target: all, source: all},
		{name: "snapshot_diff", manifest: process("mode: snapshot_diff\nunique_key: id"), target: all, source: all},
		{
			name: "scd2", manifest: process("mode: scd2\nunique_key: id"), target: "SELECT id, day, note, amount, flag, at FROM orders WHERE __dpone__is_current", source: all,
			check: `SELECT id FROM orders GROUP BY id HAVING count(*) FILTER (WHERE __dpone__is_current) > 1 OR count(*) > 2`,
		},
		{name: "backfill", manifest: process("mode: backfill\nbackfill: {column: id, chunk_size: \"300\"}"), target: all, source: all},
		{name: "xmin", manifest: process("mode: xmin\nunique_key: id") + "reconciliation: {enabled: true}\n", target: all, source: all},
	}
}

const change = `DELETE FROM orders WHERE id < 10; UPDATE orders SET note = 'changed' WHERE id % 100 = 0; INSERT INTO orders SELECT i, NULL, 'new', 1, true, now() FROM generate_series(1001, 1200) i;`

// TestKilledAtEveryPoint kills a run with SIGKILL at each named point. The next run
// must bring the target to the same rows as an undisturbed one.
func TestKilledAtEveryPoint(t *testing.T) {
	testCrashes(t, (*world).killAt)
}

// TestDisconnectedAtEveryPoint has the server end the sink's session at each named point.
func TestDisconnectedAtEveryPoint(t *testing.T) {
	testCrashes(t, (*world).disconnectAt)
}

func testCrashes(t *testing.T, end func(*world, string, connector.Point)) {
	for _, c := range crashes() {
		for _, point := range connector.Points() {
			t.Run(c.name+"/"+string(point), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.src(orders)
				text := c.manifest
				if c.name != "backfill" {
					w.run(w.manifest(text))
				}
				w.src(change)
				end(w, text, point)
				w.unharmed(point)
				report := w.run(w.manifest(text))
				assert.Equal(t, rows(t, w.sink, c.target), rows(t, w.source, c.source), "report: %+v", report.Counters)
				if c.check != "" {
					assert.Equal(t, rows(t, w.sink, c.check), "")
				}
				assert.Equal(t, rows(t, w.sink, "SELECT pipeline, load_window FROM dpone.dpone_receipt GROUP BY 1, 2 HAVING count(*) > 1"), "")
				assert.Equal(t, rows(t, w.sink, "SELECT relname FROM pg_class WHERE relname LIKE 'dpone_shadow%' OR relname LIKE 'dpone_stage%'"), "")
				w.run(w.manifest(text)) // and once more, which must change nothing
				assert.Equal(t, rows(t, w.sink, c.target), rows(t, w.source, c.source))
			})
		}
	}
}

// unharmed waits until the server has ended the dead run's sessions, so that the
// next run does not have to.
func (w *world) unharmed(connector.Point) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		var n int
		assert.NilError(w.t, w.sink.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dpone'").Scan(&n))
		if n == 0 {
			return
		}
		assert.Assert(w.t, time.Now().Before(deadline), "the dead run's session is still there")
		time.Sleep(20 * time.Millisecond)
	}
}
