package tlog_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	merkle "golang.org/x/mod/sumdb/tlog"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/tlog"
)

const origin = "example.com/log"

type keys struct {
	signer   note.Signer
	verifier note.Verifier
}

func newKeys(t testing.TB, name string) keys {
	t.Helper()
	s, v, err := note.GenerateKey(rand.Reader, name)
	assert.NilError(t, err)
	signer, err := note.NewSigner(s)
	assert.NilError(t, err)
	verifier, err := note.NewVerifier(v)
	assert.NilError(t, err)
	return keys{signer, verifier}
}

func (k keys) options() tlog.Options {
	return tlog.Options{Origin: origin, Signer: k.signer, Verifier: k.verifier, Create: true}
}

var unsigned = tlog.Options{Origin: origin, Create: true}

func open(t testing.TB, dir string, opts tlog.Options) *tlog.Log {
	t.Helper()
	l, err := tlog.Open(dir, opts)
	assert.NilError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func some(from, to int) [][]byte {
	var list [][]byte
	for i := from; i < to; i++ {
		list = append(list, fmt.Appendf(nil, "entry %d", i))
	}
	return list
}

func add(t testing.TB, l *tlog.Log, entries [][]byte) {
	t.Helper()
	want := l.Checkpoint().Size
	first, err := l.Append(t.Context(), entries)
	assert.NilError(t, err)
	assert.Equal(t, first, want)
}

func fsck(t testing.TB, dir string, opts tlog.Options) tlog.Report {
	t.Helper()
	report, err := tlog.Fsck(t.Context(), dir, opts)
	assert.NilError(t, err)
	return report
}

// treeHash is RFC 6962, section 2.1, as it is written there.
func treeHash(entries [][]byte) tlog.Hash {
	switch len(entries) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, entries[0]...))
	}
	k := 1
	for 2*k < len(entries) {
		k *= 2
	}
	left, right := treeHash(entries[:k]), treeHash(entries[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func TestExampleOfTheDocumentation(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add(t, open(t, dir, unsigned), [][]byte{[]byte("hello")})
	raw, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	assert.NilError(t, err)
	text := comment(t, "doc.go")
	assert.Assert(t, strings.Contains(text, "\n"+string(raw)), "%s", raw)
	for _, name := range []string{"tile/0/000.p/1", "tile/entries/000.p/1", ".lock"} {
		_, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		assert.NilError(t, err)
	}
}

// comment is the indented text of the comments of a file.
func comment(t *testing.T, name string) string {
	t.Helper()
	source, err := os.ReadFile(name)
	assert.NilError(t, err)
	var b strings.Builder
	for line := range strings.Lines(string(source)) {
		if text, ok := strings.CutPrefix(line, "//\t"); ok {
			b.WriteString(text)
		} else {
			b.WriteString("\n")
		}
	}
	return b.String()
}

// Random batches; after each, everything that can be proven is proven.
func TestEveryProofVerifies(t *testing.T) {
	t.Parallel()
	random := mathrand.New(mathrand.NewPCG(1, 2))
	k := newKeys(t, origin)
	for _, opts := range []tlog.Options{unsigned, k.options()} {
		dir := t.TempDir()
		opts.Remember = filepath.Join(t.TempDir(), "seen")
		l := open(t, dir, opts)
		var all [][]byte
		var heads []tlog.Checkpoint
		for range 12 {
			heads = append(heads, l.Checkpoint())
			batch := make([][]byte, random.IntN(90)+random.IntN(2)*random.IntN(300))
			for i := range batch {
				batch[i] = make([]byte, 1+random.IntN(200))
				for j := range batch[i] {
					batch[i][j] = byte(random.Uint32())
				}
			}
			add(t, l, batch)
			all = append(all, batch...)
			head := l.Checkpoint()
			assert.Equal(t, head.Size, int64(len(all)))
			assert.Equal(t, head.Root, treeHash(all))
			for i := range all {
				raw, err := l.WriteProof(int64(i))
				assert.NilError(t, err)
				p, err := tlog.VerifyProof(raw, all[i], opts.Verifier)
				assert.NilError(t, err)
				assert.Equal(t, p.Index, int64(i))
				assert.Equal(t, p.Checkpoint.Trust, head.Trust)
				_, err = tlog.VerifyProof(raw, append(bytes.Clone(all[i]), 0), opts.Verifier)
				assert.ErrorIs(t, err, tlog.ErrInclusion)
			}
			for _, old := range heads {
				p, err := l.Consistency(old.Size)
				assert.NilError(t, err)
				assert.NilError(t, p.Verify(old))
				old.Root[3] ^= 1
				assert.ErrorIs(t, p.Verify(old), tlog.ErrConsistency)
			}
			for _, span := range [][2]int{{0, len(all)}, {len(all) / 3, len(all) / 2}, {len(all), len(all)}} {
				at := span[0]
				for r, err := range l.Entries(int64(span[0]), int64(span[1])) {
					assert.NilError(t, err)
					assert.Equal(t, r.Index, int64(at))
					assert.DeepEqual(t, r.Data, all[at])
					at++
				}
				assert.Equal(t, at, span[1])
			}
			report := fsck(t, dir, opts)
			assert.Equal(t, report.Entries, head.Size)
			assert.Equal(t, len(report.Leftovers), 0)
			// Another process sees the same.
			assert.DeepEqual(t, open(t, dir, opts).Checkpoint(), head)
		}
	}
}

// The layout is read by the tile reader of x/mod, which was written by others.
func TestOthersReadTheTiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, unsigned)
	entries := some(0, 66_000)
	add(t, l, entries[:300])
	add(t, l, entries[300:65_536])
	assert.Equal(t, l.Checkpoint().Root, treeHash(entries[:65_536]))
	fsck(t, dir, unsigned)
	add(t, l, entries[65_536:])
	head := l.Checkpoint()
	assert.Equal(t, head.Root, treeHash(entries))
	tree := merkle.Tree{N: head.Size, Hash: head.Root}
	hashes := merkle.TileHashReader(tree, tiles(dir))
	for _, i := range []int64{0, 255, 256, 299, 300, 65_535, 65_536, 65_999} {
		proof, err := merkle.ProveRecord(head.Size, i, hashes)
		assert.NilError(t, err)
		ours, err := open(t, dir, unsigned).Proof(i)
		assert.NilError(t, err)
		assert.DeepEqual(t, []tlog.Hash(proof), ours.Hashes)
		assert.NilError(t, merkle.CheckRecord(proof, head.Size, head.Root, i, merkle.RecordHash(entries[i])))
	}
	report := fsck(t, dir, unsigned)
	assert.Equal(t, report.Tiles, int64(258+2+1))
	// Partial tiles of a tile that is full now are gone.
	_, err := os.Stat(filepath.Join(dir, "tile", "0", "001.p"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = os.Stat(filepath.Join(dir, "tile", "entries", "001.p"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

type tiles string

func (d tiles) Height() int                       { return 8 }
func (d tiles) SaveTiles([]merkle.Tile, [][]byte) {}
func (d tiles) ReadTiles(list []merkle.Tile) ([][]byte, error) {
	var data [][]byte
	for _, t := range list {
		raw, err := os.ReadFile(filepath.Join(string(d), "tile", strings.TrimPrefix(t.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		data = append(data, raw)
	}
	return data, nil
}

// A partial tile that a checkpoint spoke of stays until its tile is full.
func TestPartialTilesStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, unsigned)
	older := open(t, dir, unsigned)
	for i := range 5 {
		add(t, l, some(i, i+1))
	}
	assert.NilError(t, older.Refresh())
	for i := 1; i <= 5; i++ {
		_, err := os.Stat(filepath.Join(dir, "tile", "0", "000.p", fmt.Sprint(i)))
		assert.NilError(t, err)
	}
	add(t, l, some(5, 256))
	// A reader of an older checkpoint finds the full tile in its place.
	p, err := older.Proof(3)
	assert.NilError(t, err)
	assert.NilError(t, p.Verify([]byte("entry 3")))
	for r, err := range older.Entries(0, 5) {
		assert.NilError(t, err)
		assert.Equal(t, string(r.Data), fmt.Sprintf("entry %d", r.Index))
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	k, other := newKeys(t, origin), newKeys(t, origin)
	dir := t.TempDir()
	l := open(t, dir, k.options())
	add(t, l, some(0, 3))
	assert.Equal(t, l.Checkpoint().Trust.String(), "signed")
	assert.Equal(t, open(t, dir, tlog.Options{Origin: origin, Verifier: k.verifier}).Checkpoint().Trust, tlog.Signed)
	// Without a key nothing is claimed, and nothing can be added.
	reader := open(t, dir, tlog.Options{Origin: origin})
	assert.Equal(t, reader.Checkpoint().Trust.String(), "signature not checked")
	_, err := reader.Append(t.Context(), some(0, 1))
	assert.ErrorIs(t, err, tlog.ErrUnsigned)
	reader = open(t, dir, tlog.Options{Origin: origin, Verifier: k.verifier})
	_, err = reader.Append(t.Context(), some(0, 1))
	assert.ErrorIs(t, err, tlog.ErrUnsigned)
	_, err = tlog.Open(dir, other.options())
	assert.ErrorIs(t, err, tlog.ErrBadSignature)
	_, err = tlog.Fsck(t.Context(), dir, other.options())
	assert.ErrorIs(t, err, tlog.ErrBadSignature)
	_, err = tlog.Open(dir, tlog.Options{Origin: "example.com/other"})
	assert.ErrorIs(t, err, tlog.ErrOrigin)

	proof, err := l.WriteProof(1)
	assert.NilError(t, err)
	_, err = tlog.VerifyProof(proof, []byte("entry 1"), k.verifier)
	assert.NilError(t, err)
	_, err = tlog.VerifyProof(proof, []byte("entry 1"), other.verifier)
	assert.ErrorIs(t, err, tlog.ErrBadSignature)
	_, err = tlog.VerifyProof(proof, []byte("entry 2"), k.verifier)
	assert.ErrorIs(t, err, tlog.ErrInclusion)
	p, err := tlog.VerifyProof(proof, []byte("entry 1"), nil)
	assert.NilError(t, err)
	assert.Equal(t, p.Checkpoint.Trust, tlog.Unchecked)

	// A key for another log vouches for nothing here, even if it signs.
	stranger := newKeys(t, "example.com/other")
	raw, err := note.Sign(&note.Note{Text: strings.SplitAfter(string(l.Checkpoint().Raw), "\n\n")[0][:len(strings.SplitAfter(string(l.Checkpoint().Raw), "\n\n")[0])-1]}, stranger.signer)
	assert.NilError(t, err)
	swapped := bytes.Replace(proof, l.Checkpoint().Raw, raw, 1)
	_, err = tlog.VerifyProof(swapped, []byte("entry 1"), stranger.verifier)
	assert.ErrorIs(t, err, tlog.ErrOrigin)
}

func TestUnsignedLogGetsAKey(t *testing.T) {
	t.Parallel()
	k := newKeys(t, origin)
	dir := t.TempDir()
	l := open(t, dir, unsigned)
	add(t, l, some(0, 3))
	assert.Equal(t, l.Checkpoint().Trust.String(), "unsigned")
	assert.Equal(t, strings.Count(string(l.Checkpoint().Raw), "\n"), 3)
	proof, err := l.WriteProof(2)
	assert.NilError(t, err)
	_, err = tlog.VerifyProof(proof, []byte("entry 2"), k.verifier)
	assert.ErrorIs(t, err, tlog.ErrUnsigned)
	_, err = tlog.Open(dir, k.options())
	assert.ErrorIs(t, err, tlog.ErrUnsigned)

	adopt := k.options()
	adopt.AdoptUnsigned = true
	l = open(t, dir, adopt)
	assert.Equal(t, l.Checkpoint().Trust, tlog.Unsigned)
	add(t, l, nil)
	assert.Equal(t, l.Checkpoint().Trust, tlog.Signed)
	l = open(t, dir, k.options())
	add(t, l, some(3, 5))
	assert.Equal(t, fsck(t, dir, k.options()).Checkpoint.Trust, tlog.Signed)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	k, other := newKeys(t, origin), newKeys(t, "example.com/other")
	dir := t.TempDir()
	for name, opts := range map[string]tlog.Options{
		"no origin":               {},
		"origin with a space":     {Origin: "a b"},
		"signer without verifier": {Origin: origin, Signer: k.signer},
		"keys apart":              {Origin: origin, Signer: newKeys(t, origin).signer, Verifier: k.verifier},
		"key of another log":      {Origin: origin, Verifier: other.verifier},
		"memory in the log":       {Origin: origin, Remember: filepath.Join(dir, "seen")},
		"memory deep in the log":  {Origin: origin, Remember: filepath.Join(dir, "a", "seen")},
	} {
		opts.Create = true
		_, err := tlog.Open(dir, opts)
		assert.Check(t, is.ErrorIs(err, tlog.ErrOptions), name)
		_, err = tlog.Fsck(t.Context(), dir, opts)
		assert.Check(t, is.ErrorIs(err, tlog.ErrOptions), name)
	}
	_, err := tlog.Open(dir, tlog.Options{Origin: origin})
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = tlog.Open(filepath.Join(dir, "absent"), tlog.Options{Origin: origin})
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = tlog.Fsck(t.Context(), dir, tlog.Options{Origin: origin})
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

func TestArguments(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), unsigned)
	for _, bad := range [][]byte{nil, {}, make([]byte, tlog.MaxEntry+1)} {
		_, err := l.Append(t.Context(), [][]byte{[]byte("good"), bad})
		assert.ErrorIs(t, err, tlog.ErrEntrySize)
	}
	add(t, l, [][]byte{make([]byte, tlog.MaxEntry)})
	for _, i := range []int64{-1, 1, 1 << 62} {
		_, err := l.Proof(i)
		assert.ErrorIs(t, err, tlog.ErrInclusion)
	}
	for _, size := range []int64{-1, 2} {
		_, err := l.Consistency(size)
		assert.ErrorIs(t, err, tlog.ErrConsistency)
	}
	for _, span := range [][2]int64{{-1, 1}, {1, 0}, {0, 2}} {
		for _, err := range l.Entries(span[0], span[1]) {
			assert.ErrorContains(t, err, "no entries")
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err := l.Append(stopped, some(0, 1))
	assert.ErrorIs(t, err, context.Canceled)
}

// What somebody with write access does, and how a reader with a memory calls it.
func TestMemory(t *testing.T) {
	t.Parallel()
	k := newKeys(t, origin)
	build := func(t *testing.T, dir string, opts tlog.Options, entries [][]byte) {
		opts.Remember = ""
		add(t, open(t, dir, opts), entries)
	}
	for _, signed := range []bool{false, true} {
		opts := unsigned
		if signed {
			opts = k.options() // the attacker has the key
		}
		for name, test := range map[string]struct {
			attack func(t *testing.T, dir string)
			want   error
		}{
			"nothing":      {func(*testing.T, string) {}, nil},
			"more entries": {func(t *testing.T, dir string) { build(t, dir, opts, some(300, 600)) }, nil},
			"older log": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, some(0, 299))
			}, tlog.ErrRollback},
			"the last entry taken off": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, some(0, 100))
				build(t, dir, opts, some(100, 299))
			}, tlog.ErrRollback},
			"rewritten, same size": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, some(1, 301))
			}, tlog.ErrForked},
			"rewritten, longer": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, some(1, 1001))
			}, tlog.ErrForked},
			"rewritten, last entry only, longer": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, append(some(0, 299), some(400, 900)...))
			}, tlog.ErrForked},
			"a new empty log": {func(t *testing.T, dir string) {
				empty(t, dir)
				build(t, dir, opts, nil)
			}, tlog.ErrRollback},
			"checkpoint gone": {func(t *testing.T, dir string) { assert.NilError(t, os.Remove(filepath.Join(dir, "checkpoint"))) }, tlog.ErrTruncated},
			"everything gone": {func(t *testing.T, dir string) { empty(t, dir) }, tlog.ErrTruncated},
			"a tile gone": {func(t *testing.T, dir string) {
				assert.NilError(t, os.Remove(filepath.Join(dir, "tile", "0", "001.p", "44")))
			}, tlog.ErrTruncated},
			"another log's head": {func(t *testing.T, dir string) {
				assert.NilError(t, os.WriteFile(filepath.Join(dir, "checkpoint"), []byte("example.com/x\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"), 0o644))
			}, nil},
		} {
			t.Run(fmt.Sprintf("%s, signed %v", name, signed), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				opts := opts
				opts.Remember = filepath.Join(t.TempDir(), "memory", "seen")
				l := open(t, dir, opts)
				add(t, l, some(0, 300))
				test.attack(t, dir)
				want := test.want
				if name == "another log's head" {
					want = tlog.ErrOrigin
					if signed {
						want = tlog.ErrUnsigned
					}
				}
				_, fsckErr := tlog.Fsck(t.Context(), dir, opts)
				refreshed := l.Refresh()
				_, opened := tlog.Open(dir, opts)
				_, appended := l.Append(t.Context(), some(0, 1))
				if want == nil {
					for _, err := range []error{fsckErr, refreshed, appended, opened} {
						assert.NilError(t, err)
					}
					return
				}
				for who, err := range map[string]error{"fsck": fsckErr, "open": opened, "refresh": refreshed, "append": appended} {
					if name == "a tile gone" && (who == "refresh" || who == "append") {
						continue // it has the tile in memory, and the next append writes it anew
					}
					assert.Check(t, is.ErrorIs(err, want), who)
					for _, other := range []error{tlog.ErrTruncated, tlog.ErrRollback, tlog.ErrForked, tlog.ErrCorrupt, tlog.ErrBadSignature} {
						assert.Check(t, errors.Is(err, other) == errors.Is(want, other), "%s: %v", who, err)
					}
				}
			})
		}
	}
}

