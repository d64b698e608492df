// Package dataset is the file manifest.json of a published folder: what is
// current, in which columns, with which content, and the state and receipts of the loads that made it.
//
// The file is one JSON object with one line for each file, state and receipt:
//
//	{
//	 "version": 1,
//	 "revision": 7,                      publications so far
//	 "load": "20261122T091500-9f3c21",   the load that published this manifest
//	 "published_at": "2026-11-22T09:15:00.000000Z",
//	 "columns": [{"name": "id", "type": "int64", "not_null": true}],
//	 "key": ["id"],
//	 "schemas": [[{"name": "id", "type": "int32"}]],  columns as files were written
//	 "files": [{"path": "data/orders-20261122T091500-9f3c21-1.csv", "schema": 0, ...}],
//	 "states": [{"pipeline": "...", "revision": 3, "position": {}}],
//	 "receipts": [{"load": "...", "receipt": {}}]
//	}
//
// Every receipt is kept, so that a window is loaded once for ever; the file grows
// by about 400 bytes a load.
package dataset

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
)

// The names in a folder.
const (
	Name    = "manifest.json"
	Intents = "intent.json"
	Lock    = ".lock"
	Staging = ".staging"
	Data    = "data"
)

// Version is the only one that is read and written.
const Version = 1

// MaxBytes is the longest manifest that is read.
const MaxBytes = 256 << 20

const maxDepth = 100

// Column is a column with its logical type.
type Column struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	NotNull bool   `json:"not_null,omitempty"`
}

// Partition is the one value that a column has in a file; a nil Value is NULL.
type Partition struct {
	Column string  `json:"column"`
	Value  *string `json:"value"`
}

// Bounds say what values of a column a file can hold, in the type's text form.
// Both ends are empty when every value is NULL.
type Bounds struct {
	Column   string `json:"column"`
	Least    string `json:"least,omitempty"`
	Greatest string `json:"greatest,omitempty"`
}

// CSV is the dialect of a CSV file.
type CSV struct {
	Delimiter string `json:"delimiter,omitempty"`
	Null      string `json:"null,omitempty"`
	NoHeader  bool   `json:"no_header,omitempty"`
}

// File is one file of the data set.
type File struct {
	// Path is "data/" and the name.
	Path        string     `json:"path"`
	Format      string     `json:"format"`
	Compression string     `json:"compression"`
	CSV         *CSV       `json:"csv,omitempty"`
	Schema      int        `json:"schema"`
	Rows        int64      `json:"rows"`
	Bytes       int64      `json:"bytes"`
	SHA256      string     `json:"sha256"`
	Partition   *Partition `json:"partition,omitempty"`
	Bounds      *Bounds    `json:"bounds,omitempty"`
	// Load and Window say which load wrote the file; a file that was written anew
	// because other rows left it has the load that did so.
	Load   string `json:"load"`
	Window string `json:"window,omitempty"`
}

// State is what the next run of a pipeline starts from.
type State struct {
	Pipeline string          `json:"pipeline"`
	Revision int64           `json:"revision"`
	Position json.RawMessage `json:"position,omitempty"`
}

// Receipt is a receipt with the load that it belongs to.
type Receipt struct {
	Load    string            `json:"load"`
	Receipt connector.Receipt `json:"receipt"`
}

// Manifest is the whole.
type Manifest struct {
	Version     int        `json:"version"`
	Revision    int64      `json:"revision"`
	Load        string     `json:"load"`
	PublishedAt string     `json:"published_at"`
	Columns     []Column   `json:"columns"`
	Key         []string   `json:"key,omitempty"`
	Schemas     [][]Column `json:"schemas"`
	Files       []File     `json:"files"`
	States      []State    `json:"states"`
	Receipts    []Receipt  `json:"receipts"`
}

// Intent is written before a publication touches anything, and removed after it.
type Intent struct {
	Version  int    `json:"version"`
	Load     string `json:"load"`
	Pipeline string `json:"pipeline"`
	Window   string `json:"window"`
	// Add are the files that the publication moves into the data folder, Remove
	// those that its manifest no longer names.
	Add    []string `json:"add"`
	Remove []string `json:"remove"`
}

// Decode reads a manifest: one JSON object with known keys, none of them twice,
// whose parts agree with each other.
func Decode(data []byte) (*Manifest, error) {
	var m Manifest
	if err := strict(data, &m); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return &m, nil
}

