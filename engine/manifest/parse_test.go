package manifest_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/engine/manifest"
)

// files gives the manifests of a folder under testdata, by name.
func files(t testing.TB, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.yaml"))
	assert.NilError(t, err)
	assert.Assert(t, len(paths) > 0)
	all := map[string][]byte{}
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		assert.NilError(t, err)
		all[strings.TrimSuffix(filepath.Base(p), ".yaml")] = raw
	}
	return all
}

// problems gives what is wrong, nothing when all is well.
func problems(t testing.TB, err error) []manifest.Problem {
	t.Helper()
	if err == nil {
		return nil
	}
	var p *manifest.Problems
	assert.Assert(t, errors.As(err, &p), "%T", err)
	assert.Assert(t, len(p.List) > 0)
	return p.List
}

// encode writes a manifest as JSON, which is YAML; characters that YAML wants
// escaped are escaped.
func encode(t testing.TB, m manifest.Manifest) []byte {
	t.Helper()
	raw, err := json.Marshal(m)
	assert.NilError(t, err)
	var out bytes.Buffer
	for len(raw) > 0 {
		r, size := utf8.DecodeRune(raw)
		if raw = raw[size:]; r < 0x7f {
			out.WriteRune(r)
		} else {
			fmt.Fprintf(&out, `\U%08X`, r)
		}
	}
	return out.Bytes()
}