func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	for _, e := range entries {
		if e.Name() != ".lock" {
			assert.NilError(t, os.RemoveAll(filepath.Join(dir, e.Name())))
		}
	}
}

// Without a memory, a reader that stays open still has its own.
func TestOpenLogNoticesARewrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, unsigned)
	add(t, l, some(0, 600))
	_, err := l.Proof(10) // its tiles are in memory now
	assert.NilError(t, err)
	empty(t, dir)
	add(t, open(t, dir, unsigned), some(1, 1000))
	assert.ErrorIs(t, l.Refresh(), tlog.ErrForked)
	assert.Equal(t, l.Checkpoint().Size, int64(600))
}

// The memory only moves forward.
func TestMemoryIsNotTurnedBack(t *testing.T) {
	t.Parallel()
	dir, seen := t.TempDir(), filepath.Join(t.TempDir(), "seen")
	opts := unsigned
	opts.Remember = seen
	l := open(t, dir, opts)
	add(t, l, some(0, 5))
	raw, err := os.ReadFile(seen)
	assert.NilError(t, err)
	assert.DeepEqual(t, raw, l.Checkpoint().Raw)
	empty(t, dir)
	_, err = tlog.Open(dir, opts)
	assert.ErrorIs(t, err, tlog.ErrTruncated)
	after, err := os.ReadFile(seen)
	assert.NilError(t, err)
	assert.DeepEqual(t, after, raw)
	assert.NilError(t, os.WriteFile(seen, []byte("garbage"), 0o644))
	_, err = tlog.Open(dir, opts)
	assert.ErrorIs(t, err, tlog.ErrMalformed)
}

