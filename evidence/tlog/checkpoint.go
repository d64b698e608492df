package tlog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
	merkle "golang.org/x/mod/sumdb/tlog"
)

// The reasons for which a log, a checkpoint or a proof is refused. Errors of
// this package wrap one of them; each excludes the others.
var (
	// ErrMalformed: the text is not a checkpoint, a proof or an entry.
	ErrMalformed = errors.New("malformed")
	// ErrOrigin: the checkpoint is of another log.
	ErrOrigin = errors.New("another log")
	// ErrUnsigned: there is no signature where one is asked for.
	ErrUnsigned = errors.New("unsigned")
	// ErrBadSignature: the signature is wrong, or of unknown keys only.
	ErrBadSignature = errors.New("bad signature")
	// ErrTruncated: data is missing that was there.
	ErrTruncated = errors.New("log truncated")
	// ErrRollback: the log is shorter than it was when last seen.
	ErrRollback = errors.New("log rolled back")
	// ErrForked: the log does not continue what was last seen.
	ErrForked = errors.New("log rewritten")
	// ErrCorrupt: a tile or an entry is not what the checkpoint commits to.
	ErrCorrupt = errors.New("log corrupt")
	// ErrUnexpected: there is a file in the log that no log has.
	ErrUnexpected = errors.New("unexpected file")
	// ErrInclusion: the entry is not the one that the proof is about.
	ErrInclusion = errors.New("not included")
	// ErrConsistency: one tree is not the beginning of the other.
	ErrConsistency = errors.New("not consistent")
	// ErrEntrySize: an entry is empty or larger than MaxEntry.
	ErrEntrySize = errors.New("entry size")
	// ErrOptions: the options contradict each other.
	ErrOptions = errors.New("options")
)

// Limits of what is read and written.
const (
	// MaxEntry is the largest entry, in bytes.
	MaxEntry = 32 << 10
	// MaxCheckpoint is the largest checkpoint, in bytes.
	MaxCheckpoint = 128 << 10
	// MaxSignatures is how many signatures a checkpoint may bear.
	MaxSignatures = 16
	// MaxSize is the largest log, in entries. It also keeps the arithmetic of
	// x/mod, which does not end for sizes above 1<<62, away from what a hostile
	// checkpoint says.
	MaxSize = 1 << 40
	// MaxOrigin is the longest origin, in bytes.
	MaxOrigin = 1024
)

// Hash is a node of the tree: SHA-256 after RFC 6962.
type Hash = merkle.Hash

// Trust says what stands behind a checkpoint.
type Trust uint8

// The degrees of trust.
const (
	// Unsigned: no signature. Whoever could write it could write anything.
	Unsigned Trust = iota
	// Unchecked: there are signatures, and no key was given to check them.
	Unchecked
	// Signed: the signature of the given key was checked and is good.
	Signed
)

// String returns "unsigned", "signature not checked" or "signed".
func (t Trust) String() string {
	switch t {
	case Signed:
		return "signed"
	case Unchecked:
		return "signature not checked"
	}
	return "unsigned"
}

// Checkpoint is the head of a log.
type Checkpoint struct {
	Origin string
	// Size is how many entries the log has.
	Size int64
	// Root is the hash over all of them.
	Root  Hash
	Trust Trust
	// Raw is the text it was read from, or is written as.
	Raw []byte
}

// Same says that two checkpoints commit to the same entries of the same log.
func (c Checkpoint) Same(d Checkpoint) bool {
	return c.Origin == d.Origin && c.Size == d.Size && c.Root == d.Root
}

func (c Checkpoint) body() string {
	return fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, c.Root)
}

