package file

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/file/jsonl"
	"github.com/dpone/dpone/engine/file/order"
	"github.com/dpone/dpone/engine/file/parquet"
	"github.com/dpone/dpone/engine/logical"
)

// Memory of a stage: files that are open at a time, and what all row groups of
// Parquet files may hold together, in bytes.
const (
	maxOpen    = 32
	spills     = 16
	groupBytes = 8 << 20
	// Rows that a file of a partition holds back before it writes them.
	heldRows  = 1024
	heldBytes = 128 << 10
)

// writer writes rows of one schema into files of the load.
type writer struct {
	t      *tx
	schema batch.Schema
	index  int // of the schema in the manifest
	// partition and bounds are the columns by which files are cut and described, -1 for none.
	partition, bounds int

	open  map[string]*outFile // by the key of the partition's value
	order []string            // keys of open, in the order of their beginning
	spill [spills]*writer     // take rows of further partitions
	level int                 // how often the rows were put aside
	key   []byte

	files []dataset.File
	rows  int64
	bytes int64
	// chunks tell of each file.
	chunks []connector.Chunk
}

// newWriter writes files of the columns, which are columns of the target.
func (t *tx) newWriter(schema batch.Schema) *writer {
	w := &writer{t: t, schema: schema, partition: -1, bounds: -1, open: make(map[string]*outFile)}
	w.index = t.old.AddSchema(dataset.Columns(schema))
	if c := t.load.Strategy.Partition.Column; c != "" {
		w.partition = schema.Index(c)
	}
	if c := t.load.Strategy.Backfill.Column; c != "" {
		w.bounds = schema.Index(c)
	}
	return w
}

// write takes rows from..to of a batch of the schema.
func (w *writer) write(b *batch.Batch, from, to int) error {
	for i := range w.schema {
		if !w.schema[i].NotNull {
			continue
		}
		for row := from; row < to; row++ {
			if b.Columns[i].Null(row) {
				return connector.Fail("row.null", nil, "the column %q has no NULL, and a row of the load has one", w.schema[i].Name)
			}
		}
	}
	if w.partition >= 0 {
		return w.scatter(b, from, to)
	}
	for from < to {
		f, err := w.file(b, from)
		if err != nil {
			return err
		}
		end := int(min(int64(to), int64(from)+w.t.s.fileRows-f.out.Rows))
		if err := f.write(b, from, end); err != nil {
			return err
		}
		w.rows += int64(end - from)
		if f.out.Rows >= w.t.s.fileRows {
			if err := w.closeFile(""); err != nil {
				return err
			}
		}
		from = end
	}
	return nil
}

// scatter gives each row to the file of its partition. Rows of partitions for which
// no file can be open are put aside until the others are closed.
func (w *writer) scatter(b *batch.Batch, from, to int) error {
	for row := from; row < to; row++ {
		w.partitionKey(b.Columns[w.partition].Value(row))
		w.rows++
		if w.open[string(w.key)] == nil && len(w.open) == maxOpen {
			if err := w.putAside(b, row); err != nil {
				return err
			}
			continue
		}
		f, err := w.file(b, row)
		if err != nil {
			return err
		}
		f.hold(b, row)
		if n := f.held.Rows(); n >= heldRows || f.held.Size() >= heldBytes || f.out.Rows+int64(n) >= w.t.s.fileRows {
			if err := f.release(); err != nil {
				return err
			}
		}
		if f.out.Rows >= w.t.s.fileRows {
			if err := w.closeFile(string(w.key)); err != nil {
				return err
			}
		}
	}
	return nil
}

// putAside writes a row to one of the spills, by a hash of its partition, so that
// each of them holds few partitions. Every level takes other bits of the hash.
func (w *writer) putAside(b *batch.Batch, row int) error {
	n := crc32.ChecksumIEEE(w.key) >> (4 * (w.level % 8)) % spills
	if w.spill[n] == nil {
		w.spill[n] = w.t.newWriter(w.schema)
		w.spill[n].partition, w.spill[n].bounds = -1, -1
	}
	f, err := w.spill[n].file(b, row)
	if err != nil {
		return err
	}
	f.hold(b, row)
	if f.held.Rows() >= heldRows || f.held.Size() >= heldBytes {
		return f.release()
	}
	return nil
}

// unspill gives the rows of one spill to a writer of their own.
func (w *writer) unspill(ctx context.Context, spill *writer) error {
	if err := spill.close(ctx); err != nil {
		return err
	}
	rest := w.t.newWriter(w.schema)
	rest.level = w.level + 1
	err := w.t.each(ctx, spill.files, w.schema, nil, func(b *batch.Batch) error { return rest.write(b, 0, b.Rows()) })
	if err == nil {
		err = rest.close(ctx)
	}
	if err != nil {
		rest.abort()
		return err
	}
	w.files, w.chunks, w.bytes = append(w.files, rest.files...), append(w.chunks, rest.chunks...), w.bytes+rest.bytes
	for i := range spill.files {
		if err := w.t.root.Remove(w.t.staged(spill.files[i].Path)); err != nil {
			return err
		}
	}
	return nil
}