// sound checks what holds for every manifest that is accepted.
func sound(t testing.TB, m *manifest.Manifest) {
	t.Helper()
	full, hash := m.WithDefaults(), m.PlanHash()
	assert.Equal(t, len(hash), 64)
	assert.Equal(t, full.PlanHash(), hash)
	assert.Equal(t, string(encode(t, full.WithDefaults())), string(encode(t, full)))
	assert.NilError(t, manifest.Validate(&full, nil))
	for _, one := range []manifest.Manifest{*m, full} {
		again, err := manifest.Parse(m.Path, encode(t, one))
		assert.NilError(t, err)
		assert.Equal(t, string(encode(t, *again)), string(encode(t, one)))
		assert.Equal(t, again.PlanHash(), hash)
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	modes := map[manifest.Mode]bool{}
	for name, raw := range files(t, "ok") {
		t.Run(name, func(t *testing.T) {
			m, err := manifest.Parse(name+".yaml", raw)
			assert.NilError(t, err)
			modes[m.Sink.Strategy.Mode] = true
			assert.Equal(t, m.Path, name+".yaml")
			before := encode(t, *m)
			sound(t, m)
			assert.Equal(t, string(encode(t, *m)), string(before), "WithDefaults changed the original")
			full, err := json.MarshalIndent(m.WithDefaults(), "", "  ")
			assert.NilError(t, err)
			golden.Assert(t, string(full)+"\n", "ok/"+name+".json")
		})
	}
	for _, mode := range manifest.Modes() {
		assert.Assert(t, modes[mode], "no example of %s", mode)
	}
}

// generated are bad manifests that are better made than kept.
func generated() map[string][]byte {
	var many strings.Builder
	for i := range 1100 {
		fmt.Fprintf(&many, "key%d: 1\n", i)
	}
	return map[string][]byte{
		"manifest.too_large":         bytes.Repeat([]byte("#"), manifest.MaxBytes+1),
		"manifest.encoding":          []byte("name: \xff\n"),
		"manifest.too_many_problems": []byte(many.String()),
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for name, raw := range files(t, "bad") {
		t.Run(name, func(t *testing.T) {
			_, err := manifest.Parse(name+".yaml", raw)
			var b strings.Builder
			list := problems(t, err)
			assert.Assert(t, list != nil, "accepted")
			for _, p := range list {
				seen[p.Code] = true
				assert.Assert(t, p.Line > 0 && p.Column > 0, p.String())
				fmt.Fprintf(&b, "%-40s %s\n", p.Code, p)
			}
			assert.Assert(t, !strings.Contains(err.Error(), "hunter2"), "a secret is told")
			assert.Assert(t, slices.IsSortedFunc(list, func(a, b manifest.Problem) int { return a.Line - b.Line }))
			golden.Assert(t, b.String(), "bad/"+name+".txt")
		})
	}
	for code, raw := range generated() {
		_, err := manifest.Parse("x.yaml", raw)
		list := problems(t, err)
		assert.Equal(t, list[len(list)-1].Code, code)
		seen[code] = true
	}
	for _, c := range manifest.Codes() {
		assert.Assert(t, c.Code != "" && c.Doc != "")
		assert.Assert(t, seen[c.Code], "no example of %s", c.Code)
		delete(seen, c.Code)
	}
	assert.Equal(t, len(seen), 0, "%v are not in the list", seen)
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := manifest.Parse("orders.yaml", []byte("nam: orders\nsource:\n  type: postgres\n  options:\n    colums: [id]\nsink: 5\n"))
	assert.Equal(t, err.Error(), strings.Join([]string{
		`orders.yaml:1:1: nam: unknown key; did you mean "name"?`,
		`orders.yaml:1:1: name: is missing; Name of the process, ^[a-z0-9_]{3,64}$; part of the key of its state.`,
		`orders.yaml:2:1: source.connection: postgres needs it`,
		`orders.yaml:2:1: source.table: postgres needs it; name the table, or give source.options.query`,
		`orders.yaml:5:5: source.options.colums: unknown key; did you mean "columns"?`,
		`orders.yaml:6:7: sink: must be a mapping of fields, is an integer`,
	}, "\n"))
}

func TestScalars(t *testing.T) {
	t.Parallel()
	base := func(field string) []byte {
		return []byte(`
name: people
source: {type: file, path: people.csv, options: {` + field + `}}
sink: {type: sqlite, path: town.db, table: {name: people}, strategy: {mode: full_refresh}}
`)
	}
	for _, c := range []struct {
		field string
		ok    bool
		want  any
	}{
		{"batch_rows: 010", true, 10},
		{"batch_rows: 0x10", true, 16},
		{"batch_rows: 0o17", true, 15},
		{"batch_rows: +5", true, 5},
		{"batch_rows: 1_000", false, nil},
		{"batch_rows: 0b11", false, nil},
		{"batch_rows: 1e3", false, nil},
		{"batch_rows: 5.0", false, nil},
		{"batch_rows: '5'", false, nil},
		{"batch_rows: ", false, nil},
		{"csv: {header: true}", true, true},
		{"csv: {header: FALSE}", true, false},
		{"csv: {header: yes}", false, nil},
		{"csv: {header: on}", false, nil},
		{"csv: {header: 1}", false, nil},
		{"csv: {header: 'true'}", false, nil},
		{"columns: [yes]", true, "yes"},
		{"columns: [2026-01-01]", true, "2026-01-01"},
		{"columns: [12:30:45]", true, "12:30:45"},
		{"columns: [1_000]", true, "1_000"},
		{"columns: a", true, "a"},
		{"columns: 'a, b'", true, "a, b"},
		{"columns: [true]", false, nil},
		{"columns: [12]", false, nil},
		{"columns: [1.5]", false, nil},
		{"columns: [~]", false, nil},
		{"columns: [[a]]", false, nil},
		{"columns: 12", false, nil},
	} {
		m, err := manifest.Parse("", base(c.field))
		assert.Equal(t, err == nil, c.ok, "%s: %v", c.field, err)
		if !c.ok {
			assert.Equal(t, problems(t, err)[0].Code, "manifest.wrong_type", c.field)
			continue
		}
		o := m.Source.Options
		switch want := c.want.(type) {
		case int:
			assert.Equal(t, o.BatchRows, want, c.field)
		case bool:
			assert.Equal(t, *o.CSV.Header, want, c.field)
		case string:
			assert.DeepEqual(t, o.Columns, []string{want})
		}
	}
}

func TestTextOfNumbersIsKept(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("", files(t, "ok")["merge"])
	assert.NilError(t, err)
	assert.DeepEqual(t, m.Quality.Gates[5].Values, []string{"1", "2.50", "new", "007"})
	m, err = manifest.Parse("", files(t, "ok")["backfill_numbers"])
	assert.NilError(t, err)
	b := m.Sink.Strategy.Backfill
	assert.DeepEqual(t, []string{b.From, b.To, b.ChunkSize}, []string{"0", "1000000", "10000"})
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	raw := files(t, "ok")["full_refresh"]
	_, err := manifest.Parse("", raw, "sqlite", "file")
	list := problems(t, err)
	assert.Equal(t, len(list), 2)
	assert.Equal(t, list[0].Code, "family.unknown")
	assert.Equal(t, list[0].Line, 3)

	// A family that only the caller knows has no rules here.
	_, err = manifest.Parse("", bytes.Replace(raw, []byte("postgres"), []byte("queue"), 1), "queue", "postgres")
	assert.NilError(t, err)
}

func TestValidateWithoutAFile(t *testing.T) {
	t.Parallel()
	m := &manifest.Manifest{Name: "x", Sink: manifest.Sink{Strategy: manifest.Strategy{Mode: "cdc"}}}
	list := problems(t, manifest.Validate(m, nil))
	var lines []string
	for _, p := range list {
		lines = append(lines, p.String())
	}
	assert.Assert(t, slices.Contains(lines, "manifest: sink.strategy.unique_key: cdc needs it; name the columns that identify a row"), strings.Join(lines, "\n"))
	assert.NilError(t, manifest.Validate(&manifest.Manifest{
		Name:   "people",
		Source: manifest.Source{Type: "file", Path: "people.csv"},
		Sink: manifest.Sink{
			Type: "sqlite", Path: "town.db", Table: manifest.Table{Name: "people"},
			Strategy: manifest.Strategy{Mode: manifest.FullRefresh},
		},
	}, nil))
}

func TestRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "m.yaml")
	_, err := manifest.Read(path)
	assert.Assert(t, errors.Is(err, os.ErrNotExist))
	_, err = manifest.Read(filepath.Dir(path))
	assert.ErrorContains(t, err, "is no regular file")

	assert.NilError(t, os.WriteFile(path, files(t, "ok")["xmin"], 0o600))
	m, err := manifest.Read(path)
	assert.NilError(t, err)
	assert.Equal(t, m.Path, path)

	assert.NilError(t, os.WriteFile(path, bytes.Repeat([]byte("# \n"), manifest.MaxBytes), 0o600))
	_, err = manifest.Read(path)
	assert.Equal(t, problems(t, err)[0].Code, "manifest.too_large")
}

