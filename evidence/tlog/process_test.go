package tlog_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/tlog"
)

// childEnv tells the test binary to be a writer: "<log>|<memory>|<name>".
const childEnv = "DPONE_TLOG_TEST_WRITER"

const appends = 20

func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		if err := write(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func write(job string) error {
	part := strings.Split(job, "|")
	l, err := tlog.Open(part[0], tlog.Options{Origin: origin, Create: true, Remember: part[1]})
	if err != nil {
		return err
	}
	defer l.Close()
	for i := range appends {
		batch := [][]byte{fmt.Appendf(nil, "%s %d a", part[2], i), fmt.Appendf(nil, "%s %d b", part[2], i)}
		first, err := l.Append(context.Background(), batch)
		if err != nil {
			return err
		}
		p, err := l.Proof(first + 1)
		if err != nil {
			return err
		}
		if err := p.Verify(batch[1]); err != nil {
			return err
		}
	}
	return nil
}

// Processes and goroutines that append at once lose nothing and mix nothing.
func TestWritersAtOnce(t *testing.T) {
	t.Parallel()
	dir, memory := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	self, err := os.Executable()
	assert.NilError(t, err)
	var wait sync.WaitGroup
	writers := []string{"one", "two", "three"}
	for _, name := range writers[:2] {
		wait.Go(func() {
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{dir, memory, name}, "|"))
			var out bytes.Buffer
			child.Stdout, child.Stderr = &out, &out
			assert.Check(t, child.Run(), "%s", &out)
		})
	}
	wait.Go(func() { assert.Check(t, write(strings.Join([]string{dir, memory, "three"}, "|"))) })
	// A reader in between never sees a log that goes back.
	done := make(chan struct{})
	go func() {
		wait.Wait()
		close(done)
	}()
	opts := tlog.Options{Origin: origin, Create: true, Remember: memory}
	l := open(t, dir, opts)
	for reading := true; reading; {
		select {
		case <-done:
			reading = false
		default:
		}
		assert.NilError(t, l.Refresh())
		if size := l.Checkpoint().Size; size > 0 {
			_, err := l.Proof(size - 1)
			assert.NilError(t, err)
		}
	}
	assert.Equal(t, l.Checkpoint().Size, int64(2*appends*len(writers)))
	next := map[string]int{}
	var last string
	for r, err := range l.Entries(0, l.Checkpoint().Size) {
		assert.NilError(t, err)
		var name, half string
		var i int
		_, err := fmt.Sscanf(string(r.Data), "%s %d %s", &name, &i, &half)
		assert.NilError(t, err)
		assert.Equal(t, i, next[name], "%s", r.Data)
		if half == "b" {
			assert.Equal(t, last, fmt.Sprintf("%s %d a", name, i), "a batch stays together")
			next[name]++
		}
		last = string(r.Data)
	}
	for _, name := range writers {
		assert.Equal(t, next[name], appends)
	}
	fsck(t, dir, opts)
}
