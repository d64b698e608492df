package verify_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/verify"
)

// BenchmarkSmallFiles verifies a run of 10,000 files of 4 KiB, and hashes them
// alone for comparison.
func BenchmarkSmallFiles(b *testing.B) {
	const n = 10_000
	content := map[string]string{}
	line := strings.Repeat("ok  package/of/a/module  0.123s\n", 128)
	for i := range n {
		content[fmt.Sprintf("parts/%02d/%05d.txt", i%100, i)] = fmt.Sprintf("%05d", i) + line[5:]
	}
	w := emptyWorld(b)
	w.policy.RequiredGates = []string{"ci:test"}
	dir := w.run(b, made{gate: "ci:test", area: "ci", files: content})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			r := w.verify(b)
			assert.Equal(b, r.Verdict, evidence.Pass, "%v", codes(r))
		}
	})
	b.Run("hash alone", func(b *testing.B) {
		for b.Loop() {
			for name := range content {
				raw, err := os.ReadFile(filepath.Join(dir, name))
				assert.NilError(b, err)
				sha256.Sum256(raw)
			}
		}
	})
}

// BenchmarkBundles verifies 250 runs with 500 bundles of a key, all in one log.
func BenchmarkBundles(b *testing.B) {
	w := emptyWorld(b)
	w.policy.RequiredGates = []string{"ci:test"}
	for i := range 250 {
		w.run(b, made{gate: "ci:test", area: "ci", run: fmt.Sprintf("20261122T110000Z-%08x", i)})
	}
	b.ReportAllocs()
	for b.Loop() {
		r := w.verify(b)
		assert.Equal(b, r.Verdict, evidence.Pass, "%v", codes(r))
		assert.Equal(b, len(r.Statements), 500)
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/500, "µs/bundle")
}

// BenchmarkLargeFile verifies an artifact of 1 GiB.
func BenchmarkLargeFile(b *testing.B) {
	w := newWorld(b)
	name := w.path("dist", "large.bin")
	file, err := os.Create(name)
	assert.NilError(b, err)
	hash := sha256.New()
	block := make([]byte, 1<<20)
	for i := range 1024 {
		block[0] = byte(i)
		_, err := file.Write(block)
		assert.NilError(b, err)
		hash.Write(block)
	}
	assert.NilError(b, file.Close())
	put(b, w.path("dist", "SHA256SUMS"), fmt.Sprintf("%x  large.bin\n", hash.Sum(nil)))
	opts := w.opts
	opts.Policy = w.decoded(b)
	b.SetBytes(1 << 30)
	b.ReportAllocs()
	for b.Loop() {
		r := verify.Verify(context.Background(), w.root, opts)
		assert.Equal(b, r.Verdict, evidence.Pass, "%v", codes(r))
	}
}