// Every bit of every checkpoint, tile and entry is covered.
func TestFsckRefusesEveryFlip(t *testing.T) {
	t.Parallel()
	k := newKeys(t, origin)
	for name, opts := range map[string]tlog.Options{"unsigned": unsigned, "signed": k.options()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := open(t, dir, opts)
			add(t, l, some(0, 2))
			add(t, l, some(2, 3)) // the tiles of 2 stay
			flips := 0
			flipEach(t, dir, 1, func(file string, at, bit int) {
				flips++
				_, err := tlog.Fsck(t.Context(), dir, opts)
				assert.Assert(t, err != nil, "%s: bit %d of byte %d", file, bit, at)
			})
			fsck(t, dir, opts)
			t.Logf("%d flips refused", flips)
		})
	}
}

// The same for full tiles and two levels, one bit in every 61 bytes.
func TestFsckRefusesFlipsInALargerLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, unsigned)
	add(t, l, some(0, 250))
	add(t, l, some(250, 600))
	add(t, l, some(600, 603))
	flipEach(t, dir, 61, func(file string, at, bit int) {
		_, err := tlog.Fsck(t.Context(), dir, unsigned)
		assert.Assert(t, err != nil, "%s: bit %d of byte %d", file, bit, at)
	})
}

func flipEach(t *testing.T, dir string, stride int, check func(file string, at, bit int)) {
	t.Helper()
	assert.NilError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		whole, err := os.ReadFile(path)
		assert.NilError(t, err)
		file, err := os.OpenFile(path, os.O_WRONLY, 0)
		assert.NilError(t, err)
		defer file.Close()
		for at := 0; at < len(whole); at += stride {
			for bit := range 8 {
				if stride > 1 && bit != at%8 {
					continue
				}
				_, err := file.WriteAt([]byte{whole[at] ^ 1<<bit}, int64(at))
				assert.NilError(t, err)
				check(path, at, bit)
			}
			_, err := file.WriteAt(whole[at:at+1], int64(at))
			assert.NilError(t, err)
		}
		return nil
	}))
}

func TestFsckRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		attack func(t *testing.T, dir string)
		want   error
	}{
		"a tile gone":         {func(t *testing.T, dir string) { gone(t, dir, "tile/0/000") }, tlog.ErrTruncated},
		"a bundle gone":       {func(t *testing.T, dir string) { gone(t, dir, "tile/entries/000") }, tlog.ErrTruncated},
		"the edge gone":       {func(t *testing.T, dir string) { gone(t, dir, "tile/1/000.p/1") }, tlog.ErrTruncated},
		"a shorter tile":      {func(t *testing.T, dir string) { cut(t, dir, "tile/0/000", 8160) }, tlog.ErrCorrupt},
		"a longer tile":       {func(t *testing.T, dir string) { cut(t, dir, "tile/0/000", 8224) }, tlog.ErrCorrupt},
		"a shorter bundle":    {func(t *testing.T, dir string) { cut(t, dir, "tile/entries/000", 100) }, tlog.ErrCorrupt},
		"a bundle with more":  {func(t *testing.T, dir string) { cut(t, dir, "tile/entries/000", 20_000) }, tlog.ErrCorrupt},
		"a huge checkpoint":   {func(t *testing.T, dir string) { cut(t, dir, "checkpoint", tlog.MaxCheckpoint+1) }, tlog.ErrCorrupt},
		"an empty checkpoint": {func(t *testing.T, dir string) { cut(t, dir, "checkpoint", 0) }, tlog.ErrMalformed},
		"a foreign file":      {func(t *testing.T, dir string) { put(t, dir, "tile/0/x") }, tlog.ErrUnexpected},
		"a file on top":       {func(t *testing.T, dir string) { put(t, dir, "README") }, tlog.ErrUnexpected},
		"a foreign directory": {func(t *testing.T, dir string) { put(t, dir, "other/file") }, tlog.ErrUnexpected},
		"a path of x/mod":     {func(t *testing.T, dir string) { put(t, dir, "tile/data/000") }, tlog.ErrUnexpected},
		"a link": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Rename(filepath.Join(dir, "tile", "0", "000"), filepath.Join(dir, "tile", "0", "001")))
			assert.NilError(t, os.Symlink("001", filepath.Join(dir, "tile", "0", "000")))
		}, tlog.ErrUnexpected},
		"an older tile that is not the beginning": {func(t *testing.T, dir string) { put(t, dir, "tile/entries/001.p/2") }, tlog.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l := open(t, dir, unsigned)
			add(t, l, some(0, 300))
			fsck(t, dir, unsigned)
			test.attack(t, dir)
			_, err := tlog.Fsck(t.Context(), dir, unsigned)
			assert.ErrorIs(t, err, test.want)
		})
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	dir := t.TempDir()
	add(t, open(t, dir, unsigned), some(0, 3))
	_, err := tlog.Fsck(stopped, dir, unsigned)
	assert.ErrorIs(t, err, context.Canceled)
}

