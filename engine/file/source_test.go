package file

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

func gz(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(s))
	assert.NilError(t, err)
	assert.NilError(t, w.Close())
	return b.String()
}

func zst(t testing.TB, s string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	assert.NilError(t, err)
	return string(w.EncodeAll([]byte(s), nil))
}

func typed(pairs ...string) []manifest.Typed {
	var out []manifest.Typed
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, manifest.Typed{Column: pairs[i], Type: pairs[i+1]})
	}
	return out
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "in/b.csv", "id,name\n3,c\n")
	write(t, dir, "in/a.csv", "name,id\na,1\n\"\",\n")
	write(t, dir, "in/.hidden", "x")
	write(t, dir, "in/_also", "x")
	write(t, dir, "in/sub/c.csv", "id,name\n9,z\n")
	write(t, dir, "mixed/a.csv", "id\n1\n")
	write(t, dir, "mixed/b.jsonl", "{\"id\":1}\n")
	write(t, dir, "odd/a.txt", "id\n1\n")
	write(t, dir, "out/secret.csv", "id\n1\n")
	write(t, dir, "in/x[1].csv", "id,name\n7,literal\n")
	assert.NilError(t, os.Remove(filepath.Join(dir, "in/x[1].csv")))
	write(t, dir, "lit/x[1].csv", "id\n7\n")
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o750))
	assert.NilError(t, os.MkdirAll(filepath.Join(dir, "links"), 0o750))
	assert.NilError(t, os.Symlink("../out/secret.csv", filepath.Join(dir, "links/l.csv")))
	types := typed("id", "int64")
	for name, tt := range map[string]struct {
		src  manifest.Source
		want []string
		code string
	}{
		"folder, other order of columns": {manifest.Source{Path: "in", Options: manifest.SourceOptions{Types: types}}, []string{"a|1", "|<null>", "c|3"}, ""},
		"file":                           {manifest.Source{Path: "in/b.csv"}, []string{"3|c"}, ""},
		"pattern":                        {manifest.Source{Path: "in/[ab].csv"}, []string{"a|1", "|<null>", "c|3"}, ""},
		"pattern of folders":             {manifest.Source{Path: "in/*/*.csv"}, []string{"9|z"}, ""},
		"name that looks like a pattern": {manifest.Source{Path: "lit/x[1].csv"}, []string{"7"}, ""},
		"columns":                        {manifest.Source{Path: "in", Options: manifest.SourceOptions{Columns: []string{"id"}}}, []string{"1", "<null>", "3"}, ""},
		"format by option":               {manifest.Source{Path: "odd", Options: manifest.SourceOptions{Format: "csv"}}, []string{"1"}, ""},
		"link that is named":             {manifest.Source{Path: "links/l.csv"}, []string{"1"}, ""},
		"link that leads out":            {manifest.Source{Path: "links"}, nil, "source.file"},
		"no file":                        {manifest.Source{Path: "nowhere.csv"}, nil, "source.missing"},
		"no match":                       {manifest.Source{Path: "in/*.jsonl"}, nil, "source.missing"},
		"empty folder":                   {manifest.Source{Path: "empty"}, nil, "source.missing"},
		"bad pattern":                    {manifest.Source{Path: "in/[a"}, nil, "source.pattern"},
		"no path":                        {manifest.Source{}, nil, "manifest.path"},
		"two formats":                    {manifest.Source{Path: "mixed"}, nil, "source.format"},
		"unknown format":                 {manifest.Source{Path: "odd"}, nil, "source.format"},
		"wrong format":                   {manifest.Source{Path: "odd", Options: manifest.SourceOptions{Format: "xml"}}, nil, "source.format"},
		"wrong compression":              {manifest.Source{Path: "in", Options: manifest.SourceOptions{Compression: "lzma"}}, nil, "source.format"},
		"parquet in gzip":                {manifest.Source{Path: "in", Options: manifest.SourceOptions{Format: "parquet", Compression: "gzip"}}, nil, "source.format"},
		"type of no column":              {manifest.Source{Path: "in", Options: manifest.SourceOptions{Types: typed("nothing", "int64")}}, nil, "source.types"},
		"no type":                        {manifest.Source{Path: "in", Options: manifest.SourceOptions{Types: typed("id", "number")}}, nil, "manifest.types"},
		"column that is not there":       {manifest.Source{Path: "in", Options: manifest.SourceOptions{Columns: []string{"nothing"}}}, nil, "source.column"},
		"delimiter":                      {manifest.Source{Path: "in", Options: manifest.SourceOptions{CSV: manifest.CSV{Delimiter: "::"}}}, nil, "manifest.csv"},
		"query":                          {manifest.Source{Path: "in", Options: manifest.SourceOptions{Query: manifest.Query{SQL: "SELECT 1"}}}, nil, "manifest.query"},
		"quarantine without path":        {manifest.Source{Path: "in", Options: manifest.SourceOptions{OnBadRow: "quarantine"}}, nil, "manifest.quarantine"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := readAll(t, dir, tt.src)
			if tt.code != "" {
				assert.Equal(t, code(err), tt.code)
				return
			}
			assert.NilError(t, err)
			assert.DeepEqual(t, got, tt.want)
		})
	}
}

