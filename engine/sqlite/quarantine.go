package sqlite

import (
	"bufio"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dpone/dpone/engine/connector"
)

const defaultMaxBad = 1000

// quarantine takes the rows that cannot be read, one JSON object a line:
//
//	{"file": "/data/a.db", "table": "main.t", "rowid": 17, "row": 3, "column": "id", "code": "row.value", "reason": "..."}
//
// row counts the rows of the read from 1; rowid is SQLite's own number of the row,
// where it has one. The file is written beside its name and renamed when the rows
// were all read, before the load can commit. Each run replaces it.
type quarantine struct {
	path        string
	max         int64
	file, table string

	seen map[place]bool
	rows []badRow
	done bool
}

type place struct {
	id    int64
	hasID bool
	row   int64
}

type badRow struct {
	File   string `json:"file"`
	Table  string `json:"table"`
	RowID  *int64 `json:"rowid,omitempty"`
	Row    int64  `json:"row"`
	Column string `json:"column"`
	Code   string `json:"code"`
	Reason string `json:"reason"`
}

// add takes a row, unless an earlier read of the run took it. At most max rows are kept.
func (q *quarantine) add(b *badValue) error {
	at := place{id: b.id, hasID: b.hasID}
	row := badRow{File: q.file, Table: q.table, Row: b.row, Column: b.column, Code: "row.value", Reason: b.err.Error()}
	if b.hasID {
		row.RowID = &b.id
	} else {
		at.row = b.row
	}
	if q.seen[at] {
		return nil
	}
	limit := q.max
	if limit <= 0 {
		limit = defaultMaxBad
	}
	if int64(len(q.rows)) >= limit {
		return connector.Fail("quarantine.limit", b, "more rows cannot be read than source.options.quarantine.max_rows allows; the next one")
	}
	if q.seen == nil {
		q.seen = map[place]bool{}
	}
	q.seen[at], q.done = true, false
	q.rows = append(q.rows, row)
	return nil
}

// publish makes what was taken durable under the file's name. A file of an earlier
// run is replaced also when nothing was taken.
func (q *quarantine) publish() error {
	if q == nil || q.done {
		return nil
	}
	if len(q.rows) == 0 {
		if _, err := os.Lstat(q.path); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err := q.write(); err != nil {
		return connector.Fail("quarantine.write", err, "the quarantine %s cannot be written", q.path)
	}
	q.done = true
	return nil
}

func (q *quarantine) write() error {
	dir := filepath.Dir(q.path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".quarantine-*")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(tmp)
	lines := json.NewEncoder(w)
	for i := range q.rows {
		err = errors.Join(err, lines.Encode(&q.rows[i]))
	}
	err = errors.Join(err, w.Flush(), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), q.path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}