func gone(t *testing.T, dir, name string) {
	t.Helper()
	assert.NilError(t, os.Remove(filepath.Join(dir, filepath.FromSlash(name))))
}

func cut(t *testing.T, dir, name string, size int64) {
	t.Helper()
	assert.NilError(t, os.Truncate(filepath.Join(dir, filepath.FromSlash(name)), size))
}

func put(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	assert.NilError(t, os.WriteFile(path, []byte("foreign"), 0o644))
}

// Readers refuse what they come across, also without a full check.
func TestReadersRefuseCorruption(t *testing.T) {
	t.Parallel()
	flip := func(t *testing.T, path string) {
		raw, err := os.ReadFile(path)
		assert.NilError(t, err)
		raw[len(raw)-1] ^= 1
		assert.NilError(t, os.WriteFile(path, raw, 0o644))
	}
	for name, want := range map[string]string{
		"tile/0/000": "proof", "tile/entries/000": "entries", "tile/0/002.p/88": "open", "tile/1/000.p/2": "open", "tile/entries/002.p/88": "entries and append",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			add(t, open(t, dir, unsigned), some(0, 600))
			flip(t, filepath.Join(dir, filepath.FromSlash(name)))
			l, err := tlog.Open(dir, unsigned)
			if want == "open" {
				assert.ErrorIs(t, err, tlog.ErrCorrupt)
				return
			}
			assert.NilError(t, err)
			defer l.Close()
			_, err = l.Proof(5)
			assert.Equal(t, errors.Is(err, tlog.ErrCorrupt), want == "proof", "%v", err)
			_, err = l.Append(t.Context(), some(0, 1))
			assert.Equal(t, errors.Is(err, tlog.ErrCorrupt), want == "entries and append", "%v", err)
			var last error
			for _, err := range l.Entries(0, 600) {
				last = err
			}
			assert.ErrorIs(t, last, tlog.ErrCorrupt)
		})
	}
}

