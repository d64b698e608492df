package file

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/fault"
)

const (
	defaultMaxBad = 1000
	maxRaw        = 64 << 10 // bytes of a row that are kept
)

// quarantine takes the rows that cannot be read, one JSON object a line:
//
//	{"file": "a.csv", "line": 3, "offset": 41, "column": "id", "code": "row.value",
//	 "reason": "...", "raw": "base64 of the row, at most 64 KiB of it", "raw_bytes": 12}
//
// line counts from 1; a file without lines has row instead; offset is the byte of
// the uncompressed content. The file is written beside its name and renamed when the
// rows of the source were all read, before the load can commit. Each run replaces it.
type quarantine struct {
	path string
	max  int64
	// silent counts nothing and keeps nothing.
	silent bool

	seen map[place]bool
	tmp  *os.File
	w    *bufio.Writer
	done bool // what was taken so far is published
}

type place struct {
	file        string
	offset, row int64
}

type badRow struct {
	File     string     `json:"file"`
	Line     int64      `json:"line,omitempty"`
	Row      int64      `json:"row,omitempty"`
	Offset   int64      `json:"offset"`
	Column   string     `json:"column,omitempty"`
	Code     fault.Code `json:"code"`
	Reason   string     `json:"reason"`
	Raw      string     `json:"raw"`
	RawBytes int        `json:"raw_bytes"`
}

func newQuarantine(path string, limit int64) *quarantine {
	if limit <= 0 {
		limit = defaultMaxBad
	}
	return &quarantine{path: path, max: limit, seen: make(map[place]bool)}
}

// add takes a row, unless an earlier read of the run took it.
func (q *quarantine) add(f *fault.Error) error {
	if q.silent {
		return nil
	}
	p := place{f.File, f.Offset, f.RowNumber}
	if q.seen[p] {
		return nil
	}
	if int64(len(q.seen)) >= q.max {
		return &connector.Error{
			Code: "quarantine.limit", Err: f,
			Msg: "more rows cannot be read than source.options.quarantine.max_rows allows; the next one",
		}
	}
	if err := q.begin(); err != nil {
		return err
	}
	q.seen[p] = true
	reason := f.Msg
	if f.Err != nil {
		reason += ": " + f.Err.Error()
	}
	line, err := json.Marshal(badRow{
		File: f.File, Line: f.Line, Row: f.RowNumber, Offset: f.Offset, Column: f.Column, Code: f.Code,
		Reason: reason, Raw: base64.StdEncoding.EncodeToString(f.Raw[:min(len(f.Raw), maxRaw)]), RawBytes: len(f.Raw),
	})
	if err != nil {
		return err
	}
	q.done = false
	_, err = q.w.Write(append(line, '\n'))
	return err
}

// begin opens the file under way; what was published before comes first.
func (q *quarantine) begin() error {
	if q.tmp != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(q.path), 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(q.path), ".quarantine-*")
	if err != nil {
		return err
	}
	q.tmp, q.w = tmp, bufio.NewWriter(tmp)
	if len(q.seen) == 0 {
		return nil
	}
	old, err := os.Open(q.path)
	if err != nil {
		return err
	}
	defer old.Close()
	_, err = io.Copy(q.w, old)
	return err
}

// publish makes what was taken durable under the file's name. A file of an earlier
// run is replaced also when nothing was taken.
func (q *quarantine) publish() error {
	if q == nil || q.silent || q.done {
		return nil
	}
	if q.tmp == nil {
		_, err := os.Lstat(q.path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := q.begin(); err != nil {
			return err
		}
	}
	err := errors.Join(q.w.Flush(), q.tmp.Sync(), q.tmp.Close())
	if err == nil {
		err = os.Rename(q.tmp.Name(), q.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(q.path))
	}
	if err != nil {
		_ = os.Remove(q.tmp.Name())
		return connector.Fail("quarantine.write", err, "the quarantine %s cannot be written", q.path)
	}
	q.tmp, q.w, q.done = nil, nil, true
	return nil
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
