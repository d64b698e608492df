package tlog

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	merkle "golang.org/x/mod/sumdb/tlog"
)

// ProofExtension ends the name of a file that holds a proof.
const ProofExtension = ".tlog-proof"

// MaxProof is the largest proof that is read, in bytes: a checkpoint, hashes
// and something extra.
const MaxProof = 2 * MaxCheckpoint

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	maxHashes   = 63
)

// Inclusion says that a log has an entry: with the hashes, the root of the
// checkpoint follows from the entry.
type Inclusion struct {
	// Index counts from 0.
	Index      int64
	Hashes     []Hash
	Checkpoint Checkpoint
	// Extra is what a proof file says besides. Nothing vouches for it.
	Extra []byte
}

// Verify checks that entry is the one the proof is about. What stands behind
// the checkpoint is for Checkpoint.Trust to say.
func (p Inclusion) Verify(entry []byte) error {
	if p.Index < 0 || p.Index >= p.Checkpoint.Size || p.Checkpoint.Size > MaxSize {
		return fmt.Errorf("%w: index %d in a log of %d entries", ErrInclusion, p.Index, p.Checkpoint.Size)
	}
	if err := merkle.CheckRecord(p.Hashes, p.Checkpoint.Size, p.Checkpoint.Root, p.Index, merkle.RecordHash(entry)); err != nil {
		return fmt.Errorf("%w: entry %d of %s: %w", ErrInclusion, p.Index, p.Checkpoint.Origin, err)
	}
	return nil
}

// Encode returns the proof as a file that verifies on its own, after
// https://c2sp.org/tlog-proof:
//
//	c2sp.org/tlog-proof@v1
//	index <number>
//	<hash in base64>, a line each
//
//	<the checkpoint>
//
// That specification asks for a signed checkpoint; with an unsigned one the
// file ends after its third line, and only this package reads it.
func (p Inclusion) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(proofHeader + "\n")
	if p.Extra != nil {
		fmt.Fprintf(&b, "extra %s\n", base64.StdEncoding.EncodeToString(p.Extra))
	}
	fmt.Fprintf(&b, "index %d\n", p.Index)
	for _, h := range p.Hashes {
		fmt.Fprintf(&b, "%s\n", h)
	}
	b.WriteByte('\n')
	b.Write(p.Checkpoint.Raw)
	return b.Bytes()
}

// ParseProof reads a proof file. The checkpoint in it is checked as by
// [ParseCheckpoint]; whether the proof holds for an entry is not.
func ParseProof(raw []byte, verifier note.Verifier) (Inclusion, error) {
	wrong := func(format string, args ...any) (Inclusion, error) {
		return Inclusion{}, fmt.Errorf("%w proof: %s", ErrMalformed, fmt.Sprintf(format, args...))
	}
	if len(raw) > MaxProof {
		return wrong("more than %d bytes", MaxProof)
	}
	head, checkpoint, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		return wrong("there is no checkpoint after an empty line")
	}
	lines := strings.Split(head, "\n")
	if lines[0] != proofHeader {
		return wrong("the first line is not %q", proofHeader)
	}
	lines = lines[1:]
	var p Inclusion
	var err error
	if len(lines) > 0 {
		if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
			if p.Extra, err = parseBase64(extra); err != nil {
				return wrong("extra: %v", err)
			}
			lines = lines[1:]
		}
	}
	if len(lines) == 0 {
		return wrong("there is no index")
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	if !ok {
		return wrong("there is no index")
	}
	if p.Index, err = parseNumber(index); err != nil {
		return wrong("index %q: %v", index, err)
	}
	lines = lines[1:]
	if len(lines) > maxHashes {
		return wrong("more than %d hashes", maxHashes)
	}
	p.Hashes = make([]Hash, len(lines))
	for i, line := range lines {
		if p.Hashes[i], err = parseHash(line); err != nil {
			return wrong("hash %d: %v", i, err)
		}
	}
	if p.Checkpoint, err = ParseCheckpoint([]byte(checkpoint), verifier); err != nil {
		return Inclusion{}, fmt.Errorf("proof: %w", err)
	}
	return p, nil
}

// VerifyProof checks a proof file for an entry, with nothing else at hand.
// With a verifier, the checkpoint must be signed by its key, and its origin
// must be the name of the key, so that a key of one log vouches for no other.
// Without one, Checkpoint.Trust of the result says what is missing.
func VerifyProof(proof, entry []byte, verifier note.Verifier) (Inclusion, error) {
	p, err := ParseProof(proof, verifier)
	if err != nil {
		return Inclusion{}, err
	}
	if verifier != nil && p.Checkpoint.Origin != verifier.Name() {
		return Inclusion{}, fmt.Errorf("proof: %w: of %s, the key is of %s", ErrOrigin, p.Checkpoint.Origin, verifier.Name())
	}
	if err := p.Verify(entry); err != nil {
		return Inclusion{}, fmt.Errorf("proof: %w", err)
	}
	return p, nil
}

// Consistency says that a log continues an older one.
type Consistency struct {
	OldSize    int64
	Hashes     []Hash
	Checkpoint Checkpoint
}

// Verify checks that the log of the checkpoint begins with the one of old.
func (p Consistency) Verify(old Checkpoint) error {
	now := p.Checkpoint
	fail := func(cause any) error {
		return fmt.Errorf("%w: %s at %d entries and at %d: %v", ErrConsistency, now.Origin, old.Size, now.Size, cause)
	}
	switch {
	case old.Origin != now.Origin:
		return fail("the older one is of " + old.Origin)
	case p.OldSize != old.Size:
		return fail(fmt.Sprintf("the proof is for %d", p.OldSize))
	case old.Size < 0 || old.Size > now.Size || now.Size > MaxSize:
		return fail("the sizes are out of order")
	case old.Size == 0:
		// Every log continues the empty one; there is nothing to prove.
		if len(p.Hashes) > 0 || old.Root != emptyRoot() {
			return fail("the older one has no entries and a root")
		}
		return nil
	}
	if err := merkle.CheckTree(p.Hashes, now.Size, now.Root, old.Size, old.Root); err != nil {
		return fail(err)
	}
	return nil
}