// TestLargeInput holds inputs that are made to take long or to go deep against the limits.
func TestLargeInput(t *testing.T) {
	t.Parallel()
	const size = manifest.MaxBytes / 4 // deep and long enough, and quick under the race detector
	fill := func(s string) []byte { return bytes.Repeat([]byte(s), size/len(s)) }
	var indented bytes.Buffer
	for i := 0; indented.Len() < size; i++ {
		fmt.Fprintf(&indented, "%*s\n", i+2, "a:")
	}
	for name, raw := range map[string][]byte{
		"brackets":   fill("["),
		"braces":     fill("{"),
		"sequences":  fill("- "),
		"keys":       fill("? "),
		"unknown":    fill("x: 1\n"),
		"names":      fill("name: orders\n"),
		"comments":   fill("#\n"),
		"scalars":    append([]byte("source: {options: {columns: ["), append(fill("a,"), "]}}"...)...),
		"mappings":   append([]byte("quality: {gates: ["), append(fill("{},"), "]}"...)...),
		"quoted":     fill(`"\x00`),
		"documents":  fill("---\n"),
		"anchors":    fill("&a "),
		"tags":       fill("!a "),
		"exclaimed":  append([]byte("a: "), fill("!")...),
		"deep block": indented.Bytes(),
	} {
		_, err := manifest.Parse("x.yaml", raw)
		assert.Assert(t, err != nil, name)
		assert.Assert(t, len(problems(t, err)) <= 1001, name)
	}
}

