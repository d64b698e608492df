package command_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/command"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const text = `name: copy_orders
source:
  type: postgres
  connection: {dsn: "env:SOURCE_DSN"}
  table: {name: a}
sink:
  type: postgres
  connection: {dsn: "env:SINK_DSN"}
  table: {name: b}
  strategy: {mode: full_refresh}
quality:
  gates: [{type: min_rows, threshold: 3}]
`

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func status(err error) int {
	var s interface{ ExitStatus() int }
	if errors.As(err, &s) {
		return s.ExitStatus()
	}
	return 0
}

// options run on one database, in which sql was run before.
func options(t *testing.T, sql string) (command.Options, *bytes.Buffer, *bytes.Buffer) {
	t.Helper()
	dsn := pgtest.Database(t)
	pg := connect(t, dsn)
	_, err := pg.Exec(context.Background(), sql).ReadAll()
	assert.NilError(t, err)
	var out, errs bytes.Buffer
	return command.Options{
		Manifest: write(t, text), Out: &out, Err: &errs,
		Engine: engine.Options{Secret: func(manifest.Secret) (string, error) { return dsn, nil }},
	}, &out, &errs
}

const three = "CREATE TABLE a AS SELECT generate_series(1, 3) AS i"

func TestGreen(t *testing.T) {
	t.Parallel()
	o, out, errs := options(t, three)
	o.Report = filepath.Join(t.TempDir(), "runs", "run_report.json")
	assert.NilError(t, command.Run(context.Background(), o))
	assert.Assert(t, strings.HasPrefix(out.String(), "PASS  copy_orders  full_refresh  postgres public.a -> postgres b  "), out)
	assert.Assert(t, strings.Contains(out.String(), "3 read: 3 inserted"), out)
	assert.Assert(t, strings.Contains(out.String(), "gate    ok  min_rows"), out)
	assert.Equal(t, errs.String(), "")
	raw, err := os.ReadFile(o.Report)
	assert.NilError(t, err)
	var report engine.Report
	assert.NilError(t, json.Unmarshal(raw, &report))
	assert.Assert(t, report.Passed && report.Result.ExtractedRows == 3)
}

// TestJSON prints one object on standard output and nothing else, green and red.
func TestJSON(t *testing.T) {
	t.Parallel()
	for sql, want := range map[string]int{three: 0, "CREATE TABLE a (i int)": 1, "SELECT 1": 1} {
		o, out, _ := options(t, sql)
		o.Format = "json"
		err := command.Run(context.Background(), o)
		assert.Equal(t, status(err), want, sql)
		dec := json.NewDecoder(out)
		var report engine.Report
		assert.NilError(t, dec.Decode(&report))
		assert.Equal(t, report.Passed, want == 0)
		assert.Assert(t, !dec.More())
		if want != 0 {
			assert.Assert(t, report.Result.ErrorCode != "")
		}
	}
}

func TestRed(t *testing.T) {
	t.Parallel()
	o, out, _ := options(t, "CREATE TABLE a (i int)")
	err := command.Run(context.Background(), o)
	assert.Equal(t, status(err), 1)
	assert.ErrorContains(t, err, "0 rows, at least 3 are needed")
	for _, want := range []string{"FAIL  copy_orders", "gate    ERROR  min_rows", "commit  not committed", "DPONE_QUALITY_GATES_FAILED", "reproduce  mage run -manifest="} {
		assert.Assert(t, strings.Contains(out.String(), want), "%s in\n%s", want, out)
	}
}

func TestMisuse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    command.Options
		want string
	}{
		"no manifest":      {command.Options{}, "-manifest is missing"},
		"format":           {command.Options{Manifest: "x", Format: "xml"}, "-format=xml"},
		"no such file":     {command.Options{Manifest: filepath.Join(t.TempDir(), "none.yaml")}, "none.yaml"},
		"a wrong manifest": {command.Options{Manifest: write(t, strings.Replace(text, "strategy:", "strateggy:", 1))}, `did you mean "strategy"?`},
	} {
		var out, errs bytes.Buffer
		c.o.Out, c.o.Err = &out, &errs
		for _, err := range []error{command.Run(context.Background(), c.o), command.Validate(c.o)} {
			assert.Equal(t, status(err), 2, name)
			assert.ErrorContains(t, err, c.want, name)
		}
		assert.Equal(t, out.String(), "", name)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	assert.NilError(t, command.Validate(command.Options{Manifest: write(t, text), Out: &out}))
	assert.Assert(t, strings.Contains(out.String(), "copy_orders, full_refresh from postgres to postgres"), out.String())
	out.Reset()
	err := command.Validate(command.Options{Manifest: write(t, strings.Replace(text, "name: copy_orders", "name: X", 1)), Out: &out, Format: "json"})
	assert.Equal(t, status(err), 2)
	var v struct {
		Valid    bool
		Problems []struct {
			Code string
			Line int
		}
	}
	assert.NilError(t, json.Unmarshal(out.Bytes(), &v))
	assert.Assert(t, !v.Valid && len(v.Problems) == 1 && v.Problems[0].Line == 1 && v.Problems[0].Code != "", out.String())
}

// TestProgress prints lines on long work where there is no terminal.
func TestProgress(t *testing.T) {
	t.Parallel()
	o, _, errs := options(t, three)
	o.Interval = time.Nanosecond
	assert.NilError(t, command.Run(context.Background(), o))
	assert.Assert(t, strings.Contains(errs.String(), "load "), errs)
}

// TestSecretsStayOut shows the password of a connection nowhere.
func TestSecretsStayOut(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out, errs bytes.Buffer
		err := command.Run(context.Background(), command.Options{
			Manifest: write(t, text), Out: &out, Err: &errs, Format: format,
			Engine: engine.Options{Secret: func(manifest.Secret) (string, error) {
				return "postgres://me:hunter2secret@127.0.0.1:1/x?connect_timeout=2", nil
			}},
		})
		assert.Equal(t, status(err), 1)
		assert.Assert(t, !strings.Contains(out.String()+errs.String()+err.Error(), "hunter2secret"), out.String()+err.Error())
		assert.Assert(t, strings.Contains(out.String(), "connection.failed"), out.String())
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	o, out, _ := options(t, three)
	o.Format = "json"
	ctx, cancel := context.WithCancel(context.Background())
	o.Engine.At = func(_ context.Context, p connector.Point) error {
		if p == connector.BeforeCommit {
			cancel()
		}
		return nil
	}
	err := command.Run(ctx, o)
	assert.Equal(t, status(err), 1) // no signal came
	var report engine.Report
	assert.NilError(t, json.Unmarshal(out.Bytes(), &report))
	assert.Assert(t, !report.Passed)
	assert.Equal(t, report.Result.CommitOutcome, "not_committed")
}
