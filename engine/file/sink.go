package file

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/csv"
	"github.com/dpone/dpone/engine/file/dataset"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

const (
	defaultFileRows    = 1_000_000
	defaultLockTimeout = 60 // seconds
)

type sink struct {
	m           *manifest.Manifest
	env         connector.Env
	dir         string
	format      string
	compression string
	dialect     csv.Dialect
	csv         *dataset.CSV // nil for the default dialect
	fileRows    int64
	unlock      func()
	// step is told what was just done to the folder; an error stands for a crash
	// there. Tests set it.
	step func(string) error
}

func openSink(_ context.Context, m *manifest.Manifest, env connector.Env) (connector.Sink, error) {
	s, err := newSink(m, env)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func newSink(m *manifest.Manifest, env connector.Env) (*sink, error) {
	dir, err := resolve(env.Dir, m.Sink.Path)
	if err != nil {
		return nil, err
	}
	o := m.Sink.Options
	s := &sink{m: m, env: env, dir: dir, format: o.Format, compression: o.Compression, fileRows: o.FileRows}
	if s.format == "" {
		s.format = formatParquet
	}
	allowed := map[string][]string{
		formatCSV: {none, gzipped, zstandard}, formatJSONL: {none, gzipped, zstandard}, formatParquet: {snappy, none, zstandard},
	}[s.format]
	if allowed == nil {
		return nil, connector.Fail("manifest.format", nil, "sink.options.format %q is none of csv, jsonl and parquet", s.format)
	}
	if s.compression == "" {
		s.compression = allowed[0]
	}
	if !strings.Contains(" "+strings.Join(allowed, " ")+" ", " "+s.compression+" ") {
		return nil, connector.Fail("manifest.compression", nil, "sink.options.compression %q is none of %q", s.compression, allowed)
	}
	if s.fileRows <= 0 {
		s.fileRows = defaultFileRows
	}
	delimiter, err := csv.ParseDelimiter(o.CSV.Delimiter)
	if err == nil {
		s.dialect = csv.Dialect{Delimiter: delimiter, Null: o.CSV.Null}
		err = s.dialect.Check()
	}
	if err != nil {
		return nil, connector.Fail("manifest.csv", err, "sink.options.csv")
	}
	headless := o.CSV.Header != nil && !*o.CSV.Header
	if s.format == formatCSV && (o.CSV.Delimiter != "" || o.CSV.Null != "" || headless) {
		s.csv = &dataset.CSV{Delimiter: o.CSV.Delimiter, Null: o.CSV.Null, NoHeader: headless}
	}
	return s, nil
}

// root opens the folder; nil when it does not exist.
func (s *sink) root() (*os.Root, error) {
	root, err := os.OpenRoot(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // a target that does not exist is no error
	}
	return root, err
}

// manifest reads what is published; nil when nothing is. A folder with other
// things and no data set is refused.
func (s *sink) manifest() (*dataset.Manifest, error) {
	root, err := s.root()
	if root == nil || err != nil {
		return nil, err
	}
	defer root.Close()
	m, err := readManifest(root)
	if m != nil || err != nil {
		return m, err
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		switch e.Name() {
		case dataset.Intents, dataset.Lock, dataset.Staging, dataset.Data, tmpName(dataset.Name), tmpName(dataset.Intents):
		default:
			return nil, connector.Fail("target.foreign", nil, "the folder %q holds %q and no %s: it is not a data set; give a folder of its own", s.dir, e.Name(), dataset.Name)
		}
	}
	return nil, nil //nolint:nilnil // nothing is published
}

func (s *sink) Describe(context.Context) (*connector.Relation, error) {
	m, err := s.manifest()
	if m == nil || err != nil {
		return nil, err
	}
	columns, err := dataset.Schema(m.Columns)
	if err != nil {
		return nil, err
	}
	rel := &connector.Relation{Name: s.m.Sink.Path, Key: m.Key, Facts: map[string]string{"format": s.format}}
	if rel.Identity, err = identity(s.dir); err != nil {
		return nil, err
	}
	for _, c := range columns {
		r, err := native(s.format, c.Type)
		if err != nil {
			return nil, err
		}
		rel.Columns = append(rel.Columns, connector.Column{Column: c, Native: r.Native, Portable: c.Type})
	}
	return rel, nil
}

func (s *sink) Identity(context.Context) (string, error) { return identity(s.dir) }

func (s *sink) Native(t logical.Type) (connector.WriteRule, error) { return native(s.format, t) }

// Begin makes the folder, takes its lock, cleans up what a crash left, and reads the manifest.
func (s *sink) Begin(ctx context.Context, load connector.Load) (connector.Tx, error) {
	st := load.Strategy
	if st.Mode == manifest.Backfill && st.Backfill.InnerMode != "" && st.Backfill.InnerMode != manifest.Replace {
		return nil, connector.Fail("sink.mode", nil, "files have no keys to merge by; set backfill.inner_mode to replace")
	}
	if _, err := s.manifest(); err != nil { // before anything is made in the folder
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o750); err != nil {
		return nil, connector.Fail("target.folder", err, "the folder %q cannot be made", s.dir)
	}
	if err := s.lock(ctx); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	t := &tx{s: s, root: root, load: load}
	if err := t.begin(); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return t, nil
}

// lock takes the folder's lock, which the system drops when the process ends.
func (s *sink) lock(ctx context.Context) error {
	if s.unlock != nil {
		return nil
	}
	seconds := s.m.Sink.Options.LockTimeout
	if seconds <= 0 {
		seconds = defaultLockTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
	defer cancel()
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result) // without room, so that a result is taken or given up, never lost
	abandoned := make(chan struct{})
	go func() {
		unlock, err := lockedfile.MutexAt(filepath.Join(s.dir, dataset.Lock)).Lock()
		select {
		case <-abandoned:
			if err == nil {
				unlock()
			}
		case got <- result{unlock, err}:
		}
	}()
	select {
	case r := <-got:
		if r.err != nil {
			return connector.Fail("target.lock", r.err, "the lock of %q cannot be taken", s.dir)
		}
		s.unlock = r.unlock
		return nil
	case <-ctx.Done():
		close(abandoned)
		// The lock may have come at the same moment.
		select {
		case r := <-got:
			if r.err == nil {
				r.unlock()
			}
		default:
		}
		return connector.Fail("target.lock", context.Cause(ctx), "another load holds the lock of %q; waited up to %d s (sink.options.lock_timeout)", s.dir, seconds)
	}
}

func (s *sink) Receipt(_ context.Context, pipeline, window string) (*connector.Receipt, error) {
	m, err := s.manifest()
	if m == nil || err != nil {
		return nil, err
	}
	return m.Receipt(pipeline, window), nil
}

func (s *sink) Close(context.Context) error {
	if s.unlock != nil {
		s.unlock()
		s.unlock = nil
	}
	return nil
}

// did reports a step to a test.
func (s *sink) did(step string) error {
	if s.step == nil {
		return nil
	}
	return s.step(step)
}

// warn tells of a failure that changes nothing of the result.
func (s *sink) warn(msg string) {
	if s.env.Warn != nil {
		s.env.Warn(msg)
	}
}

// newLoad names a load: the time, for people, and random digits, for uniqueness.
func newLoad() (string, error) {
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return time.Now().UTC().Format("20060102T150405") + "-" + hex.EncodeToString(b[:]), nil
}

func tmpName(name string) string { return name + ".tmp" }