func TestEntry(t *testing.T) {
	t.Parallel()
	e := tlog.Entry{
		Run:         "ci/20261122T063000Z-0a1b2c3d",
		IndexSHA256: "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356", RecordSHA256: "dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22",
		Verdict: evidence.Pass, Commit: "1d91369b0b6c3e2f9a3c0a5c7f1f0e3e5d7c9b1a",
		Time: time.Date(2026, 11, 22, 7, 30, 0, 0, time.FixedZone("CET", 3600)),
	}
	raw, err := e.Encode()
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(comment(t, "entry.go"), "\n"+string(raw)+"\n"), "%s", raw)
	back, err := tlog.DecodeEntry(raw)
	assert.NilError(t, err)
	again, err := back.Encode()
	assert.NilError(t, err)
	assert.DeepEqual(t, again, raw)
	assert.Assert(t, back.Time.Equal(e.Time))

	for name, bad := range map[string]string{
		"empty": "", "null": "null", "array": "[]",
		"newline":           string(raw) + "\n",
		"trailing":          string(raw) + "{}",
		"space":             " " + string(raw),
		"unknown key":       strings.Replace(string(raw), `"run"`, `"x":1,"run"`, 1),
		"wrong case":        strings.Replace(string(raw), `"run"`, `"Run"`, 1),
		"doubled key":       strings.Replace(string(raw), `"verdict":"PASS"`, `"verdict":"FAIL","verdict":"PASS"`, 1),
		"other schema":      strings.Replace(string(raw), "entry/v1", "entry/v2", 1),
		"no schema":         strings.Replace(string(raw), tlog.EntrySchema, "", 1),
		"unknown verdict":   strings.Replace(string(raw), "PASS", "GREEN", 1),
		"lower-case":        strings.Replace(string(raw), "PASS", "pass", 1),
		"upper-case digest": strings.Replace(string(raw), "ca3d", "CA3D", 1),
		"short digest":      strings.Replace(string(raw), "ca3d", "", 1),
		"no record":         strings.Replace(string(raw), "dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22", "", 1),
		"short commit":      strings.Replace(string(raw), "1d91369b", "", 1),
		"no area":           strings.Replace(string(raw), "ci/2026", "2026", 1),
		"up":                strings.Replace(string(raw), "ci/", "../", 1),
		"absolute":          strings.Replace(string(raw), "ci/", "/", 1),
		"deep":              strings.Replace(string(raw), "ci/", "a/b/c/d/", 1),
		"odd name":          strings.Replace(string(raw), "ci/", "c i/", 1),
		"escaped":           strings.Replace(string(raw), "ci/", `\u0063i/`, 1),
		"local time":        strings.Replace(string(raw), "06:30:00Z", "07:30:00+01:00", 1),
		"no time":           strings.Replace(string(raw), "2026-11-22T06:30:00Z", "0001-01-01T00:00:00Z", 1),
		"zero fraction":     strings.Replace(string(raw), "00Z\"}", "00.0Z\"}", 1),
		"too large":         string(raw) + strings.Repeat(" ", tlog.MaxEntry),
	} {
		assert.Assert(t, bad != string(raw), name)
		_, err := tlog.DecodeEntry([]byte(bad))
		assert.Check(t, is.ErrorIs(err, tlog.ErrMalformed), name)
	}
	// Every bit counts: a flip is refused, or gives another entry that says so.
	for at := range raw {
		for bit := range 8 {
			flipped := bytes.Clone(raw)
			flipped[at] ^= 1 << bit
			if e, err := tlog.DecodeEntry(flipped); err == nil {
				again, err := e.Encode()
				assert.NilError(t, err)
				assert.DeepEqual(t, again, flipped)
			}
		}
	}
	for _, good := range []tlog.Entry{
		{Run: "certification/suite/r", Verdict: evidence.Skip}, {Run: "a/b", Verdict: evidence.Unverified}, {Run: "a/b", Verdict: evidence.Fail, Commit: strings.Repeat("0", 64)},
	} {
		good.IndexSHA256, good.RecordSHA256, good.Time = e.IndexSHA256, e.RecordSHA256, e.Time
		raw, err := good.Encode()
		assert.NilError(t, err)
		_, err = tlog.DecodeEntry(raw)
		assert.NilError(t, err)
	}
}

