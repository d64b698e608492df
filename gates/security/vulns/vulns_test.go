package vulns_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/security/vulns"
)

// The database of the tests holds one made-up defect: strings.Title of the
// standard library, in every version of Go.
func database(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("testdata", "db"))
	assert.NilError(t, err)
	return "file://" + filepath.ToSlash(dir)
}

const (
	module = "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n"
	green  = module + "-- x.go --\npackage x\n"
	has    = module + "-- x.go --\npackage x\n\nimport \"strings\"\n\n// Up is not vulnerable.\nfunc Up(s string) string { return strings.ToUpper(s) }\n"
	calls  = module + "-- x.go --\npackage x\n\nimport \"strings\"\n\n// Up is vulnerable.\nfunc Up(s string) string { return strings.Title(s) }\n"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func allow(text string) string { return "-- .ci/vulns-allow.yaml --\nallow:\n  - " + text + "\n" }

func TestGate(t *testing.T) {
	t.Parallel()
	const good = "{id: GO-0000-0001, reason: nobody but us can call it, expires: 2026-12-31}"
	for name, c := range map[string]struct {
		files  string
		spoil  func(o *vulns.Options)
		code   int
		check  string
		answer evidence.Verdict
	}{
		"green":                    {green, nil, 0, "security.vulns.none .", evidence.Pass},
		"not called":               {has, nil, 0, "security.vulns.unreached GO-0000-0001 in .", evidence.Skip},
		"called":                   {calls, nil, 1, "security.vulns.reached x.go:6", evidence.Fail},
		"called in a magefile":     {green + "-- magefiles/m.go --\n//go:build mage\n\npackage main\n\nimport \"strings\"\n\nfunc init() { _ = strings.Title(\"x\") }\n", nil, 1, "security.vulns.reached magefiles/m.go:7", evidence.Fail},
		"called in a module below": {green + "-- sub/go.mod --\nmodule example.com/sub\n\ngo 1.26\n-- sub/s.go --\npackage sub\n\nimport \"strings\"\n\n// Up is vulnerable.\nfunc Up(s string) string { return strings.Title(s) }\n", nil, 1, "security.vulns.reached sub/s.go:6", evidence.Fail},
		"allowed":                  {calls + allow(good), nil, 0, "security.vulns.none .", evidence.Pass},
		"allowed too long":         {calls + allow(strings.Replace(good, "12-31", "11-21", 1)), nil, 1, "security.vulns.allow .ci/vulns-allow.yaml: GO-0000-0001", evidence.Fail},
		"allowed for ever":         {calls + allow("{id: GO-0000-0001, reason: nobody but us can call it}"), nil, 1, "security.vulns.allow .ci/vulns-allow.yaml", evidence.Fail},
		"allowed, not there":       {green + allow(good), nil, 1, "security.vulns.allow .ci/vulns-allow.yaml: GO-0000-0001", evidence.Fail},
		"old database":             {green, func(o *vulns.Options) { o.Now = now.AddDate(0, 0, 30) }, 3, "security.vulns.age DB", evidence.Unverified},
		"old, but allowed":         {green, func(o *vulns.Options) { o.Now, o.MaxAge = now.AddDate(0, 0, 30), 40 }, 0, "security.vulns.age DB", evidence.Pass},
		"from the future":          {green, func(o *vulns.Options) { o.Now = now.AddDate(-1, 0, 0) }, 3, "security.vulns.age DB", evidence.Unverified},
		"does not compile":         {green + "-- y.go --\npackage x\n\nvar y int = \"\"\n", nil, 3, "security.vulns.scan .", evidence.Unverified},
		"no database":              {green, func(o *vulns.Options) { o.Database = "https://127.0.0.1:1" }, 3, "security.vulns.scan .", evidence.Unverified},
		"no mirror":                {green, func(o *vulns.Options) { o.Database += "/none" }, 3, "security.vulns.database DB/none", evidence.Unverified},
		"no mirror, a folder":      {green, func(o *vulns.Options) { o.Database += "/ID" }, 3, "security.vulns.database DB/ID", evidence.Unverified},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := vulns.Options{Database: database(t), Now: now}
			if c.spoil != nil {
				c.spoil(&o)
			}
			outcome := gatetest.Run(t, vulns.Gate(o), gates.Options{Root: gatetest.Repository(t, c.files), Artifacts: t.TempDir()})
			step := gatetest.Step(t, outcome, vulns.ID)
			assert.Equal(t, outcome.ExitCode(), c.code, "%v", step)
			var all []string
			for _, check := range step.Checks {
				line := check.Code + " " + strings.ReplaceAll(check.Subject, database(t), "DB")
				all = append(all, line+" "+check.Observed+check.Reason)
				if line == c.check {
					assert.Equal(t, check.Verdict, c.answer)
					return
				}
			}
			t.Errorf("no %s in %s", c.check, strings.Join(all, "\n"))
		})
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	outcome := gatetest.Run(t, vulns.Gate(vulns.Options{Database: database(t), Now: now}), gates.Options{Root: gatetest.Repository(t, calls), Artifacts: t.TempDir()})
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, vulns.Report))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(raw), "reached through strings.Title from example.com/x.Up"), "%s", raw)
	measured := outcome.Record.Volatile.Measurements
	assert.Equal(t, measured[0].Value, "2026-11-20T00:00:00Z")
}

func TestEmptyMirror(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"[]": "lists no modules", "{": "unexpected end"} {
		dir := t.TempDir()
		assert.NilError(t, os.Mkdir(filepath.Join(dir, "index"), 0o755))
		assert.NilError(t, os.WriteFile(filepath.Join(dir, "index", "modules.json"), []byte(text), 0o644))
		outcome := gatetest.Run(t, vulns.Gate(vulns.Options{Database: "file://" + dir, Now: now}), gates.Options{Root: gatetest.Repository(t, green), Artifacts: t.TempDir()})
		assert.Equal(t, outcome.ExitCode(), 3)
		assert.Assert(t, strings.Contains(gatetest.Step(t, outcome, vulns.ID).Checks[0].Reason, want))
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, good := range []vulns.Options{{}, {Database: vulns.Public}, {Database: "file:///srv/vulndb", MaxAge: 3}} {
		assert.NilError(t, good.Validate())
	}
	for _, bad := range []vulns.Options{{Database: "/srv/vulndb"}, {Database: "ftp://x"}, {MaxAge: -1}, {Database: "http://[x"}} {
		var usage *gates.UsageError
		assert.Assert(t, errors.As(bad.Validate(), &usage), "%v", bad)
	}
}