// DecodeIntent reads an intent as strictly.
func DecodeIntent(data []byte) (*Intent, error) {
	var i Intent
	if err := strict(data, &i); err != nil {
		return nil, err
	}
	if i.Version != Version {
		return nil, fmt.Errorf("version %d is not known, only %d is", i.Version, Version)
	}
	if err := checkLoad(i.Load); err != nil {
		return nil, err
	}
	for _, p := range slices.Concat(i.Add, i.Remove) {
		if err := checkPath(p); err != nil {
			return nil, err
		}
	}
	return &i, nil
}

func strict(data []byte, into any) error {
	if len(data) > MaxBytes {
		return fmt.Errorf("longer than %d bytes", MaxBytes)
	}
	// The version comes first: another one may have other keys.
	var v struct{ Version int }
	if json.Unmarshal(data, &v) == nil && v.Version != Version {
		return fmt.Errorf("version %d is not known, only %d is", v.Version, Version)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := unique(d, 0); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more text after the object")
	}
	d = json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// unique refuses a key that is given twice, also one that differs only in its
// letters' case, which encoding/json takes for the same.
func unique(d *json.Decoder, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	var seen map[string]bool
	for d.More() {
		if open == '{' {
			k, err := d.Token()
			if err != nil {
				return err
			}
			key := strings.ToLower(fmt.Sprint(k))
			if seen[key] {
				return fmt.Errorf("the key %q is given twice, before byte %d", k, d.InputOffset())
			}
			if seen == nil {
				seen = make(map[string]bool)
			}
			seen[key] = true
		}
		if err := unique(d, depth+1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func (m *Manifest) check() error {
	if m.Version != Version {
		return fmt.Errorf("version %d is not known, only %d is", m.Version, Version)
	}
	if err := checkLoad(m.Load); err != nil {
		return err
	}
	if len(m.Columns) == 0 {
		return errors.New("columns: there are none")
	}
	if _, err := Schema(m.Columns); err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	for i, s := range m.Schemas {
		schema, err := Schema(s)
		if err != nil {
			return fmt.Errorf("schemas[%d]: %w", i, err)
		}
		for _, c := range schema {
			if !slices.ContainsFunc(m.Columns, func(o Column) bool { return o.Name == c.Name }) {
				return fmt.Errorf("schemas[%d]: the column %q is none of the data set's", i, c.Name)
			}
		}
	}
	paths := make(map[string]bool, len(m.Files))
	for i := range m.Files {
		f := &m.Files[i]
		if err := f.check(m); err != nil {
			return fmt.Errorf("files[%d]: %w", i, err)
		}
		if paths[f.Path] {
			return fmt.Errorf("files[%d]: %q is named twice", i, f.Path)
		}
		paths[f.Path] = true
	}
	for i, s := range m.States {
		if s.Revision < 1 || slices.ContainsFunc(m.States[:i], func(o State) bool { return o.Pipeline == s.Pipeline }) {
			return fmt.Errorf("states[%d]: revision %d of %q: less than 1, or the pipeline has two states", i, s.Revision, s.Pipeline)
		}
	}
	type window struct{ pipeline, window string }
	seen := make(map[window]bool, len(m.Receipts))
	for i, r := range m.Receipts {
		w := window{r.Receipt.Pipeline, r.Receipt.Window}
		if seen[w] {
			return fmt.Errorf("receipts[%d]: a second one for window %q of %q", i, w.window, w.pipeline)
		}
		seen[w] = true
	}
	return nil
}

func (f *File) check(m *Manifest) error {
	if err := checkPath(f.Path); err != nil {
		return err
	}
	compressions := []string{"none", "gzip", "zstd"}
	if f.Format == "parquet" {
		compressions = []string{"none", "snappy", "zstd"}
	}
	sum, err := hex.DecodeString(f.SHA256)
	switch {
	case !slices.Contains([]string{"csv", "jsonl", "parquet"}, f.Format):
		return fmt.Errorf("format %q is not csv, jsonl or parquet", f.Format)
	case !slices.Contains(compressions, f.Compression):
		return fmt.Errorf("compression %q is none of %q", f.Compression, compressions)
	case err != nil || len(sum) != 32:
		return fmt.Errorf("sha256 %q is not 64 hexadecimal digits", f.SHA256)
	case f.Schema < 0 || f.Schema >= len(m.Schemas):
		return fmt.Errorf("schema %d is none of the %d", f.Schema, len(m.Schemas))
	case f.Rows < 0 || f.Bytes < 0:
		return errors.New("rows and bytes cannot be less than 0")
	}
	return nil
}

// checkPath takes only names of files in the data folder.
func checkPath(p string) error {
	dir, name := path.Split(p)
	if dir != Data+"/" || name == "" || name == "." || name == ".." || strings.ContainsAny(name, "\\\x00") {
		return fmt.Errorf("path %q is not the name of a file in %s/", p, Data)
	}
	return nil
}

// checkLoad takes only what can be the name of a folder.
func checkLoad(load string) error {
	if load == "" || len(load) > 100 || strings.Trim(load, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != "" {
		return fmt.Errorf("load %q is not a name of letters, digits, _ and -", load)
	}
	return nil
}

// Schema gives columns their types.
func Schema(columns []Column) (batch.Schema, error) {
	schema := make(batch.Schema, 0, len(columns))
	seen := make(map[string]bool, len(columns))
	for _, c := range columns {
		t, err := logical.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", c.Name, err)
		}
		if c.Name == "" || seen[c.Name] {
			return nil, fmt.Errorf("the column name %q is empty or given twice", c.Name)
		}
		seen[c.Name] = true
		schema = append(schema, batch.Column{Name: c.Name, Type: t, NotNull: c.NotNull})
	}
	return schema, nil
}

// Columns is the inverse of Schema.
func Columns(schema batch.Schema) []Column {
	columns := make([]Column, 0, len(schema))
	for _, c := range schema {
		columns = append(columns, Column{c.Name, c.Type.String(), c.NotNull})
	}
	return columns
}

// AddSchema gives the index of the columns among the schemas and adds them when they are not there.
func (m *Manifest) AddSchema(columns []Column) int {
	for i, s := range m.Schemas {
		if slices.Equal(s, columns) {
			return i
		}
	}
	m.Schemas = append(m.Schemas, columns)
	return len(m.Schemas) - 1
}

// Rows counts the rows of all files.
func (m *Manifest) Rows() int64 {
	var n int64
	for i := range m.Files {
		n += m.Files[i].Rows
	}
	return n
}

// State gives the state of a pipeline, of revision 0 when there is none.
func (m *Manifest) State(pipeline string) State {
	for _, s := range m.States {
		if s.Pipeline == pipeline {
			return s
		}
	}
	return State{Pipeline: pipeline}
}

// Receipt gives the receipt of a window, nil when there is none.
func (m *Manifest) Receipt(pipeline, window string) *connector.Receipt {
	for i := range m.Receipts {
		if r := m.Receipts[i].Receipt; r.Pipeline == pipeline && r.Window == window {
			return &r
		}
	}
	return nil
}

// Encode writes the manifest, and fails when it could not be read back.
func (m *Manifest) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	e := encoder{}
	e.field("version", m.Version)
	e.field("revision", m.Revision)
	e.field("load", m.Load)
	e.field("published_at", m.PublishedAt)
	lines(&e, "columns", m.Columns)
	if len(m.Key) > 0 {
		e.field("key", m.Key)
	}
	lines(&e, "schemas", m.Schemas)
	lines(&e, "files", m.Files)
	lines(&e, "states", m.States)
	lines(&e, "receipts", m.Receipts)
	e.b.WriteString("\n}\n")
	return e.b.Bytes(), e.err
}

type encoder struct {
	b   bytes.Buffer
	err error
}

func (e *encoder) key(name string) {
	if e.b.Len() == 0 {
		e.b.WriteString("{\n")
	} else {
		e.b.WriteString(",\n")
	}
	fmt.Fprintf(&e.b, " %q: ", name)
}

func (e *encoder) value(v any) {
	data, err := json.Marshal(v)
	if err != nil {
		e.err = errors.Join(e.err, err)
	}
	e.b.Write(data)
}

func (e *encoder) field(name string, v any) {
	e.key(name)
	e.value(v)
}

func lines[T any](e *encoder, name string, list []T) {
	e.key(name)
	e.b.WriteString("[")
	for i := range list {
		if i > 0 {
			e.b.WriteString(",")
		}
		e.b.WriteString("\n  ")
		e.value(list[i])
	}
	e.b.WriteString("]")
}
