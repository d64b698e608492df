//go:build unix

package tlog_test

import (
	"fmt"
	mathrand "math/rand/v2"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/tlog"
)

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	assert.NilError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLog appends 100,000 entries of the size of a run's, and proves each:
// what a record costs in processor time, signed, on disk.
func BenchmarkLog(b *testing.B) {
	const records = 100_000
	entries := make([][]byte, records)
	for i := range entries {
		entries[i] = fmt.Appendf(nil, `{"schema":"%s","run":"ci/20261122T063000Z-%08x","index_sha256":"%064x","record_sha256":"%064x","verdict":"PASS","commit":"%040x","time":"2026-11-22T06:30:00Z"}`, tlog.EntrySchema, i, i, i, i)
	}
	k := newKeys(b, origin)
	var l *tlog.Log
	per := func(b *testing.B, name string, do func()) {
		b.Run(name, func(b *testing.B) {
			before := processorTime(b)
			n := 0
			for b.Loop() {
				do()
				n++
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(n)/1e3/records, "cpu-µs/record")
		})
	}
	per(b, "append", func() {
		l = open(b, b.TempDir(), k.options())
		_, err := l.Append(b.Context(), entries)
		assert.NilError(b, err)
	})
	if l == nil {
		b.Skip("the parts build on the append")
	}
	prove := func(order func(i int) int) func() {
		return func() {
			for i := range records {
				_, err := l.Proof(int64(order(i)))
				assert.NilError(b, err)
			}
		}
	}
	per(b, "proof in order", prove(func(i int) int { return i }))
	random := mathrand.New(mathrand.NewPCG(1, 2))
	per(b, "proof at random", prove(func(int) int { return random.IntN(records) }))
	per(b, "append and proof", func() {
		l = open(b, b.TempDir(), k.options())
		_, err := l.Append(b.Context(), entries)
		assert.NilError(b, err)
		prove(func(i int) int { return i })()
	})
	per(b, "proof check", func() {
		for i := range records {
			if i%1000 == 0 {
				p, err := l.Proof(int64(i))
				assert.NilError(b, err)
				for range 1000 {
					assert.NilError(b, p.Verify(entries[i]))
				}
			}
		}
	})
	per(b, "entries", func() {
		for _, err := range l.Entries(0, records) {
			assert.NilError(b, err)
		}
	})
}

// BenchmarkAppendOne is what a run pays that appends its one entry, with all
// the flushing, in a log of 100,000; and with a new process each time.
func BenchmarkAppendOne(b *testing.B) {
	k := newKeys(b, origin)
	dir := b.TempDir()
	l := open(b, dir, k.options())
	_, err := l.Append(b.Context(), some(0, 100_000))
	assert.NilError(b, err)
	entry := [][]byte{make([]byte, 400)}
	b.Run("open log", func(b *testing.B) {
		before := processorTime(b)
		for b.Loop() {
			_, err := l.Append(b.Context(), entry)
			assert.NilError(b, err)
		}
		b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
	})
	b.Run("opened anew", func(b *testing.B) {
		before := processorTime(b)
		for b.Loop() {
			l, err := tlog.Open(dir, k.options())
			assert.NilError(b, err)
			first, err := l.Append(b.Context(), entry)
			assert.NilError(b, err)
			_, err = l.Proof(first)
			assert.NilError(b, err)
			assert.NilError(b, l.Close())
		}
		b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e3, "cpu-µs/op")
	})
}

func BenchmarkFsck(b *testing.B) {
	dir := b.TempDir()
	_, err := open(b, dir, unsigned).Append(b.Context(), some(0, 100_000))
	assert.NilError(b, err)
	for b.Loop() {
		_, err := tlog.Fsck(b.Context(), dir, unsigned)
		assert.NilError(b, err)
	}
}
