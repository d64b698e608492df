package sign

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

// claims are n statements that differ.
func claims(t testing.TB, n int) [][]byte {
	t.Helper()
	var list [][]byte
	for i := range n {
		list = append(list, bytes.Replace(claim(t), []byte("v1.2.3"), []byte("v1.2."+string(rune('a'+i))), 1))
	}
	return list
}

func keep(t testing.TB, dir string, raw []byte) {
	t.Helper()
	bundle, err := NewPending(dir).Sign(context.Background(), raw)
	assert.Equal(t, ReasonOf(err), PendingSignature, "%v", err)
	assert.Assert(t, bundle == nil)
}

func names(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	assert.NilError(t, err)
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestPendingIsSignedLater(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k := exampleKey(t)
	list := claims(t, 3)
	var digests []string
	for _, raw := range list {
		keep(t, dir, raw)
		keep(t, dir, raw)
		digests = append(digests, digestOf(raw))
		kept, err := os.ReadFile(filepath.Join(dir, digestOf(raw)+StatementSuffix))
		assert.NilError(t, err)
		assert.Equal(t, string(kept), string(raw))
	}
	assert.Equal(t, len(names(t, dir)), 3)
	done, err := Complete(context.Background(), dir, k, digests...)
	assert.NilError(t, err)
	assert.Equal(t, len(done), 3)
	for _, c := range done {
		v, err := VerifyBundle(c.Bundle, trustIn(t, k), Options{At: now})
		assert.NilError(t, err)
		assert.Equal(t, string(v.Payload), string(c.Statement))
		assert.Equal(t, digestOf(v.Payload), c.Digest)
		onDisk, err := os.ReadFile(filepath.Join(dir, c.Digest+BundleSuffix))
		assert.NilError(t, err)
		assert.Equal(t, string(onDisk), string(c.Bundle))
	}
	for _, name := range names(t, dir) {
		assert.Assert(t, strings.HasSuffix(name, BundleSuffix), name)
	}
	// What is signed is neither missing nor signed again.
	done, err = Complete(context.Background(), dir, k, digests...)
	assert.NilError(t, err)
	assert.Equal(t, len(done), 0)
}

// broken is a signer that fails, or that returns what it is told to.
type broken struct {
	Signer
	fails  error
	bundle []byte
}

func (b broken) Sign(context.Context, []byte) ([]byte, error) { return b.bundle, b.fails }

func TestCompleteRefuses(t *testing.T) {
	t.Parallel()
	k := exampleKey(t)
	raw := claim(t)
	digest := digestOf(raw)
	name := digest + StatementSuffix
	elsewhere := filepath.Join(t.TempDir(), "x")
	assert.NilError(t, os.WriteFile(elsewhere, raw, 0o600))
	other := strings.Repeat("0", 64)
	for title, c := range map[string]struct {
		prepare  func(t *testing.T, dir string)
		signer   Signer
		expected []string
		reason   Reason
	}{
		"changed on disk": {func(t *testing.T, dir string) {
			assert.NilError(t, os.WriteFile(filepath.Join(dir, name), append(raw[:len(raw):len(raw)], ' '), 0o600))
		}, k, nil, DigestMismatch},
		"emptied": {func(t *testing.T, dir string) { assert.NilError(t, os.Truncate(filepath.Join(dir, name), 0)) }, k, nil, DigestMismatch},
		"huge": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Truncate(filepath.Join(dir, name), statement.MaxBytes+1))
		}, k, nil, LimitExceeded},
		"link to outside": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Remove(filepath.Join(dir, name)))
			assert.NilError(t, os.Symlink(elsewhere, filepath.Join(dir, name)))
		}, k, nil, NotRegularFile},
		"link inside": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Rename(filepath.Join(dir, name), filepath.Join(dir, "x")))
			assert.NilError(t, os.Symlink("x", filepath.Join(dir, name)))
		}, k, nil, NotRegularFile},
		"folder": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Remove(filepath.Join(dir, name)))
			assert.NilError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		}, k, nil, NotRegularFile},
		"not a statement": {func(t *testing.T, dir string) {
			assert.NilError(t, os.Remove(filepath.Join(dir, name)))
			assert.NilError(t, os.WriteFile(filepath.Join(dir, digestOf([]byte("{}"))+StatementSuffix), []byte("{}"), 0o600))
		}, k, nil, Schema},
		"planted":                 {func(t *testing.T, dir string) { keep(t, dir, claims(t, 1)[0]) }, k, []string{digest}, Unexpected},
		"missing":                 {func(*testing.T, string) {}, k, []string{digest, other}, Missing},
		"pending by pending":      {func(*testing.T, string) {}, NewPending(t.TempDir()), nil, Unsigned},
		"no signer":               {func(*testing.T, string) {}, nil, nil, Unsigned},
		"signer returns nothing":  {func(*testing.T, string) {}, broken{Signer: k}, nil, EmptyEvidence},
		"signer signs other text": {func(t *testing.T, _ string) {}, broken{Signer: k, bundle: signed(t, k, claims(t, 1)[0])}, nil, DigestMismatch},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			keep(t, dir, raw)
			c.prepare(t, dir)
			done, err := Complete(context.Background(), dir, c.signer, c.expected...)
			assert.Equal(t, ReasonOf(err), c.reason, "%v", err)
			for _, d := range done {
				assert.Equal(t, d.Digest, digest, "only what was kept is signed")
			}
		})
	}
	_, err := Complete(context.Background(), filepath.Join(t.TempDir(), "none"), k)
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// A signer that fails keeps every statement, and the next one signs the same.
func TestCompleteAfterAnOutage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := claims(t, 2)
	for _, raw := range list {
		keep(t, dir, raw)
	}
	before := names(t, dir)
	down := errors.New("service unavailable")
	done, err := Complete(context.Background(), dir, broken{Signer: exampleKey(t), fails: down})
	assert.ErrorIs(t, err, down)
	assert.Equal(t, len(done), 0)
	assert.DeepEqual(t, names(t, dir), before)

	// As after a crash between the bundle and the removal of the statement.
	half := digestOf(list[0])
	assert.NilError(t, os.WriteFile(filepath.Join(dir, half+BundleSuffix), []byte("half"), 0o600))
	done, err = Complete(context.Background(), dir, exampleKey(t))
	assert.NilError(t, err)
	assert.Equal(t, len(done), 2)
	for _, raw := range list {
		bundle, err := os.ReadFile(filepath.Join(dir, digestOf(raw)+BundleSuffix))
		assert.NilError(t, err)
		v, err := VerifyBundle(bundle, trustIn(t, exampleKey(t)), Options{At: now})
		assert.NilError(t, err)
		assert.Equal(t, string(v.Payload), string(raw))
	}
}

func TestPendingNowhere(t *testing.T) {
	t.Parallel()
	_, err := NewPending(filepath.Join(t.TempDir(), "none")).Sign(context.Background(), claim(t))
	assert.ErrorIs(t, err, os.ErrNotExist)
	assert.Equal(t, ReasonOf(err), Reason(""))
	assert.Equal(t, NewPending("x").Kind(), KindPending)
	assert.Equal(t, NewPending("x").KeyID(), "")
}