// Each kind of bad input gives the right rows or an error with its code.
func TestBadInput(t *testing.T) {
	t.Parallel()
	noHeader := false
	id := manifest.SourceOptions{Types: typed("id", "int64")}
	many := strings.Repeat("id,name\n", 1) + strings.Repeat("1,abcdefgh\n", 50000)
	for name, tt := range map[string]struct {
		files map[string]string
		o     manifest.SourceOptions
		want  []string
		code  string
		says  string
	}{
		"mark":                      {map[string]string{"a.csv": "\xEF\xBB\xBFid\n1\n"}, id, []string{"1"}, "", ""},
		"mixed line ends":           {map[string]string{"a.csv": "id\r\n1\n2\r3"}, id, []string{"1", "2", "3"}, "", ""},
		"header alone":              {map[string]string{"a.csv": "id"}, id, nil, "", ""},
		"no header":                 {map[string]string{"a.csv": "1,x\n"}, manifest.SourceOptions{CSV: manifest.CSV{Header: &noHeader}}, []string{"1|x"}, "", ""},
		"no header, declared":       {map[string]string{"a.csv": "1,x\n"}, manifest.SourceOptions{CSV: manifest.CSV{Header: &noHeader}, Types: typed("k", "int16", "v", "text")}, []string{"1|x"}, "", ""},
		"no header, no rows":        {map[string]string{"a.csv": ""}, manifest.SourceOptions{CSV: manifest.CSV{Header: &noHeader}}, nil, "source.empty", ""},
		"null text":                 {map[string]string{"a.csv": "id;name\n-;\"-\"\n"}, manifest.SourceOptions{CSV: manifest.CSV{Delimiter: ";", Null: "-"}}, []string{"<null>|-"}, "", ""},
		"empty file":                {map[string]string{"a.csv": ""}, id, nil, "file.header", "line 1"},
		"empty second file":         {map[string]string{"a.csv": "id\n1\n", "b.csv": ""}, id, []string{"1"}, "file.header", "b.csv"},
		"no number":                 {map[string]string{"a.csv": "id\n1\nx\n"}, id, []string{"1"}, "row.value", `a.csv: line 3 (byte 5): column "id": "x" is not int64`},
		"long value":                {map[string]string{"a.csv": "id\n" + strings.Repeat("9", 500)}, id, nil, "row.value", "80 of 500 bytes"},
		"ragged":                    {map[string]string{"a.csv": "id,b\n1,2\n3\n"}, id, []string{"1|2"}, "row.fields", "line 3"},
		"ragged, more":              {map[string]string{"a.csv": "id,b\n1,2,3\n"}, id, nil, "row.fields", "3 fields"},
		"quote":                     {map[string]string{"a.csv": "id,b\n1,a\"b\n"}, id, nil, "row.quote", "line 2"},
		"unclosed":                  {map[string]string{"a.csv": "id,b\n1,\"b\n2,c\n"}, id, nil, "file.unclosed", "line 2"},
		"utf-8":                     {map[string]string{"a.csv": "id,b\n1,\xff\n"}, id, nil, "row.value", `column "b"`},
		"nul":                       {map[string]string{"a.csv": "id,b\n1,a\x00\n"}, id, nil, "row.value", `column "b"`},
		"utf-16":                    {map[string]string{"a.csv": "\xff\xfei\x00d\x00\n\x00"}, id, nil, "file.encoding", "UTF-16"},
		"drift, missing":            {map[string]string{"a.csv": "id,b\n1,2\n", "b.csv": "id\n1\n"}, id, []string{"1|2"}, "file.drift", "a.csv"},
		"drift, extra":              {map[string]string{"a.csv": "id\n1\n", "b.csv": "id,b\n1,2\n"}, id, []string{"1"}, "file.drift", `"b"`},
		"gzip":                      {map[string]string{"a.csv.gz": gz(t, "id\n1\n") + gz(t, "2\n")}, id, []string{"1", "2"}, "", ""},
		"zstd":                      {map[string]string{"a.csv.zst": zst(t, "id\n1\n") + zst(t, "2\n")}, id, []string{"1", "2"}, "", ""},
		"gzip by option":            {map[string]string{"a.csv": gz(t, "id\n1\n")}, manifest.SourceOptions{Compression: "gzip"}, []string{"1"}, "", ""},
		"gzip, cut short":           {map[string]string{"a.csv.gz": gz(t, many)[:300]}, manifest.SourceOptions{}, nil, "file.corrupt", "cut short"},
		"gzip, without its sum":     {map[string]string{"a.csv.gz": strings.TrimSuffix(gz(t, "id\n1\n"), gz(t, "id\n1\n")[len(gz(t, "id\n1\n"))-4:])}, manifest.SourceOptions{}, []string{"1"}, "file.corrupt", "cut short"},
		"gzip, garbage behind":      {map[string]string{"a.csv.gz": gz(t, "id\n1\n") + "garbage"}, manifest.SourceOptions{}, []string{"1"}, "file.corrupt", "followed"},
		"gzip that is none":         {map[string]string{"a.csv.gz": "id\n1\n"}, manifest.SourceOptions{}, nil, "file.corrupt", "gzip"},
		"gzip of nothing":           {map[string]string{"a.csv.gz": ""}, manifest.SourceOptions{}, nil, "file.corrupt", ""},
		"zstd, cut short":           {map[string]string{"a.csv.zst": zst(t, many)[:90]}, manifest.SourceOptions{}, nil, "file.corrupt", "zstd"},
		"zstd, garbage behind":      {map[string]string{"a.csv.zst": zst(t, "id\n1\n") + "garbage"}, manifest.SourceOptions{}, []string{"1"}, "file.corrupt", ""},
		"zstd of nothing":           {map[string]string{"b.csv.zst": "", "a.csv.zst": zst(t, "id\n1\n")}, manifest.SourceOptions{}, []string{"1"}, "file.corrupt", "b.csv"},
		"json":                      {map[string]string{"a.jsonl": "{\"id\":1,\"x\":{\"a\":[]}}\n\n{\"x\":null,\"id\":2}\r\n"}, manifest.SourceOptions{}, []string{`1|{"a":[]}`, "2|<null>"}, "", ""},
		"json in gzip":              {map[string]string{"a.ndjson.gz": gz(t, `{"id":1}`)}, manifest.SourceOptions{}, []string{"1"}, "", ""},
		"json, key twice":           {map[string]string{"a.jsonl": `{"id":1,"id":1}`}, id, nil, "row.duplicate", "line 1"},
		"json, other kind":          {map[string]string{"a.jsonl": `{"id":"x","b":"y"}`}, manifest.SourceOptions{Types: typed("b", "bool")}, nil, "row.value", "options.types"},
		"json, drift":               {map[string]string{"a.jsonl": `{"id":1}`, "b.jsonl": `{"id":1,"new":2}`}, manifest.SourceOptions{}, []string{"1"}, "file.drift", `b.jsonl: line 1 (byte 0): the key "new"`},
		"json, broken":              {map[string]string{"a.jsonl": `{"id":1`}, id, nil, "row.json", "a.jsonl"},
		"json, utf-16":              {map[string]string{"a.jsonl": "\xfe\xff\x00{"}, id, nil, "file.encoding", ""},
		"json, empty":               {map[string]string{"a.jsonl": "\n"}, manifest.SourceOptions{}, nil, "source.empty", "options.types"},
		"json, empty, but declared": {map[string]string{"a.jsonl": ""}, id, nil, "", ""},
		"parquet that is none":      {map[string]string{"a.parquet": "id\n1\n"}, manifest.SourceOptions{}, nil, "file.corrupt", ""},
		"parquet, empty":            {map[string]string{"a.parquet": ""}, manifest.SourceOptions{}, nil, "file.corrupt", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for n, content := range tt.files {
				write(t, dir, n, content)
			}
			tt.o.BatchRows = 1 // so that what comes before a defect is seen
			got, _, err := readAll(t, dir, manifest.Source{Path: dir, Options: tt.o})
			if tt.code == "" {
				assert.NilError(t, err)
				assert.DeepEqual(t, got, tt.want)
				return
			}
			assert.Equal(t, code(err), tt.code)
			assert.ErrorContains(t, err, tt.says)
			if len(got) < 1000 {
				assert.DeepEqual(t, got, tt.want)
			}
		})
	}
}