// partitionKey sets key to what tells a partition's value from the others.
func (w *writer) partitionKey(v []byte) {
	w.key = w.key[:0]
	if v != nil {
		w.key = order.AppendKey(append(w.key, 'v'), w.schema[w.partition].Type.Kind, v)
	}
}

// file gives the open file for the row, whose partition has the key.
func (w *writer) file(b *batch.Batch, row int) (*outFile, error) {
	if f := w.open[string(w.key)]; f != nil {
		return f, nil
	}
	f, err := w.create()
	if err != nil {
		return nil, err
	}
	if w.partition >= 0 {
		c := w.schema[w.partition]
		f.out.Partition = &dataset.Partition{Column: c.Name}
		if v := b.Columns[w.partition].Value(row); v != nil {
			text, err := logical.AppendText(nil, c.Type, v)
			if err != nil {
				return nil, err
			}
			value := string(text)
			f.out.Partition.Value = &value
		}
	}
	w.open[string(w.key)] = f
	w.order = append(w.order, string(w.key))
	return f, nil
}

func (w *writer) closeFile(key string) error {
	f := w.open[key]
	delete(w.open, key)
	for i, k := range w.order {
		if k == key {
			w.order = append(w.order[:i], w.order[i+1:]...)
			break
		}
	}
	if err := f.close(); err != nil {
		return err
	}
	w.files = append(w.files, f.out)
	w.bytes += f.out.Bytes
	w.chunks = append(w.chunks, connector.Chunk{
		Range: f.out.Path, Rows: f.out.Rows, Bytes: f.out.Bytes, SHA256: f.out.SHA256, Seconds: time.Since(f.begun).Seconds(),
	})
	return nil
}

// close ends all files, in the order in which they were begun.
func (w *writer) close(ctx context.Context) error {
	for len(w.order) > 0 {
		if err := w.closeFile(w.order[0]); err != nil {
			return err
		}
	}
	for i, spill := range w.spill {
		if spill == nil {
			continue
		}
		if err := w.unspill(ctx, spill); err != nil {
			return err
		}
		w.spill[i] = nil
	}
	return nil
}

// abort closes the files of a load that will not be published.
func (w *writer) abort() {
	for _, f := range w.open {
		_ = f.f.Close()
	}
	w.open, w.order = make(map[string]*outFile), nil
	for _, spill := range w.spill {
		if spill != nil {
			spill.abort()
		}
	}
}

// outFile is one file that is being written.
type outFile struct {
	w     *writer
	f     *os.File
	buf   *bufio.Writer
	hash  hash.Hash
	begun time.Time
	out   dataset.File
	pack  io.WriteCloser // nil without compression
	rows  interface {
		Write(b *batch.Batch, from, to int) error
	}
	end            func() error
	least, highest []byte
	held           *batch.Batch // rows that are still to be written; nil until there is one
}

// hold takes a copy of one row.
func (o *outFile) hold(b *batch.Batch, row int) {
	if o.held == nil {
		o.held = batch.New(o.w.schema)
	}
	for i := range b.Columns {
		if v := b.Columns[i].Value(row); v == nil {
			o.held.Columns[i].AppendNull()
		} else {
			o.held.Columns[i].Append(v)
		}
	}
	o.held.EndRow()
}

// release writes the rows that were held.
func (o *outFile) release() error {
	if o.held == nil || o.held.Rows() == 0 {
		return nil
	}
	err := o.write(o.held, 0, o.held.Rows())
	o.held.Reset()
	return err
}

// Write counts and hashes the bytes as they go to disk.
func (o *outFile) Write(p []byte) (int, error) {
	n, err := o.f.Write(p)
	o.hash.Write(p[:n]) // does not fail
	o.out.Bytes += int64(n)
	return n, err
}

