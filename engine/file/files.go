package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/manifest"
)

// The formats and compressions, as manifests name them.
const (
	formatCSV     = "csv"
	formatJSONL   = "jsonl"
	formatParquet = "parquet"

	none      = "none"
	gzipped   = "gzip"
	zstandard = "zstd"
	snappy    = "snappy"
)

// input is one file of a set.
type input struct {
	rel         string // below the set's root
	name        string // for messages
	format      string
	compression string
	dialect     csv.Dialect
	header      bool
	info        fs.FileInfo // when the set was fixed
	// Of a file that a data set names: the columns in which it was written, and what it must be.
	schema batch.Schema
	rows   int64
	bytes  int64
	sha256 string
}

// set is the files of a source, in the order of their names.
type set struct {
	root    *os.Root
	files   []input
	dataset *dataset.Manifest // nil for files that no manifest names
}

func (s *set) close() {
	if s != nil && s.root != nil {
		_ = s.root.Close()
	}
}

// find gives the files of a path, which is a file, a folder or a pattern of
// filepath.Glob (without **). In a folder every file counts whose name does not
// begin with "." or "_"; folders in it do not. A folder with a manifest.json is a
// data set, and its files are those that the manifest names.
func find(path string, o manifest.SourceOptions, warn func(string)) (*set, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return findFolder(path, o, warn)
	case err == nil:
		// The one file that was named may be a link to anywhere.
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		return open(filepath.Dir(real), []string{filepath.Base(real)}, path, o)
	case !strings.ContainsAny(path, `*?[`):
		return nil, connector.Fail("source.missing", err, "there is no file or folder %q", path)
	}
	base := path
	for strings.ContainsAny(base, `*?[`) {
		base = filepath.Dir(base)
	}
	matches, err := filepath.Glob(path)
	if err != nil {
		return nil, connector.Fail("source.pattern", err, "the pattern %q is not valid", path)
	}
	var names []string
	for _, m := range matches {
		if info, err := os.Stat(m); err == nil && info.IsDir() {
			continue
		}
		rel, err := filepath.Rel(base, m)
		if err != nil {
			return nil, err
		}
		names = append(names, rel)
	}
	if len(names) == 0 {
		return nil, connector.Fail("source.missing", nil, "no file matches the pattern %q", path)
	}
	return open(base, names, path, o)
}

