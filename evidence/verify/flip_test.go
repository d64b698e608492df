package verify_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/evidence/verify"
)

const policyName = "policy.json"

// shapes is made once: many verifications share it.
var shapes = redact.New(nil)

// smallWorld is the least directory that has everything: a run with record,
// index, log, bundles and proof, the log, what was seen of it, and the policy.
func smallWorld(t testing.TB) *world {
	t.Helper()
	w := emptyWorld(t)
	w.policy.RequiredGates = []string{"ci:test"}
	w.run(t, made{gate: "ci:test", area: "ci"})
	put(t, w.path(policyName), string(w.encoded(t)))
	return w
}

// judge verifies a small world from its files alone, with the pinned policy.
func (w *world) judge(t testing.TB, root, pin string) (evidence.Verdict, []string) {
	t.Helper()
	opts := w.opts
	trust, err := policy.Load(filepath.Join(root, policyName), pin)
	if err != nil {
		return evidence.Fail, []string{string(strict.ReasonOf(err))}
	}
	opts.Policy, opts.Workers, opts.Redactor = trust, 1, shapes
	r := verify.Verify(t.Context(), root, opts)
	return r.Verdict, codes(r)
}

// files are those of a directory but for locks, which have no bytes.
func files(t testing.TB, root string) []string {
	t.Helper()
	var list []string
	assert.NilError(t, filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if info.Size() > 0 {
			list = append(list, name)
		}
		return err
	}))
	return list
}

// TestEveryBitFlipIsRefused flips one bit of each byte of a directory, another
// one from byte to byte, and all eight of each 64th byte.
func TestEveryBitFlipIsRefused(t *testing.T) {
	t.Parallel()
	one := smallWorld(t)
	pin := one.decoded(t).SHA256
	verdict, found := one.judge(t, one.root, pin)
	assert.Equal(t, verdict, evidence.Pass, "%v", found)
	step := 1
	switch {
	case testing.Short():
		step = 23
	case raced:
		step = 19 // prime to what repeats in the files
	}
	type place struct {
		name    string
		at, bit int
	}
	jobs := make(chan place)
	var group sync.WaitGroup
	var flips atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		w := one.copied(t)
		group.Go(func() {
			for j := range jobs {
				name := filepath.Join(w.root, j.name)
				raw, err := os.ReadFile(name)
				if !assert.Check(t, err) {
					continue
				}
				changed := slices.Clone(raw)
				changed[j.at] ^= 1 << j.bit
				assert.Check(t, os.WriteFile(name, changed, 0o644))
				verdict, codes := w.judge(t, w.root, pin)
				assert.Check(t, verdict != evidence.Pass && len(codes) > 0 && codes[0] != "", "%s: bit %d of byte %d: %s %v", j.name, j.bit, j.at, verdict, codes)
				assert.Check(t, os.WriteFile(name, raw, 0o644))
				flips.Add(1)
			}
			verdict, codes := w.judge(t, w.root, pin)
			assert.Check(t, verdict == evidence.Pass, "afterwards: %v", codes)
		})
	}
	size := 0
	for _, name := range files(t, one.root) {
		raw := get(t, name)
		size += len(raw)
		rel, err := filepath.Rel(one.root, name)
		assert.NilError(t, err)
		for at := 0; at < len(raw); at += step {
			if at%64 != 0 {
				jobs <- place{rel, at, at % 8}
				continue
			}
			for bit := range 8 {
				jobs <- place{rel, at, bit}
			}
		}
	}
	close(jobs)
	group.Wait()
	t.Logf("%d flips in %d bytes of %d files", flips.Load(), size, len(files(t, one.root)))
}

// FuzzDirectory changes a file of a small directory in any way: what is not as
// it was made is never PASS, and nothing panics.
func FuzzDirectory(f *testing.F) {
	w := smallWorld(f)
	pin := w.decoded(f).SHA256
	list := files(f, w.root)
	var rel []string
	for i, name := range list {
		short, err := filepath.Rel(w.root, name)
		assert.NilError(f, err)
		rel = append(rel, short)
		f.Add(uint8(i), uint16(0), uint16(0), []byte{})
		f.Add(uint8(i), uint16(10), uint16(20), []byte(`"x":1,`))
		f.Add(uint8(i), uint16(0), uint16(65535), []byte(get(f, list[(i+1)%len(list)])))
	}
	c := w.copied(f) // each process has its own, and is back to what it was after each round
	f.Fuzz(func(t *testing.T, which uint8, from, cut uint16, with []byte) {
		name := rel[int(which)%len(rel)]
		raw := get(t, filepath.Join(w.root, name))
		at := int(from) % (len(raw) + 1)
		end := min(len(raw), at+int(cut))
		changed := raw[:at] + string(with) + raw[end:]
		put(t, filepath.Join(c.root, name), changed)
		defer put(t, filepath.Join(c.root, name), raw)
		verdict, found := c.judge(t, c.root, pin)
		if verdict == evidence.Pass {
			// White space and the order of keys in a bundle are not signed, and say nothing.
			if strings.HasSuffix(name, sign.BundleSuffix) {
				var before, after any
				assert.NilError(t, json.Unmarshal([]byte(raw), &before))
				assert.NilError(t, json.Unmarshal([]byte(changed), &after))
				assert.DeepEqual(t, after, before)
				return
			}
			assert.Equal(t, changed, raw, "%s", name)
			return
		}
		assert.Assert(t, len(found) > 0)
		// Unchanged bytes stay good.
		assert.Assert(t, changed != raw || strings.Contains(name, ".lock"), "%s: %v", name, found)
	})
}