func TestQuarantine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("x", 100_000)
	write(t, dir, "in/a.csv", "id,b\n1,x\ny,z\n2\n3,q\"r\n4,\xff\n5,ok\n6,"+long+",\n")
	write(t, dir, "bad.jsonl", "of an earlier run")
	src := manifest.Source{Path: "in", Options: manifest.SourceOptions{
		Types: typed("id", "int64"), OnBadRow: "quarantine", Quarantine: manifest.Quarantine{Path: "bad.jsonl", MaxRows: 5},
	}}
	got, stats, err := readAll(t, dir, src)
	assert.NilError(t, err)
	assert.DeepEqual(t, got, []string{"1|x", "5|ok"})
	assert.Equal(t, stats.Quarantined, int64(5))
	data, err := os.ReadFile(filepath.Join(dir, "bad.jsonl"))
	assert.NilError(t, err)
	var places []string
	for line := range strings.Lines(string(data)) {
		var row badRow
		assert.NilError(t, json.Unmarshal([]byte(line), &row))
		raw, err := base64.StdEncoding.DecodeString(row.Raw)
		assert.NilError(t, err)
		if len(raw) > 20 {
			assert.Equal(t, len(raw), 64<<10)
			assert.Equal(t, row.RawBytes, 100_004)
			raw = raw[:5]
		}
		assert.Equal(t, filepath.Base(row.File), "a.csv")
		places = append(places, strings.Join([]string{string(row.Code), row.Column, string(raw)}, " "))
		assert.Assert(t, row.Line > 1 && row.Offset > 4 && row.Reason != "", line)
	}
	assert.DeepEqual(t, places, []string{"row.value id y,z\n", "row.fields  2\n", "row.quote  3,q\"r\n", "row.value b 4,\xff\n", "row.fields  6,xxx"})

	src.Options.Quarantine.MaxRows = 4
	_, _, err = readAll(t, dir, src)
	assert.Equal(t, code(err), "quarantine.limit")

	// A run without bad rows does not leave the rows of an earlier one.
	write(t, dir, "in/a.csv", "id,b\n1,x\n")
	_, _, err = readAll(t, dir, src)
	assert.NilError(t, err)
	data, err = os.ReadFile(filepath.Join(dir, "bad.jsonl"))
	assert.NilError(t, err)
	assert.Equal(t, string(data), "")

	// What cannot be trusted is never put aside.
	write(t, dir, "in/a.csv", "id,b\n1,\"x\n")
	_, _, err = readAll(t, dir, src)
	assert.Equal(t, code(err), "file.unclosed")
	left, err := filepath.Glob(filepath.Join(dir, ".quarantine*"))
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
}

