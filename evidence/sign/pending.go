package sign

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The names of files in a folder of pending statements: the SHA-256 of the
// statement in hex, then one of these.
const (
	StatementSuffix = ".intoto.json"
	BundleSuffix    = ".sigstore.json"

	tmpPrefix  = ".tmp-"
	maxPending = 10_000
)

// Pending keeps statements to be signed later, while the signing service is
// down. Nothing that it writes is a signature.
type Pending struct{ dir string }

// NewPending keeps statements in dir, which must be there.
func NewPending(dir string) *Pending { return &Pending{dir: dir} }

// Sign writes the statement down and returns no bundle but a refusal with
// reason [PendingSignature]: it is kept, and it is not signed. The file is the
// statement, byte for byte, and is there whole or not at all. To keep the
// same statement again changes nothing.
func (p *Pending) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	if err := signable(ctx, statement); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(p.dir)
	if err != nil {
		return nil, fmt.Errorf("pending: %w", err)
	}
	defer root.Close()
	name := digestOf(statement) + StatementSuffix
	if err := writeWhole(root, name, statement); err != nil {
		return nil, fmt.Errorf("pending: %w", err)
	}
	return nil, fmt.Errorf("pending: %w", strict.Refuse(PendingSignature, "", "the statement is kept in %s and is not signed yet", filepath.Join(p.dir, name)))
}

// Kind returns [KindPending].
func (*Pending) Kind() string { return KindPending }

// KeyID is empty: there is no key.
func (*Pending) KeyID() string { return "" }

// Completed is a statement that was pending and is signed now.
type Completed struct {
	// Digest is the SHA-256 of the statement, in hex.
	Digest    string
	Statement []byte
	Bundle    []byte
}

// Complete signs the statements that are pending in a folder, in the order of
// their names, each exactly as it was written. The bundle is put beside the
// statement, as <digest>.sigstore.json, and the pending file removed after
// that: whatever is interrupted in between is signed again.
//
// Who can write to the folder can put statements there. So a caller that
// knows which ones it wrote gives their digests as expected: then no other is
// signed, and each that is neither pending nor signed is reported as [Missing].
//
// A file that is not what its name says is never signed and stays. A signer
// that fails ends the work. Complete returns what was signed with an error for
// everything that was not; there is nothing pending exactly when it is nil.
func Complete(ctx context.Context, pendingDir string, signer Signer, expected ...string) ([]Completed, error) {
	if signer == nil || signer.Kind() == KindPending {
		return nil, fmt.Errorf("complete: %w", strict.Refuse(Unsigned, "", "a signer that signs is wanted"))
	}
	root, err := os.OpenRoot(pendingDir)
	if err != nil {
		return nil, fmt.Errorf("complete: %w", err)
	}
	defer root.Close()
	digests, signed, err := pendingIn(root)
	if err != nil {
		return nil, fmt.Errorf("complete: %w", err)
	}
	var done []Completed
	var problems []error
	for _, digest := range expected {
		if !slices.Contains(digests, digest) && !slices.Contains(signed, digest) {
			problems = append(problems, strict.Refuse(Missing, strict.Quote(digest), "the statement is neither pending nor signed"))
		}
	}
	for _, digest := range digests {
		if len(expected) > 0 && !slices.Contains(expected, digest) {
			problems = append(problems, strict.Refuse(Unexpected, digest, "nobody asked for this statement"))
			continue
		}
		name := digest + StatementSuffix
		raw, err := readRegular(root, name, statement.MaxBytes)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if digestOf(raw) != digest {
			problems = append(problems, strict.Refuse(DigestMismatch, name, "the statement is not the one that was written"))
			continue
		}
		bundle, err := completeOne(ctx, root, digest, raw, signer)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			break
		}
		done = append(done, Completed{Digest: digest, Statement: raw, Bundle: bundle})
	}
	if err := errors.Join(problems...); err != nil {
		return done, fmt.Errorf("complete: %w", err)
	}
	return done, nil
}

func completeOne(ctx context.Context, root *os.Root, digest string, raw []byte, signer Signer) ([]byte, error) {
	bundle, err := signer.Sign(ctx, raw)
	if err != nil {
		return nil, err
	}
	// A signer is code from elsewhere: what it returns is looked at before the
	// statement is forgotten.
	b, err := DecodeBundle(bundle)
	if err != nil {
		return nil, err
	}
	payload, err := b.Payload()
	if err != nil {
		return nil, err
	}
	if digestOf(payload) != digest {
		return nil, strict.Refuse(DigestMismatch, "dsseEnvelope.payload", "the signer signed another statement")
	}
	if err := writeWhole(root, digest+BundleSuffix, bundle); err != nil {
		return nil, err
	}
	return bundle, root.Remove(digest + StatementSuffix)
}

// pendingIn lists the digests of what is pending and of what is signed, sorted.
func pendingIn(root *os.Root) (pending, signed []string, err error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	for {
		entries, err := dir.ReadDir(256)
		for _, entry := range entries {
			if digest, ok := strings.CutSuffix(entry.Name(), StatementSuffix); ok && IsDigest(digest) {
				pending = append(pending, digest)
			} else if digest, ok := strings.CutSuffix(entry.Name(), BundleSuffix); ok && IsDigest(digest) {
				signed = append(signed, digest)
			}
		}
		if len(pending)+len(signed) > maxPending {
			return nil, nil, strict.Refuse(LimitExceeded, "", "more than %d files", maxPending)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	slices.Sort(pending)
	slices.Sort(signed)
	return pending, signed, nil
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// IsDigest says whether a name is that of a statement: a SHA-256 in lower-case hex.
func IsDigest(name string) bool {
	raw, err := hex.DecodeString(name)
	return err == nil && len(raw) == sha256.Size && strings.ToLower(name) == name
}

// readRegular reads a regular file of at most limit bytes.
func readRegular(root *os.Root, name string, limit int64) ([]byte, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	// Looked at before it is opened: to open a pipe would wait for a writer.
	if !before.Mode().IsRegular() {
		return nil, strict.Refuse(NotRegularFile, name, "it is not a regular file")
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if now, err := file.Stat(); err != nil || !os.SameFile(before, now) {
		return nil, strict.Refuse(NotRegularFile, name, "it was replaced while it was opened")
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, strict.Refuse(LimitExceeded, name, "more than %d bytes", limit)
	}
	return raw, nil
}

// writeWhole writes a file under a temporary name, flushes it, and renames it.
func writeWhole(root *os.Root, name string, content []byte) (err error) {
	var salt [8]byte
	if _, err := rand.Read(salt[:]); err != nil {
		return err
	}
	tmp := tmpPrefix + hex.EncodeToString(salt[:])
	file, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The first error is the one to tell.
			_ = file.Close()
			if gone := root.Remove(tmp); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	if _, err := file.Write(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(root)
}

// syncDir makes a rename last. Systems that cannot flush a folder say so, and
// the rename is in order there without it.
func syncDir(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil
}