func TestParseCheckpointRefuses(t *testing.T) {
	t.Parallel()
	const root = "iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc="
	sig := "— example.com/log " + "AAAAAAAA" + "\n"
	good := origin + "\n1\n" + root + "\n"
	for name, bad := range map[string]string{
		"empty":                    "",
		"two lines":                origin + "\n1\n",
		"no final newline":         origin + "\n1\n" + root,
		"extension line":           good + "x\n",
		"empty origin":             "\n1\n" + root + "\n",
		"origin with a space":      "a b\n1\n" + root + "\n",
		"origin with a plus":       "a+b\n1\n" + root + "\n",
		"long origin":              strings.Repeat("a", tlog.MaxOrigin+1) + "\n1\n" + root + "\n",
		"carriage return":          strings.ReplaceAll(good, "\n", "\r\n"),
		"control character":        "a\x01\n1\n" + root + "\n",
		"not UTF-8":                "a\xff\n1\n" + root + "\n",
		"leading zero":             origin + "\n01\n" + root + "\n",
		"plus":                     origin + "\n+1\n" + root + "\n",
		"negative":                 origin + "\n-1\n" + root + "\n",
		"minus zero":               origin + "\n-0\n" + root + "\n",
		"too large":                origin + "\n1099511627777\n" + root + "\n",
		"far too large":            origin + "\n9223372036854775807\n" + root + "\n",
		"beyond":                   origin + "\n9223372036854775808\n" + root + "\n",
		"not empty, size zero":     origin + "\n0\n" + root + "\n",
		"short root":               origin + "\n1\n" + root[4:] + "\n",
		"loose base64":             origin + "\n1\niipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCd=\n",
		"unpadded":                 origin + "\n1\n" + root[:43] + "\n",
		"URL base64":               origin + "\n1\n" + "_" + root[1:] + "\n",
		"signature block empty":    good + "\n",
		"two empty lines":          good + "\n\n" + sig,
		"signature without dash":   good + "\n" + strings.TrimPrefix(sig, "— "),
		"signature without base64": good + "\n— example.com/log\n",
		"signature too short":      good + "\n— example.com/log AAAA\n",
		"loose signature":          good + "\n— example.com/log AAAAAAB=\n",
		"signature name":           good + "\n— example.com+log AAAAAAAA\n",
		"signature trailing":       good + "\n" + sig + "x",
		"same key twice":           good + "\n" + sig + sig,
		"17 signatures":            good + "\n" + signatures(17),
		"long":                     good + "\n— a " + strings.Repeat("AAAA", tlog.MaxCheckpoint/4) + "\n",
	} {
		_, err := tlog.ParseCheckpoint([]byte(bad), nil)
		assert.Check(t, is.ErrorIs(err, tlog.ErrMalformed), name)
	}
	c, err := tlog.ParseCheckpoint([]byte(good), nil)
	assert.NilError(t, err)
	assert.Equal(t, c.Size, int64(1))
	assert.Equal(t, c.Trust, tlog.Unsigned)
	c, err = tlog.ParseCheckpoint([]byte(good+"\n"+signatures(16)), nil)
	assert.NilError(t, err)
	assert.Equal(t, c.Trust, tlog.Unchecked)
}

