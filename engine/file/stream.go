package file

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/fault"
	"github.com/dpone/dpone/engine/file/jsonl"
	"github.com/dpone/dpone/engine/file/parquet"
)

// maxWindow bounds the memory that a zstd frame may ask for, in bytes.
const maxWindow = 64 << 20

// raw is the bytes of a file as they stand on disk.
type raw struct {
	f    *os.File
	in   *input
	hash hash.Hash
	n    int64
}

func (r *raw) Read(p []byte) (int, error) {
	n, err := r.f.Read(p)
	r.hash.Write(p[:n]) // does not fail
	r.n += int64(n)
	return n, err
}

// openRaw opens a file and refuses one that is not the one that was fixed.
func openRaw(root *os.Root, in *input) (*raw, error) {
	f, err := root.Open(in.rel)
	if err != nil {
		return nil, &fault.Error{Code: fault.Changed, File: in.name, Msg: "the file is gone since the run began; run again", Err: err}
	}
	r := &raw{f: f, in: in, hash: sha256.New()}
	if err := r.same(); err != nil {
		_ = f.Close()
		return nil, err
	}
	return r, nil
}

// same compares the open file with what was fixed.
func (r *raw) same() error {
	now, err := r.f.Stat()
	if err != nil {
		return err
	}
	was := r.in.info
	if was != nil && (!os.SameFile(was, now) || was.Size() != now.Size() || !was.ModTime().Equal(now.ModTime())) {
		return &fault.Error{Code: fault.Changed, File: r.in.name, Msg: "the file has changed since the run began; run again when nobody writes it"}
	}
	return nil
}

// finish reads to the end and checks that the file is still the one that was fixed.
func (r *raw) finish() (sum string, err error) {
	if _, err := io.Copy(io.Discard, r); err != nil {
		return "", err
	}
	if err := r.same(); err != nil {
		return "", err
	}
	sum = hex.EncodeToString(r.hash.Sum(nil))
	if r.in.sha256 != "" && (r.in.sha256 != sum || r.in.bytes != r.n) {
		return "", connector.Fail("dataset.damaged", nil, "%s has SHA-256 %s and %d bytes where the manifest tells %s and %d", r.in.name, sum, r.n, r.in.sha256, r.in.bytes)
	}
	return sum, nil
}