func findFolder(path string, o manifest.SourceOptions, warn func(string)) (*set, error) {
	if _, err := os.Lstat(filepath.Join(path, dataset.Name)); err == nil {
		return findDataset(path)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		switch {
		case e.Name()[0] == '.' || e.Name()[0] == '_':
		case e.IsDir():
			if warn != nil {
				warn(fmt.Sprintf("the folder %s is not read; a pattern such as %s would", filepath.Join(path, e.Name()), filepath.Join(path, "*", "*.csv")))
			}
		default:
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, connector.Fail("source.missing", nil, "the folder %q holds no file whose name begins with neither \".\" nor \"_\", and no %s", path, dataset.Name)
	}
	return open(path, names, path, o)
}

// open fixes the named files of a folder.
func open(base string, names []string, path string, o manifest.SourceOptions) (*set, error) {
	delimiter, err := csv.ParseDelimiter(o.CSV.Delimiter)
	if err != nil {
		return nil, connector.Fail("manifest.csv", err, "source.options.csv.delimiter")
	}
	dialect := csv.Dialect{Delimiter: delimiter, Null: o.CSV.Null}
	if err := dialect.Check(); err != nil {
		return nil, connector.Fail("manifest.csv", err, "source.options.csv")
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	s := &set{root: root}
	slices.Sort(names)
	for _, rel := range names {
		in := input{rel: rel, name: filepath.Join(base, rel), dialect: dialect, header: o.CSV.Header == nil || *o.CSV.Header}
		if in.format, in.compression, err = formatOf(rel, o.Format, o.Compression); err == nil {
			in.info, err = regular(root, rel)
		}
		if err == nil && len(s.files) > 0 && s.files[0].format != in.format {
			err = connector.Fail("source.format", nil, "%s is %s and %s is %s; a source has one format", s.files[0].name, s.files[0].format, in.name, in.format)
		}
		if err != nil {
			s.close()
			return nil, fmt.Errorf("source path %q: %w", path, err)
		}
		s.files = append(s.files, in)
	}
	return s, nil
}

// regular gives what is known of a file below the root, and refuses what is no
// regular file or stands outside.
func regular(root *os.Root, rel string) (fs.FileInfo, error) {
	info, err := root.Stat(rel)
	if err != nil {
		return nil, connector.Fail("source.file", err, "%s cannot be read, or is a link that leads out of its folder", filepath.Join(root.Name(), rel))
	}
	if !info.Mode().IsRegular() {
		return nil, connector.Fail("source.file", nil, "%s is not a regular file", filepath.Join(root.Name(), rel))
	}
	return info, nil
}

// formatOf gives format and compression; what is not given comes from the name.
func formatOf(name, format, compression string) (string, string, error) {
	base := strings.ToLower(name)
	byName := none
	for suffix, c := range map[string]string{".gz": gzipped, ".gzip": gzipped, ".zst": zstandard, ".zstd": zstandard} {
		if b, ok := strings.CutSuffix(base, suffix); ok {
			base, byName = b, c
			break
		}
	}
	if compression == "" {
		compression = byName
	}
	if format == "" {
		switch filepath.Ext(base) {
		case ".csv":
			format = formatCSV
		case ".jsonl", ".ndjson":
			format = formatJSONL
		case ".parquet", ".pq":
			format = formatParquet
		default:
			return "", "", connector.Fail("source.format", nil, "the name of %s does not tell its format; set source.options.format to csv, jsonl or parquet, or give a pattern that leaves it out", name)
		}
	}
	switch {
	case format != formatCSV && format != formatJSONL && format != formatParquet:
		return "", "", connector.Fail("source.format", nil, "the format %q is none of csv, jsonl and parquet", format)
	case compression != none && compression != gzipped && compression != zstandard:
		return "", "", connector.Fail("source.format", nil, "the compression %q is none of none, gzip and zstd", compression)
	case format == formatParquet && compression != none:
		return "", "", connector.Fail("source.format", nil, "%s: a Parquet file is compressed inside, not with %s around it", name, compression)
	}
	return format, compression, nil
}

// findDataset gives the files that the manifest of a folder names.
func findDataset(dir string) (*set, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	m, err := readManifest(root)
	if err != nil {
		_ = root.Close()
		return nil, err
	}
	if m == nil {
		_ = root.Close()
		return nil, connector.Fail("source.missing", nil, "the folder %q has lost its %s", dir, dataset.Name)
	}
	s := &set{root: root, dataset: m}
	for i := range m.Files {
		in, err := datasetInput(m, &m.Files[i])
		if err == nil {
			in.name = filepath.Join(dir, filepath.FromSlash(m.Files[i].Path))
			in.info, err = regular(root, in.rel)
		}
		if err == nil && in.info.Size() != in.bytes {
			err = connector.Fail("dataset.damaged", nil, "%s has %d bytes where %s tells %d", in.name, in.info.Size(), dataset.Name, in.bytes)
		}
		if err != nil {
			s.close()
			return nil, err
		}
		s.files = append(s.files, in)
	}
	return s, nil
}

func datasetInput(m *dataset.Manifest, f *dataset.File) (input, error) {
	in := input{
		rel: filepath.FromSlash(f.Path), name: f.Path, format: f.Format, compression: f.Compression,
		header: true, rows: f.Rows, bytes: f.Bytes, sha256: f.SHA256,
	}
	if f.CSV != nil {
		delimiter, err := csv.ParseDelimiter(f.CSV.Delimiter)
		if err != nil {
			return in, err
		}
		in.dialect, in.header = csv.Dialect{Delimiter: delimiter, Null: f.CSV.Null}, !f.CSV.NoHeader
	}
	var err error
	in.schema, err = dataset.Schema(m.Schemas[f.Schema])
	return in, err
}

// readManifest reads the manifest of a folder; nil when there is none.
func readManifest(root *os.Root) (*dataset.Manifest, error) {
	data, err := readSmall(root, dataset.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no manifest is no error
	}
	if err != nil {
		return nil, err
	}
	m, err := dataset.Decode(data)
	if err != nil {
		return nil, connector.Fail("dataset.manifest", err, "%s is not a manifest of a data set", filepath.Join(root.Name(), dataset.Name))
	}
	return m, nil
}

func readSmall(root *os.Root, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, dataset.MaxBytes+1))
	if err == nil && len(data) > dataset.MaxBytes {
		err = fmt.Errorf("%s is longer than %d bytes", f.Name(), dataset.MaxBytes)
	}
	return data, err
}

// identity tells a path from every other one.
func identity(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(abs))
	return "file:" + hex.EncodeToString(sum[:]), nil
}

// resolve gives a path of a manifest, which stands against the manifest's folder.
func resolve(dir, path string) (string, error) {
	if path == "" {
		return "", connector.Fail("manifest.path", nil, "the field path is empty; name a file, a folder or a pattern")
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.Abs(path)
}
