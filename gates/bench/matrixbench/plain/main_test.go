package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/matrix/fixture"
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/systemtest"

	"github.com/dpone/dpone/gates/bench/matrixbench/plain/protocol"
)

func families() []string { return []string{postgres, sqlite, files} }

// unavailable skips a test of a system that this machine does not have.
func unavailable(t *testing.T, err error) {
	t.Helper()
	if errors.Is(err, system.ErrUnavailable) && os.Getenv("DPONE_IT_PG_REQUIRED") != "1" {
		t.Skip(err)
	}
	assert.NilError(t, err)
}

// TestTools moves the rows of every pair with every tool of it. Where the target is a
// table of the case, every value comes over.
func TestTools(t *testing.T) {
	t.Parallel()
	s := &systems{scratch: t.TempDir(), up: map[string]system.Server{}, missing: map[string]error{}}
	t.Cleanup(func() { assert.NilError(t, s.close(context.Background())) })
	for _, from := range families() {
		for _, to := range families() {
			t.Run(from+"_to_"+to, func(t *testing.T) {
				p := protocol.Pair{Source: from, Sink: to}
				st, err := s.open(t.Context(), protocol.Request{Rows: 200, Changed: 0.2, Deleted: 0.05, Seed: 3}, p)
				t.Cleanup(func() { assert.NilError(t, st.close(context.Background())) })
				unavailable(t, err)
				all, err := tools(t.Context(), p, st.job)
				assert.NilError(t, err)
				assert.Assert(t, len(all) > 0)
				want := count{}
				for row := range st.f.After() {
					assert.NilError(t, want.add(row[0].Text))
				}
				for _, tool := range all {
					for range 2 {
						seconds, err := st.timed(t.Context(), tool, want)
						assert.NilError(t, err, tool.name)
						assert.Assert(t, seconds > 0)
					}
					other := want
					other.sum++
					_, err := st.timed(t.Context(), tool, other)
					assert.ErrorContains(t, err, "it left 200 rows", tool.name)
					if tool.file == "" {
						systemtest.Same(t, st.columns, st.f.After(), func(each func(fixture.Row) error) error { return st.target.Rows(t.Context(), st.columns, each) })
					}
				}
			})
		}
	}
}

// TestRun answers for every pair that is asked for, also for one that it cannot move.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	request, err := json.Marshal(protocol.Request{Rows: 30, Changed: 0.2, Deleted: 0.05, Seed: 3, Moves: 2, Scratch: dir, Pairs: []protocol.Pair{{Source: sqlite, Sink: files}, {Source: files, Sink: "oracle"}}})
	assert.NilError(t, err)
	path := filepath.Join(dir, "request.json")
	assert.NilError(t, os.WriteFile(path, request, 0o600))
	var out bytes.Buffer
	assert.NilError(t, run(t.Context(), []string{path}, &out))
	var answers []protocol.Answer
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var a protocol.Answer
		assert.NilError(t, json.Unmarshal(lines.Bytes(), &a))
		answers = append(answers, a)
	}
	assert.Equal(t, len(answers), 2)
	assert.Assert(t, answers[0].Pair == "sqlite_to_file" && len(answers[0].Seconds) == 2 && answers[0].Problem == "", "%+v", answers[0])
	assert.Assert(t, answers[1].Pair == "file_to_oracle" && answers[1].Tool == "" && strings.Contains(answers[1].Problem, "no family oracle"), "%+v", answers[1])

	assert.ErrorContains(t, run(t.Context(), nil, &out), "usage")
	assert.ErrorContains(t, run(t.Context(), []string{filepath.Join(dir, "none.json")}, &out), "none.json")
	assert.NilError(t, os.WriteFile(path, []byte("["), 0o600))
	assert.ErrorContains(t, run(t.Context(), []string{path}, &out), "request.json")
}

func TestLines(t *testing.T) {
	t.Parallel()
	values := row{[]byte("a"), nil, {}, []byte("t\tn\nr\rb\\"), []byte(`q"c,`)}
	assert.Equal(t, string(appendCopy(nil, values)), "a\t\\N\t\t"+`t\tn\nr\rb\\`+"\t"+`q"c,`+"\n")
	assert.Equal(t, string(appendCSV(nil, values)), "a,,\"\",\"t\tn\nr\rb\\\",\"q\"\"c,\"\n")
}
