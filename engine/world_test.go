package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gotest.tools/v3/assert"
)

// one gives the only value of a query as text.
func one(t *testing.T, conn *pgx.Conn, sql string) string {
	t.Helper()
	var s *string
	assert.NilError(t, conn.QueryRow(context.Background(), sql).Scan(&s), sql)
	if s == nil {
		return "NULL"
	}
	return *s
}

// untouched runs f and expects that the target and what a run leaves beside it are the same after it.
func (w *world) untouched(table string, f func()) {
	w.t.Helper()
	look := func() string {
		s := rows(w.t, w.sink, "SELECT t.ctid, t.xmin, t.* FROM "+table+" t") +
			rows(w.t, w.sink, "SELECT attname, atttypid::regtype FROM pg_attribute WHERE attrelid = '"+table+"'::regclass AND NOT attisdropped")
		if one(w.t, w.sink, "SELECT to_regclass('dpone.dpone_receipt')::text") != "NULL" {
			s += rows(w.t, w.sink, "TABLE dpone.dpone_receipt") + rows(w.t, w.sink, "TABLE dpone.dpone_state")
		}
		return s
	}
	before := look()
	f()
	assert.Equal(w.t, look(), before)
}

// clear empties both databases for the next case.
func (w *world) clear() {
	w.t.Helper()
	const all = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; DROP SCHEMA IF EXISTS dpone CASCADE"
	w.src(all)
	w.dst(all)
}

// versions tells which rows were written again.
func (w *world) versions(table string) string {
	w.t.Helper()
	return rows(w.t, w.sink, "SELECT ctid, xmin FROM "+table)
}

// options puts lines under source.options, or any other place that stands as a word in the manifest.
func options(manifest, lines string) string {
	return strings.Replace(manifest, "sink:\n", "  options:\n    "+strings.ReplaceAll(lines, "\n", "\n    ")+"\nsink:\n", 1)
}

func sorted(lines string) []string {
	if lines == "" {
		return []string{}
	}
	list := strings.Split(lines, "\n")
	for i := range list {
		// A row of one column prints in parentheses, and in quotes where it needs them.
		list[i] = strings.ReplaceAll(strings.Trim(list[i], `()"`), `""`, `"`)
	}
	return sortedList(list)
}

func sortedList(list []string) []string {
	list = append([]string{}, list...)
	slices.Sort(list)
	return list
}