// ParseCheckpoint reads a checkpoint as if its writer were hostile: one form
// for one content, base64 included. With a verifier, a signature of its key
// must be there and good; signatures of other keys are ignored, as signed-note
// asks. Without one, nothing is said about who wrote it.
func ParseCheckpoint(raw []byte, verifier note.Verifier) (Checkpoint, error) {
	c, err := parseCheckpoint(raw)
	if err != nil {
		return Checkpoint{}, err
	}
	switch {
	case verifier == nil:
		return c, nil
	case c.Trust == Unsigned:
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: %w: a signature of %s is asked for", c.Origin, ErrUnsigned, verifier.Name())
	}
	if _, err := note.Open(raw, note.VerifierList(verifier)); err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint of %s: %w: %s+%08x: %w", c.Origin, ErrBadSignature, verifier.Name(), verifier.KeyHash(), err)
	}
	c.Trust = Signed
	return c, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w checkpoint: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func parseCheckpoint(raw []byte) (Checkpoint, error) {
	if len(raw) > MaxCheckpoint {
		return Checkpoint{}, malformed("more than %d bytes", MaxCheckpoint)
	}
	text := string(raw)
	if !plain(text) {
		return Checkpoint{}, malformed("not valid UTF-8, or a control character")
	}
	// The text of a checkpoint has no empty line, so the first one ends it.
	body, signatures, signed := strings.Cut(text, "\n\n")
	if signed {
		body += "\n"
	}
	lines := strings.Split(body, "\n")
	if len(lines) != 4 || lines[3] != "" {
		// More lines would be extensions, which nobody can check.
		return Checkpoint{}, malformed("the text has not three lines")
	}
	c := Checkpoint{Origin: lines[0], Raw: bytes.Clone(raw)}
	if err := checkOrigin(c.Origin); err != nil {
		return Checkpoint{}, malformed("%v", err)
	}
	var err error
	if c.Size, err = parseNumber(lines[1]); err != nil || c.Size > MaxSize {
		return Checkpoint{}, malformed("size %q is not a number from 0 to %d", lines[1], int64(MaxSize))
	}
	if c.Root, err = parseHash(lines[2]); err != nil {
		return Checkpoint{}, malformed("root: %v", err)
	}
	if c.Size == 0 && c.Root != emptyRoot() {
		return Checkpoint{}, malformed("the root of no entries is another")
	}
	if !signed {
		return c, nil
	}
	c.Trust = Unchecked
	list := strings.Split(signatures, "\n")
	if len(list) < 2 || list[len(list)-1] != "" {
		return Checkpoint{}, malformed("no signature after the empty line")
	}
	list = list[:len(list)-1]
	if len(list) > MaxSignatures {
		return Checkpoint{}, malformed("more than %d signatures", MaxSignatures)
	}
	seen := map[string]bool{}
	for _, line := range list {
		rest, ok := strings.CutPrefix(line, "— ")
		name, encoded, _ := strings.Cut(rest, " ")
		sig, err := parseBase64(encoded)
		if !ok || err != nil || len(sig) < 5 || !validName(name) {
			return Checkpoint{}, malformed("signature line %+q", line)
		}
		key := name + " " + string(sig[:4])
		if seen[key] {
			return Checkpoint{}, malformed("two signatures of one key of %s", name)
		}
		seen[key] = true
	}
	return c, nil
}

// sign makes the checkpoint of a tree; without a signer it stays unsigned.
func sign(origin string, size int64, root Hash, signer note.Signer) (Checkpoint, error) {
	c := Checkpoint{Origin: origin, Size: size, Root: root}
	if signer == nil {
		c.Raw = []byte(c.body())
		return c, nil
	}
	raw, err := note.Sign(&note.Note{Text: c.body()}, signer)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("sign the checkpoint of %s: %w", origin, err)
	}
	c.Raw, c.Trust = raw, Signed
	return c, nil
}

// plain says that text is valid UTF-8 without control characters but newline.
func plain(text string) bool {
	for _, r := range text {
		if r < 0x20 && r != '\n' || r == 0x7f {
			return false
		}
	}
	return utf8.ValidString(text)
}

func validName(name string) bool {
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, unicode.IsSpace) < 0 && !strings.Contains(name, "+")
}

// checkOrigin is stricter than the specification, which only recommends this.
func checkOrigin(origin string) error {
	if !validName(origin) || !plain(origin) || len(origin) > MaxOrigin {
		return fmt.Errorf("origin %q is empty, too long, or has a space, a plus or a control character", origin)
	}
	return nil
}

// parseNumber reads a decimal number without a sign and without leading zeros.
func parseNumber(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || s != strconv.FormatInt(n, 10) {
		return 0, errors.New("not a number")
	}
	return n, nil
}

// parseBase64 takes the one form only: the last character of padded base64 has
// bits that do not count, which must be zero.
func parseBase64(s string) ([]byte, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodeToString(raw) != s {
		return nil, errors.New("not base64")
	}
	return raw, nil
}

func parseHash(s string) (Hash, error) {
	raw, err := parseBase64(s)
	if err != nil || len(raw) != merkle.HashSize {
		return Hash{}, fmt.Errorf("%q is not a hash in base64", s)
	}
	return Hash(raw), nil
}

func emptyRoot() Hash {
	root, _ := merkle.TreeHash(0, nil) // the empty tree reads nothing
	return root
}