// A second read of a run takes no row twice, and scans of one column take none.
func TestQuarantineOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	write(t, dir, "a.csv", "id\n1\nx\n3\n")
	s, err := openSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: "a.csv", Options: manifest.SourceOptions{
		Types: typed("id", "int64"), OnBadRow: "quarantine", Quarantine: manifest.Quarantine{Path: "bad.jsonl", MaxRows: 1},
	}}}, connector.Env{Dir: dir})
	assert.NilError(t, err)
	rel, err := s.Describe(ctx)
	assert.NilError(t, err)
	snap, err := s.Snapshot(ctx)
	assert.NilError(t, err)
	least, greatest, err := snap.Bounds(ctx, rel.Columns[0].Column)
	assert.NilError(t, err)
	assert.DeepEqual(t, [][]byte{least, greatest}, [][]byte{logical.AppendInt64(nil, 1), logical.AppendInt64(nil, 3)})
	_, err = os.Stat(filepath.Join(dir, "bad.jsonl"))
	assert.Assert(t, os.IsNotExist(err))
	for range 2 {
		r, err := snap.Read(ctx, connector.Request{Columns: rel.Schema()})
		assert.NilError(t, err)
		b := batch.New(rel.Schema())
		for err == nil {
			err = r.Next(ctx, b)
		}
		assert.ErrorIs(t, err, io.EOF)
		assert.NilError(t, r.Close())
	}
	assert.NilError(t, snap.Close(ctx))
	data, err := os.ReadFile(filepath.Join(dir, "bad.jsonl"))
	assert.NilError(t, err)
	assert.Equal(t, strings.Count(string(data), "\n"), 1)
}