func signatures(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "— key%d AAAAAAAA\n", i)
	}
	return b.String()
}

// A cosignature of a witness does no harm.
func TestForeignSignaturesAreIgnored(t *testing.T) {
	t.Parallel()
	k := newKeys(t, origin)
	dir := t.TempDir()
	l := open(t, dir, k.options())
	add(t, l, some(0, 2))
	n, err := note.Open(l.Checkpoint().Raw, note.VerifierList(k.verifier))
	assert.NilError(t, err)
	raw, err := note.Sign(n, newKeys(t, "witness.example").signer)
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "checkpoint"), raw, 0o644))
	c := open(t, dir, k.options()).Checkpoint()
	assert.Equal(t, c.Trust, tlog.Signed)
	assert.Assert(t, c.Same(l.Checkpoint()))
}

func TestProofFileRefuses(t *testing.T) {
	t.Parallel()
	k := newKeys(t, origin)
	l := open(t, t.TempDir(), k.options())
	add(t, l, some(0, 11))
	entry := []byte("entry 5")
	p, err := l.Proof(5)
	assert.NilError(t, err)
	good := p.Encode()
	text := string(good)
	_, err = tlog.VerifyProof(good, entry, k.verifier)
	assert.NilError(t, err)
	hash := p.Hashes[1].String() + "\n"
	for name, test := range map[string]struct {
		bad  string
		want error
	}{
		"empty":         {"", tlog.ErrMalformed},
		"no header":     {strings.TrimPrefix(text, "c2sp.org/tlog-proof@v1\n"), tlog.ErrMalformed},
		"version":       {strings.Replace(text, "@v1", "@v2", 1), tlog.ErrMalformed},
		"no index":      {strings.Replace(text, "index 5\n", "", 1), tlog.ErrMalformed},
		"leading zero":  {strings.Replace(text, "index 5", "index 05", 1), tlog.ErrMalformed},
		"negative":      {strings.Replace(text, "index 5", "index -5", 1), tlog.ErrMalformed},
		"index again":   {strings.Replace(text, "index 5\n", "index 5\nindex 5\n", 1), tlog.ErrMalformed},
		"another index": {strings.Replace(text, "index 5", "index 4", 1), tlog.ErrInclusion},
		"beyond":        {strings.Replace(text, "index 5", "index 11", 1), tlog.ErrInclusion},
		"far beyond":    {strings.Replace(text, "index 5", "index 9223372036854775807", 1), tlog.ErrInclusion},
		"a hash less":   {strings.Replace(text, hash, "", 1), tlog.ErrInclusion},
		"a hash more":   {strings.Replace(text, hash, hash+hash, 1), tlog.ErrInclusion},
		"many hashes":   {strings.Replace(text, hash, strings.Repeat(hash, 100), 1), tlog.ErrMalformed},
		"no checkpoint": {text[:strings.Index(text, "\n\n")+2], tlog.ErrMalformed},
		"cut":           {text[:len(text)-1], tlog.ErrMalformed},
		"trailing":      {text + "\n", tlog.ErrMalformed},
		"bad extra":     {strings.Replace(text, "index", "extra !\nindex", 1), tlog.ErrMalformed},
		"unsigned":      {text[:strings.LastIndex(text, "\n\n")+1], tlog.ErrUnsigned},
		"huge":          {text + strings.Repeat("x", tlog.MaxProof), tlog.ErrMalformed},
	} {
		_, err := tlog.VerifyProof([]byte(test.bad), entry, k.verifier)
		assert.Check(t, is.ErrorIs(err, test.want), name)
	}
	for at := range good {
		for bit := range 8 {
			flipped := bytes.Clone(good)
			flipped[at] ^= 1 << bit
			_, err := tlog.VerifyProof(flipped, entry, k.verifier)
			assert.Assert(t, err != nil, "bit %d of byte %d", bit, at)
		}
	}
	// Something extra is carried, and is nobody's word.
	p.Extra = []byte("context")
	back, err := tlog.VerifyProof(p.Encode(), entry, k.verifier)
	assert.NilError(t, err)
	assert.Equal(t, string(back.Extra), "context")
	assert.DeepEqual(t, back.Encode(), p.Encode())
}
