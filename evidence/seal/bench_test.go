//go:build unix

package seal_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/seal"
)

// BenchmarkBigFile seals and verifies one file of 256 MiB (DPONE_BENCH_MIB
// changes the size, DPONE_BENCH_DIR the place); the rate is to be held against
// that of "openssl dgst -sha256" on big.bin there.
func BenchmarkBigFile(b *testing.B) {
	mib := 256
	if text := os.Getenv("DPONE_BENCH_MIB"); text != "" {
		n, err := strconv.Atoi(text)
		assert.NilError(b, err)
		mib = n
	}
	root := b.TempDir()
	if dir := os.Getenv("DPONE_BENCH_DIR"); dir != "" {
		root = dir
	}
	file, err := os.Create(filepath.Join(root, "big.bin"))
	assert.NilError(b, err)
	block := make([]byte, 1<<20)
	for i := range mib {
		for j := range block {
			block[j] = byte(i*31 + j*7)
		}
		_, err := file.Write(block)
		assert.NilError(b, err)
	}
	assert.NilError(b, file.Close())
	_, err = seal.Seal(b.Context(), root, seal.Options{})
	assert.NilError(b, err)
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"seal", func() error { _, err := seal.Seal(b.Context(), root, seal.Options{}); return err }},
		{"verify", func() error { return seal.Verify(b.Context(), root, seal.Options{}).Err() }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.SetBytes(int64(mib) << 20)
			before := processorTime(b)
			for b.Loop() {
				assert.NilError(b, part.do())
			}
			b.ReportMetric(float64(b.N)*float64(int64(mib)<<20)/1e6/(processorTime(b)-before).Seconds(), "MB/cpu-s")
		})
	}
}

// BenchmarkSmallFiles holds sealing and verifying 10,000 files of 4 KiB
// against reading and hashing them with nothing around it.
func BenchmarkSmallFiles(b *testing.B) {
	root := b.TempDir()
	var names []string
	for i := range 10_000 {
		name := filepath.Join(root, fmt.Sprintf("d%02d", i/250), fmt.Sprintf("f%05d.json", i))
		if i%250 == 0 {
			assert.NilError(b, os.Mkdir(filepath.Dir(name), 0o755))
		}
		assert.NilError(b, os.WriteFile(name, []byte(strings.Repeat(fmt.Sprintf("%08d", i), 512)), 0o644))
		names = append(names, name)
	}
	// On a busy machine the processor time is the figure to compare.
	sealOnce := func() {
		_, err := seal.Seal(b.Context(), root, seal.Options{})
		assert.NilError(b, err)
	}
	verifyOnce := func() { assert.NilError(b, seal.Verify(b.Context(), root, seal.Options{}).Err()) }
	sealOnce()
	for _, part := range []struct {
		name string
		do   func()
	}{
		{"hash alone", func() { assert.NilError(b, hashAlone(b.Context(), names)) }},
		{"seal", sealOnce},
		{"verify", verifyOnce},
		{"seal and verify", func() { sealOnce(); verifyOnce() }},
	} {
		b.Run(part.name, func(b *testing.B) {
			before := processorTime(b)
			for b.Loop() {
				part.do()
			}
			b.ReportMetric(float64(processorTime(b)-before)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// processorTime is what the process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	assert.NilError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// hashAlone reads and hashes files whose names are known, on all processors.
func hashAlone(ctx context.Context, names []string) error {
	jobs := make(chan string, 64)
	var wait sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for i := range errs {
		wait.Go(func() {
			buf := make([]byte, 256<<10)
			sum := sha256.New()
			for name := range jobs {
				file, err := os.Open(name)
				if err != nil {
					errs[i] = err
					continue
				}
				sum.Reset()
				if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{file}, buf); err != nil {
					errs[i] = err
				}
				file.Close()
				_ = sum.Sum(nil)
			}
		})
	}
	for _, name := range names {
		jobs <- name
	}
	close(jobs)
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}
