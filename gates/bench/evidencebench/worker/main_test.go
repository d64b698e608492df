package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/gates/bench/evidencebench/worker/protocol"
)

// answers runs a task and returns what it answered.
func answers(t *testing.T, args ...string) []protocol.Answer {
	t.Helper()
	var out bytes.Buffer
	assert.NilError(t, run(t.Context(), args, &out))
	var all []protocol.Answer
	for dec := json.NewDecoder(&out); dec.More(); {
		var a protocol.Answer
		assert.NilError(t, dec.Decode(&a))
		assert.Assert(t, a.Seconds > 0, "%+v", a)
		all = append(all, a)
	}
	return all
}

func refused(t *testing.T, contains string, args ...string) {
	t.Helper()
	assert.ErrorContains(t, run(t.Context(), args, &bytes.Buffer{}), contains)
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	answers(t, protocol.MakeFiles, dir, "260", "100")
	first, err := os.ReadFile(filepath.Join(dir, "d000", "f000000.bin"))
	assert.NilError(t, err)
	last, err := os.ReadFile(filepath.Join(dir, "d001", "f000259.bin"))
	assert.NilError(t, err)
	assert.Equal(t, len(last), 100)
	assert.Assert(t, !bytes.Equal(first, last))
	large := t.TempDir()
	answers(t, protocol.MakeFiles, large, "1", "1500000")
	raw, err := os.ReadFile(filepath.Join(large, "d000", "f000000.bin"))
	assert.NilError(t, err)
	assert.Equal(t, len(raw), 1500000)
	assert.Assert(t, !bytes.Equal(raw[:400000], raw[1<<20:][:400000]), "no part is like another")

	refused(t, "no index", protocol.Verify, dir, "1")
	answers(t, protocol.Seal, dir, "2")
	answers(t, protocol.Verify, dir, "0")
	var works []string
	for _, a := range answers(t, protocol.Small, dir) {
		assert.Equal(t, a.Count, 260)
		works = append(works, a.Work)
	}
	assert.DeepEqual(t, works, slices.Repeat([]string{protocol.HashAlone, protocol.SealAndVerify}, turns))
	// What is timed is really looked at.
	first[7]++
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "d000", "f000000.bin"), first, 0o600))
	refused(t, "digest_mismatch", protocol.Verify, dir, "1")
	refused(t, "no such file", protocol.Small, filepath.Join(dir, "none"))
	assert.ErrorContains(t, hashAlone([]string{filepath.Join(dir, "none")}), "none")
}

func TestLog(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "log")
	var works []string
	for _, a := range answers(t, protocol.Log, dir, "300") {
		works = append(works, a.Work)
		if a.Work != protocol.AppendOneByOne {
			assert.Equal(t, a.Count, 300)
		}
	}
	assert.DeepEqual(t, works, []string{protocol.AppendAtOnce, protocol.ProofInOrder, protocol.ProofAtRandom, protocol.AppendOneByOne})
	refused(t, "log", protocol.Log, dir, "300") // of another key
}

func TestBundles(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "bundles")
	answers(t, protocol.MakeBundles, dir, "3")
	answers(t, protocol.VerifyBundles, dir, "3")
	refused(t, "3.json", protocol.VerifyBundles, dir, "4")
	assert.NilError(t, os.WriteFile(filepath.Join(dir, artifactName), []byte("another"), 0o600))
	refused(t, "bundle 0 is about", protocol.VerifyBundles, dir, "3")
	other := filepath.Join(t.TempDir(), "other")
	answers(t, protocol.MakeBundles, other, "1")
	key, err := os.ReadFile(filepath.Join(other, publicName))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, publicName), key, 0o600))
	refused(t, "untrusted_signer", protocol.VerifyBundles, dir, "3")
}

func TestArguments(t *testing.T) {
	t.Parallel()
	refused(t, "usage")
	refused(t, "usage", protocol.Seal)
	refused(t, "no task", "else", t.TempDir())
	refused(t, `"x" is not`, protocol.Seal, t.TempDir(), "x")
	refused(t, `"-1" is not`, protocol.Seal, t.TempDir(), "-1")
	refused(t, `"3" is not`, protocol.Seal, t.TempDir(), "1", "2", "3")
}