func TestConditions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a.csv", "id,name,at\n1,a,2024-01-01\n2,b,2024-01-02\n,c,\n4,\"\",2024-01-04\n")
	src := manifest.Source{Path: "a.csv", Options: manifest.SourceOptions{Types: typed("id", "int32", "at", "date")}}
	all := columns(t, "id", "int32", "name", "text", "at", "date")
	num := func(n int32) []byte { return logical.AppendInt32(nil, n) }
	for name, tt := range map[string]struct {
		req  connector.Request
		want []string
	}{
		"range":              {connector.Request{Columns: all[1:2], Range: &connector.Range{Column: all[0], From: num(1), To: num(4)}}, []string{"a", "b"}},
		"range, inclusive":   {connector.Request{Columns: all[1:2], Range: &connector.Range{Column: all[0], From: num(2), To: num(4), ToInclusive: true}}, []string{"b", ""}},
		"open":               {connector.Request{Columns: all[1:2], Range: &connector.Range{Column: all[0]}}, []string{"a", "b", "c", ""}},
		"in":                 {connector.Request{Columns: all[:2], In: &connector.In{Column: all[0], Values: [][]byte{nil, num(4)}}}, []string{"<null>|c", "4|"}},
		"in nothing":         {connector.Request{Columns: all, In: &connector.In{Column: all[0], Values: [][]byte{}}}, nil},
		"where":              {connector.Request{Columns: all[:1], Where: "name in ('a','c') and id is not null"}, []string{"1"}},
		"where and range":    {connector.Request{Columns: all[:1], Where: "name <> 'a'", Range: &connector.Range{Column: all[2], From: num(8766)}}, []string{"2", "4"}},
		"order of columns":   {connector.Request{Columns: batch.Schema{all[2], all[0]}}, []string{"2024-01-01|1", "2024-01-02|2", "<null>|<null>", "2024-01-04|4"}},
		"other type":         {connector.Request{Columns: columns(t, "id", "int64", "at", "text")}, []string{"1|2024-01-01", "2|2024-01-02", "<null>|<null>", "4|2024-01-04"}},
		"condition as other": {connector.Request{Columns: columns(t, "id", "numeric"), Range: &connector.Range{Column: all[0], From: num(4)}}, []string{"4"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, _, err := readSome(t, dir, src, tt.req)
			assert.NilError(t, err)
			assert.DeepEqual(t, got, tt.want)
		})
	}
	for name, tt := range map[string]struct {
		req  connector.Request
		code string
	}{
		"sql":       {connector.Request{Where: "lower(name) = 'a'"}, "predicate.syntax"},
		"no column": {connector.Request{Where: "nothing = 1"}, "predicate.type"},
		"no number": {connector.Request{Where: "id = 'x'"}, "predicate.type"},
		"lossy":     {connector.Request{Columns: columns(t, "at", "int64")}, "source.convert"},
		"narrower":  {connector.Request{Columns: columns(t, "nothing", "int64")}, "source.column"},
	} {
		_, _, err := readSome(t, dir, src, tt.req)
		assert.Equal(t, code(err), tt.code, name)
	}
}

