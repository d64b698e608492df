package dataset_test

import (
	"encoding/json"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/dataset"
)

func good() *dataset.Manifest {
	one := "a"
	return &dataset.Manifest{
		Version: 1, Revision: 3, Load: "20260102T030405-abc", PublishedAt: "2026-01-02T03:04:05Z",
		Columns: []dataset.Column{{Name: "id", Type: "int64", NotNull: true}, {Name: "p", Type: "text"}},
		Key:     []string{"id"},
		Schemas: [][]dataset.Column{{{Name: "id", Type: "int32"}}, {{Name: "p", Type: "text"}, {Name: "id", Type: "int64"}}},
		Files: []dataset.File{
			{Path: "data/x-1.csv", Format: "csv", Compression: "gzip", SHA256: strings.Repeat("0a", 32), Rows: 1, Bytes: 2, Load: "l", CSV: &dataset.CSV{Delimiter: ";"}},
			{Path: "data/x-2.parquet", Format: "parquet", Compression: "snappy", Schema: 1, SHA256: strings.Repeat("0a", 32), Partition: &dataset.Partition{Column: "p", Value: &one}, Bounds: &dataset.Bounds{Column: "id", Least: "1", Greatest: "2"}},
		},
		States:   []dataset.State{{Pipeline: "p", Revision: 2, Position: json.RawMessage(`{"a":[1]}`)}},
		Receipts: []dataset.Receipt{{Load: "l", Receipt: connector.Receipt{ID: "i", Pipeline: "p", Window: "w"}}},
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	m := good()
	data, err := m.Encode()
	assert.NilError(t, err)
	got, err := dataset.Decode(data)
	assert.NilError(t, err)
	assert.DeepEqual(t, got, m)
	assert.Equal(t, got.Rows(), int64(1))
	assert.Equal(t, got.State("p").Revision, int64(2))
	assert.Equal(t, got.State("q").Revision, int64(0))
	assert.Assert(t, got.Receipt("p", "w") != nil && got.Receipt("p", "v") == nil && got.Receipt("q", "w") == nil)
	assert.Equal(t, got.AddSchema([]dataset.Column{{Name: "id", Type: "int32"}}), 0)
	assert.Equal(t, got.AddSchema([]dataset.Column{{Name: "id", Type: "int16"}}), 2)
	// One line for each file, state and receipt.
	assert.Equal(t, strings.Count(string(data), "\n"), 20)
}

// Each change of a good manifest is refused.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*dataset.Manifest){
		"version":           func(m *dataset.Manifest) { m.Version = 2 },
		"load":              func(m *dataset.Manifest) { m.Load = "../x" },
		"no load":           func(m *dataset.Manifest) { m.Load = "" },
		"no columns":        func(m *dataset.Manifest) { m.Columns = nil },
		"column twice":      func(m *dataset.Manifest) { m.Columns[1].Name = "id" },
		"column type":       func(m *dataset.Manifest) { m.Columns[1].Type = "string" },
		"schema type":       func(m *dataset.Manifest) { m.Schemas[0][0].Type = "" },
		"schema column":     func(m *dataset.Manifest) { m.Schemas[0][0].Name = "other" },
		"path up":           func(m *dataset.Manifest) { m.Files[0].Path = "data/../../x" },
		"path outside":      func(m *dataset.Manifest) { m.Files[0].Path = "x" },
		"path absolute":     func(m *dataset.Manifest) { m.Files[0].Path = "/etc/passwd" },
		"path deeper":       func(m *dataset.Manifest) { m.Files[0].Path = "data/x/y" },
		"path of nothing":   func(m *dataset.Manifest) { m.Files[0].Path = "data/" },
		"path of dots":      func(m *dataset.Manifest) { m.Files[0].Path = "data/.." },
		"path twice":        func(m *dataset.Manifest) { m.Files[0].Path = m.Files[1].Path },
		"format":            func(m *dataset.Manifest) { m.Files[0].Format = "xml" },
		"compression":       func(m *dataset.Manifest) { m.Files[1].Compression = "gzip" },
		"sum":               func(m *dataset.Manifest) { m.Files[0].SHA256 = "00" },
		"sum in other text": func(m *dataset.Manifest) { m.Files[0].SHA256 = strings.Repeat("xy", 32) },
		"schema index":      func(m *dataset.Manifest) { m.Files[0].Schema = 2 },
		"negative index":    func(m *dataset.Manifest) { m.Files[0].Schema = -1 },
		"negative rows":     func(m *dataset.Manifest) { m.Files[0].Rows = -1 },
		"state revision":    func(m *dataset.Manifest) { m.States[0].Revision = 0 },
		"two states":        func(m *dataset.Manifest) { m.States = append(m.States, m.States[0]) },
		"two receipts":      func(m *dataset.Manifest) { m.Receipts = append(m.Receipts, m.Receipts[0]) },
	} {
		m := good()
		change(m)
		data, err := json.Marshal(m)
		assert.NilError(t, err)
		_, err = dataset.Decode(data)
		assert.Assert(t, err != nil, name)
		_, err = m.Encode()
		assert.Assert(t, err != nil, name)
	}
	data, err := good().Encode()
	assert.NilError(t, err)
	text := string(data)
	for name, in := range map[string]string{
		"nothing": "", "null": "null", "list": "[]", "cut short": text[:len(text)/2], "more": text + "{}",
		"unknown key":      strings.Replace(text, `"revision"`, `"other"`, 1),
		"key twice":        strings.Replace(text, `"revision": 3`, `"revision": 3, "revision": 4`, 1),
		"key in two cases": strings.Replace(text, `"revision": 3`, `"revision": 3, "Revision": 4`, 1),
		"nested twice":     strings.Replace(text, `"rows":1`, `"rows":1,"rows":2`, 1),
		"other version":    strings.Replace(text, `"version": 1`, `"version": 9, "unknown": 1`, 1),
		"deep":             strings.Repeat("[", 1000),
	} {
		_, err := dataset.Decode([]byte(in))
		assert.Assert(t, err != nil, name)
	}
	_, err = dataset.Decode([]byte(`{"version": 9, "new": 1}`))
	assert.ErrorContains(t, err, "version 9")
}

func TestIntent(t *testing.T) {
	t.Parallel()
	i, err := dataset.DecodeIntent([]byte(`{"version":1,"load":"l","pipeline":"p","window":"w","add":["data/a"],"remove":["data/b"]}`))
	assert.NilError(t, err)
	assert.DeepEqual(t, i.Add, []string{"data/a"})
	for _, in := range []string{
		``, `{}`, `{"version":2,"load":"l"}`, `{"version":1,"load":""}`, `{"version":1,"load":"l","add":["../x"]}`,
		`{"version":1,"load":"l","remove":["manifest.json"]}`, `{"version":1,"load":"l","x":1}`,
	} {
		_, err := dataset.DecodeIntent([]byte(in))
		assert.Assert(t, err != nil, in)
	}
}

// What is read can be written, and reads as the same again.
func FuzzDecode(f *testing.F) {
	data, err := good().Encode()
	assert.NilError(f, err)
	f.Add(data)
	f.Add([]byte(`{"version":1,"load":"l","columns":[{"name":"a","type":"text"}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := dataset.Decode(in)
		if err != nil {
			return
		}
		first, err := m.Encode()
		assert.NilError(t, err)
		again, err := dataset.Decode(first)
		assert.NilError(t, err)
		second, err := again.Encode()
		assert.NilError(t, err)
		assert.Equal(t, string(first), string(second))
	})
}