func (w *writer) create() (*outFile, error) {
	s := w.t.s
	w.t.files++
	ext := s.format
	if s.format != formatParquet {
		ext += map[string]string{none: "", gzipped: ".gz", zstandard: ".zst"}[s.compression]
	}
	name := fmt.Sprintf("%s/%s-%s-%d.%s", dataset.Data, s.m.Name, w.t.id, w.t.files, ext)
	o := &outFile{w: w, hash: sha256.New(), begun: time.Now(), out: dataset.File{
		Path: name, Format: s.format, Compression: s.compression, CSV: s.csv, Schema: w.index, Load: w.t.id,
	}}
	var err error
	if o.f, err = w.t.root.OpenFile(w.t.staged(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640); err != nil {
		return nil, err
	}
	w.t.pending[name] = true
	o.buf = bufio.NewWriterSize(o, 128<<10)
	dst := io.Writer(o.buf)
	if s.format != formatParquet {
		switch s.compression {
		case gzipped:
			o.pack = gzip.NewWriter(dst)
		case zstandard:
			// With two a block is compressed while the next one is written, unless many files are open.
			atOnce := 2
			if w.t.load.Strategy.Partition.Column != "" {
				atOnce = 1
			}
			if o.pack, err = zstd.NewWriter(dst, zstd.WithEncoderConcurrency(atOnce), zstd.WithWindowSize(1<<20)); err != nil {
				return nil, errors.Join(err, o.f.Close())
			}
		}
		if o.pack != nil {
			dst = o.pack
		}
	}
	switch s.format {
	case formatCSV:
		c := csv.NewWriter(dst, s.dialect)
		if s.csv == nil || !s.csv.NoHeader {
			err = c.Header(w.schema.Names())
		}
		o.rows, o.end = c, c.Flush
	case formatJSONL:
		j := jsonl.NewWriter(dst, w.schema)
		o.rows, o.end = j, j.Flush
	default:
		limit := groupBytes
		if w.t.load.Strategy.Partition.Column != "" {
			limit = groupBytes / maxOpen // many files are open, those of spills as well
		}
		var p *parquet.Writer
		if p, err = parquet.NewWriter(dst, w.schema, parquet.Options{Compression: s.compression, GroupBytes: limit}); err == nil {
			o.rows, o.end = p, p.Close
		}
	}
	if err != nil {
		return nil, errors.Join(err, o.f.Close())
	}
	return o, nil
}

func (o *outFile) write(b *batch.Batch, from, to int) error {
	if i := o.w.bounds; i >= 0 {
		k := o.w.schema[i].Type.Kind
		for row := from; row < to; row++ {
			v := b.Columns[i].Value(row)
			if v == nil {
				continue
			}
			if o.least == nil || order.Compare(k, v, o.least) < 0 {
				o.least = append(o.least[:0], v...)
			}
			if o.highest == nil || order.Compare(k, v, o.highest) > 0 {
				o.highest = append(o.highest[:0], v...)
			}
		}
	}
	if err := o.rows.Write(b, from, to); err != nil {
		return connector.Fail("sink.write", err, "%s cannot take a row", o.out.Path)
	}
	o.out.Rows += int64(to - from)
	return nil
}

// close makes the file durable.
func (o *outFile) close() error {
	if err := o.release(); err != nil {
		return errors.Join(err, o.f.Close())
	}
	err := o.end()
	if o.pack != nil {
		err = errors.Join(err, o.pack.Close())
	}
	if err == nil {
		err = o.buf.Flush()
	}
	if err == nil {
		err = o.f.Sync()
	}
	if err = errors.Join(err, o.f.Close()); err != nil {
		return connector.Fail("sink.write", err, "%s cannot be written", o.out.Path)
	}
	o.out.SHA256 = hex.EncodeToString(o.hash.Sum(nil))
	if i := o.w.bounds; i >= 0 {
		c := o.w.schema[i]
		o.out.Bounds = &dataset.Bounds{Column: c.Name}
		for _, e := range []struct {
			v  []byte
			to *string
		}{{o.least, &o.out.Bounds.Least}, {o.highest, &o.out.Bounds.Greatest}} {
			if e.v == nil {
				continue
			}
			text, err := logical.AppendText(nil, c.Type, e.v)
			if err != nil {
				return err
			}
			*e.to = string(text)
		}
	}
	return o.w.t.s.did("stage")
}

// stage is the connector's view of the load's writer.
type stage struct {
	w             *writer
	begun, closed bool
}

func (s *stage) Write(ctx context.Context, b *batch.Batch) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := s.w.write(b, 0, b.Rows()); err != nil || s.begun {
		return err
	}
	s.begun = true
	return s.w.t.s.env.Reach(ctx, connector.MidCopy)
}

func (s *stage) Close(ctx context.Context) (connector.WriteStats, error) {
	if !s.closed {
		s.closed = true
		if err := s.w.close(ctx); err != nil {
			return connector.WriteStats{}, err
		}
		s.w.t.staging = s.w.files
		s.w.t.stagedRows = s.w.rows
		s.w.t.stagedDone = true
	}
	stats := connector.WriteStats{Rows: s.w.rows, Bytes: s.w.bytes, Chunks: s.w.chunks}
	return stats, s.w.t.s.env.Reach(ctx, connector.AfterStage)
}