func TestPlanHash(t *testing.T) {
	t.Parallel()
	raw := string(files(t, "ok")["xmin"])
	hash := func(change ...string) string {
		m, err := manifest.Parse("x.yaml", []byte(strings.NewReplacer(change...).Replace(raw)))
		assert.NilError(t, err)
		return m.PlanHash()
	}
	want := hash()
	assert.Equal(t, hash("rebaseline: allow", "{rebaseline: allow}"), want)
	assert.Equal(t, hash("unique_key: id", "unique_key: [id]"), want, "one name is a list of one")
	assert.Equal(t, hash("name: orders\nsource", "name: orders\ndescription: new\nsource"), want)
	assert.Equal(t, hash("host: db", "port: 5432\n    host: db"), want, "a default that is written down")
	assert.Assert(t, hash("rebaseline: allow", "rebaseline: never") != want)
	assert.Assert(t, hash("env:SOURCE_DSN", "env:OTHER_DSN") != want)
	assert.Assert(t, hash("unique_key: id", "unique_key: [id, line]") != want)
}

func TestKeys(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("", files(t, "ok")["backfill"])
	assert.NilError(t, err)
	assert.Equal(t, m.RunKey(), "first")
	m.Sink.Strategy.Backfill.RunKey = ""
	assert.Equal(t, m.RunKey(), m.PlanHash())

	for policy, want := range map[string]string{"": "", "fail": "", "last_by:": "", "last_by:a b": "a b", "last_by:x:y": "x:y"} {
		got, ok := manifest.Strategy{DuplicatePolicy: policy}.DuplicateColumn()
		assert.Equal(t, got, want)
		assert.Equal(t, ok, want != "")
	}
}

func TestParseWidth(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"1": "1 0s", "10000": "10000 0s", "9223372036854775807": "9223372036854775807 0s",
		"90s": "90 1s", "30m": "30 1m0s", "6h": "6 1h0m0s", "1d": "1 24h0m0s", "1w": "1 168h0m0s", "15250w": "15250 168h0m0s",
	} {
		w, err := manifest.ParseWidth(text)
		assert.NilError(t, err)
		assert.Equal(t, fmt.Sprint(w.Count, w.Unit), want)
		assert.Equal(t, w.Duration()/max(1, w.Unit) == 0, w.Unit == 0)
	}
	for _, text := range []string{
		"", "0", "0d", "-1", "+1", "1.5h", "1 d", " 1", "d", "1D", "1y", "1h30m", "9223372036854775808", "15251w", "1\n", "99999999999999999999s",
	} {
		_, err := manifest.ParseWidth(text)
		assert.Assert(t, err != nil, "%q", text)
	}
}

// TestStrategiesAreComplete holds the table against the modes and the fields.
func TestStrategiesAreComplete(t *testing.T) {
	t.Parallel()
	var modes []manifest.Mode
	for _, s := range manifest.Strategies() {
		modes = append(modes, s.Mode)
		v := reflect.ValueOf(s)
		for i := range v.NumField() {
			if v.Field(i).Kind() == reflect.String {
				assert.Assert(t, v.Field(i).Len() > 0, "%s: %s", s.Mode, v.Type().Field(i).Name)
			}
		}
	}
	assert.DeepEqual(t, modes, manifest.Modes())
}

func FuzzParse(f *testing.F) {
	for _, folder := range []string{"ok", "bad"} {
		for _, raw := range files(f, folder) {
			f.Add(raw)
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := manifest.Parse("x.yaml", raw)
		if err != nil {
			problems(t, err)
			return
		}
		sound(t, m)
	})
}

func FuzzParseWidth(f *testing.F) {
	for _, s := range []string{"1", "1d", "9223372036854775807w", "0h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if w, err := manifest.ParseWidth(s); err == nil && (w.Count < 1 || w.Unit > 0 && w.Duration()/w.Unit != time.Duration(w.Count)) {
			t.Fatalf("%q gives %v", s, w)
		}
	})
}