// decompress gives the content; an archive that is cut short or followed by
// something else is an error of the reader.
func decompress(r io.Reader, compression string) (io.Reader, func(), error) {
	switch compression {
	case gzipped:
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil
	case zstandard:
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return r, func() {}, nil
}

// decoder reads rows of one file.
type decoder interface {
	Decode(b *batch.Batch, limit int, bad func(*fault.Error) error) error
}

// opened is a file that is being read.
type opened struct {
	decoder
	raw     *raw
	content io.Reader // the uncompressed bytes, nil for Parquet
	free    func()
	// columns are those of the wanted ones that the file has, in the types in which
	// it gives them, and at their places in the wanted ones.
	columns batch.Schema
	at      []int
}

func (o *opened) close() {
	o.free()
	_ = o.raw.f.Close()
}

// finish checks the whole file after its last row.
func (o *opened) finish() (string, error) {
	if o.content == nil { // Parquet, whose content was checked before if it can be
		return o.raw.in.sha256, o.raw.same()
	}
	// A damaged end shows only when it is read.
	if _, err := io.Copy(io.Discard, o.content); err != nil {
		return "", err
	}
	return o.raw.finish()
}

// layout is what the files of a source have in common.
type layout struct {
	columns batch.Schema
	native  []string
	first   string // the file that it was taken from
	// known says that columns come from the manifest of a data set: a file may lack some.
	known bool
}

// openInput opens a file for the wanted columns, whose types are those in which a
// column without a type of its own is parsed.
func openInput(root *os.Root, in *input, l *layout, wanted batch.Schema) (o *opened, err error) {
	r, err := openRaw(root, in)
	if err != nil {
		return nil, err
	}
	o = &opened{raw: r, free: func() {}}
	defer func() {
		if err != nil {
			o.close()
			o, err = nil, located(in, err)
		}
	}()
	have := l.columns
	if in.schema != nil {
		have = in.schema
	}
	if in.format == formatParquet {
		return o, o.parquet(in, l, have, wanted)
	}
	if in.compression != none && in.info != nil && in.info.Size() == 0 {
		return o, &fault.Error{Code: fault.Corrupt, Msg: "the archive is empty"}
	}
	if o.content, o.free, err = decompress(r, in.compression); err != nil {
		o.content, o.free = nil, func() {}
		return o, err
	}
	if in.format == formatJSONL {
		index := o.choose(have, wanted, false)
		if err := l.lacks(in, have, wanted, o.at); err != nil {
			return o, err
		}
		o.decoder = jsonl.NewDecoder(jsonl.NewLines(o.content), have, index, l.known)
		return o, nil
	}
	cr := csv.NewReader(o.content, in.dialect)
	names := have.Names()
	if in.header {
		if names, err = csv.Header(cr); err != nil {
			return o, err
		}
		if err := drift(l, have, names); err != nil {
			return o, err
		}
	}
	order, _ := have.Pick(names)
	index := o.choose(order, wanted, true)
	if err := l.lacks(in, order, wanted, o.at); err != nil {
		return o, err
	}
	o.decoder = csv.NewDecoder(cr, in.dialect, len(names), index)
	return o, nil
}

// drift compares the columns of a file with those of the first.
func drift(l *layout, have batch.Schema, names []string) error {
	var missing, extra []string
	for _, n := range names {
		if have.Index(n) < 0 {
			extra = append(extra, n)
		}
	}
	for _, c := range have {
		if !slices.Contains(names, c.Name) {
			missing = append(missing, c.Name)
		}
	}
	if missing == nil && extra == nil {
		return nil
	}
	return &fault.Error{
		Code: fault.Drift, Line: 1,
		Msg: "the columns are not those of " + l.first + ": " + quoted("missing", missing) + quoted("not there", extra) + "give the files the same columns, or load them apart",
	}
}

func quoted(what string, names []string) string {
	if names == nil {
		return ""
	}
	s := what + " "
	for i, n := range names {
		if i > 0 {
			s += ", "
		}
		s += fault.Short([]byte(n))
	}
	return s + "; "
}

// choose fills columns and at, and gives the place of each of them in have.
// parse says that a text may be parsed at once in the type that is wanted.
func (o *opened) choose(have, wanted batch.Schema, parse bool) []int {
	var index []int
	for i, w := range wanted {
		at := have.Index(w.Name)
		if at < 0 {
			continue
		}
		c := have[at]
		if parse && c.Type == plainText {
			c.Type = w.Type
		}
		c.NotNull = w.NotNull || c.NotNull
		index = append(index, at)
		o.columns = append(o.columns, c)
		o.at = append(o.at, i)
	}
	return index
}

// lacks refuses a file without a wanted column, unless it was written before the column was added.
func (l *layout) lacks(in *input, have, wanted batch.Schema, at []int) error {
	if len(at) == len(wanted) {
		return nil
	}
	for _, w := range wanted {
		if have.Index(w.Name) < 0 && (!l.known || w.NotNull || l.columns.Index(w.Name) < 0) {
			return connector.Fail("source.column", nil, "%s has no column %q; it has %q", in.name, w.Name, have.Names())
		}
	}
	return nil
}

func (o *opened) parquet(in *input, l *layout, have, wanted batch.Schema) error {
	if in.sha256 != "" {
		// Columns are read here and there, so the content is checked before.
		if _, err := o.raw.finish(); err != nil {
			return err
		}
	}
	f, err := parquet.Open(o.raw.f)
	if err != nil {
		return err
	}
	own := f.Schema()
	if err := drift(l, have, own.Names()); err != nil {
		return err
	}
	if in.schema == nil {
		for _, c := range own {
			if first := have[have.Index(c.Name)].Type; first != c.Type {
				return &fault.Error{Code: fault.Drift, Column: c.Name, Msg: "the type is " + c.Type.String() + ", in " + l.first + " it is " + first.String()}
			}
		}
	}
	index := o.choose(own, wanted, false)
	if err := l.lacks(in, own, wanted, o.at); err != nil {
		return err
	}
	o.decoder = f.NewDecoder(index)
	return nil
}

// located says in which file an error happened.
func located(in *input, err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		if f.File == "" {
			f.File = in.name
		}
		return err
	}
	var c *connector.Error
	if errors.As(err, &c) {
		return err
	}
	msg := "the file cannot be read"
	if in.compression == gzipped || in.compression == zstandard {
		msg = "the " + in.compression + " archive is cut short, damaged or followed by something else"
	}
	return &fault.Error{Code: fault.Corrupt, File: in.name, Msg: msg, Err: err}
}