func TestBoundsAndValues(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	write(t, dir, "a.csv", "x,y\n-1,\n10,\n9,\n,\n9.0,\n")
	s, err := openSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: "a.csv", Options: manifest.SourceOptions{Types: typed("x", "numeric")}}}, connector.Env{Dir: dir})
	assert.NilError(t, err)
	snap, err := s.Snapshot(ctx)
	assert.NilError(t, err)
	defer snap.Close(ctx)
	x, y := columns(t, "x", "numeric")[0], columns(t, "y", "text")[0]
	least, greatest, err := snap.Bounds(ctx, x)
	assert.NilError(t, err)
	assert.DeepEqual(t, textsOf(t, raws(x, least, greatest)), []string{"-1", "10"})
	values, err := snap.Values(ctx, x, 4)
	assert.NilError(t, err)
	assert.DeepEqual(t, textsOf(t, raws(x, values...)), []string{"-1", "9", "10", null})
	_, err = snap.Values(ctx, x, 3)
	assert.Equal(t, code(err), "source.values")
	least, greatest, err = snap.Bounds(ctx, y)
	assert.NilError(t, err)
	assert.Assert(t, least == nil && greatest == nil)
}

func raws(c batch.Column, values ...[]byte) *batch.Batch {
	b := batch.New(batch.Schema{c})
	for _, v := range values {
		if v == nil {
			b.Columns[0].AppendNull()
		} else {
			b.Columns[0].Append(v)
		}
		b.EndRow()
	}
	return b
}

// A file that changes between the snapshot and its last row fails the run.
func TestChangedFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, change := range map[string]func(path string) error{
		"appended": func(p string) error {
			f, err := os.OpenFile(p, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("9,x\n")
			return err
		},
		"replaced": func(p string) error {
			if err := os.WriteFile(p+".new", []byte("id,b\n1,x\n"), 0o600); err != nil {
				return err
			}
			return os.Rename(p+".new", p)
		},
		"gone": os.Remove,
	} {
		dir := t.TempDir()
		write(t, dir, "a.csv", "id,b\n1,x\n")
		second := write(t, dir, "b.csv", "id,b\n1,x\n")
		s, err := openSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: dir}}, connector.Env{})
		assert.NilError(t, err)
		snap, err := s.Snapshot(ctx)
		assert.NilError(t, err)
		assert.NilError(t, change(second))
		s2 := columns(t, "id", "text", "b", "text")
		r, err := snap.Read(ctx, connector.Request{Columns: s2})
		assert.NilError(t, err)
		err = r.Next(ctx, batch.New(s2))
		assert.Equal(t, code(err), "file.changed", name)
		assert.NilError(t, r.Close())
		assert.NilError(t, snap.Close(ctx))
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := t.TempDir()
	write(t, dir, "a.csv", "id\n1\n")
	write(t, dir, "b.csv", "id\n2\n3\n")
	s, err := openSource(ctx, &manifest.Manifest{Source: manifest.Source{Path: dir}}, connector.Env{})
	assert.NilError(t, err)
	rel, err := s.Describe(ctx)
	assert.NilError(t, err)
	assert.Equal(t, rel.Facts["files"]+" "+rel.Facts["bytes"], "2 12")
	assert.Assert(t, strings.HasPrefix(rel.Identity, "file:"))
	snap, err := s.Snapshot(ctx)
	assert.NilError(t, err)
	assert.Equal(t, snap.Facts()["content_sha256"], "")
	r, err := snap.Read(ctx, connector.Request{Columns: rel.Schema()})
	assert.NilError(t, err)
	b := batch.New(rel.Schema())
	for err == nil {
		err = r.Next(ctx, b)
	}
	assert.Equal(t, len(snap.Facts()["content_sha256"]), 64)
	st := r.Stats()
	assert.Equal(t, st.Rows, int64(3))
	assert.Equal(t, st.Bytes, int64(12))
	assert.Equal(t, len(st.Chunks), 2)
	assert.Equal(t, st.Chunks[1].Rows, int64(2))
	assert.Equal(t, len(st.Chunks[1].SHA256), 64)
	assert.NilError(t, snap.Close(ctx))
}
