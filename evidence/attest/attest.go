// Package attest signs the sealed folder of a run: it derives the statements
// that the run supports and puts bundles over them beside the index.
//
//	<run>/
//	    index.json           lists every file but those of attestations/
//	    record.json ...
//	    attestations/
//	        <sha256 of the statement>.sigstore.json   a signed statement
//	        <sha256 of the statement>.intoto.json     one that is still to be signed
//	        run.tlog-proof                            that the log has the index
//	        run.tlog-proof.entry                      the entry of the log
//
// The folder attestations speaks about the index, so the index cannot list it
// ([Outside]). Nothing in it is believed for being there: a statement counts
// when it is signed, is about this very index, and says what [Statements]
// derives from the record.
//
// The statements follow from the record and the index alone, to the byte. So
// one that could not be signed when the run ended is the same when it is signed
// later, and a reader derives them again.
package attest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
)

const (
	// Dir is the folder of what speaks about the index, in the run folder.
	Dir = "attestations"
	// ProofName is the name of the proof in it, EntryName that of the entry of
	// the log that the proof is about.
	ProofName = "run.tlog-proof"
	EntryName = ProofName + ".entry"
)

// Outside is what the index of a run does not list, for [seal.Options].
func Outside() []string { return []string{Dir + "/"} }

// Statements derives what a run folder supports: always a statement with our
// own predicate ([statement.GateType]), and a test result of in-toto unless the
// gate was skipped, passed in part, or the commit is not known. recordSHA256 is the digest of record.json in
// hex. The subjects of each are the index by its digest and the commit, with
// the difference of a dirty tree to it.
func Statements(record *evidence.Record, recordSHA256 string, index seal.Index) ([][]byte, error) {
	about := []statement.ResourceDescriptor{{
		Name: seal.IndexJSON, Digest: statement.DigestSet{"sha256": index.SHA256},
	}}
	detail := statement.GateDetail{Artifacts: about, RecordSHA256: recordSHA256}
	for _, file := range index.Files {
		if file.Role == seal.RoleLog {
			detail.Logs = append(detail.Logs, evidence.File{Path: file.Path, Size: file.Size, SHA256: file.SHA256})
		}
	}
	gate, err := statement.GateStatement(record, detail)
	if err != nil {
		return nil, fmt.Errorf("attest: %w", err)
	}
	list := []*statement.Statement{gate}
	if commit := record.Stable.Source.Commit; commit != "" {
		result, err := statement.GateResult(record, statement.About{
			Artifacts: about,
			Configuration: statement.ResourceDescriptor{
				URI:    statement.ConfigurationURI(record.Volatile.Origin, "magefiles"),
				Digest: statement.DigestSet{"gitCommit": commit},
			},
		})
		switch {
		case err == nil:
			list = append(list, result)
		case !errors.Is(err, statement.ErrNothingToState):
			return nil, fmt.Errorf("attest: %w", err)
		}
	}
	raw := make([][]byte, len(list))
	for i, s := range list {
		if raw[i], err = s.Encode(); err != nil {
			return nil, fmt.Errorf("attest: %w", err)
		}
	}
	return raw, nil
}

// Digest is the name of a statement: its SHA-256 in hex.
func Digest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Signed is what came of signing a folder.
type Signed struct {
	// Kind and KeyID are those of the signer.
	Kind, KeyID string
	// Bundles and Pending are the digests of the statements that were signed
	// by the signer and of those that are still to be.
	Bundles, Pending []string
	// Before are those that had a bundle before, which was left alone. Whether
	// that is good was not looked at.
	Before []Earlier
}

// Earlier is a bundle that was there before.
type Earlier struct {
	// Digest is that of the statement, By the ID of the key that the bundle
	// names, or [sign.KindKeyless] for one with a certificate.
	Digest, By string
}

// Sign signs the statements of the folder dir, which is sealed and was checked
// by the caller: record and index are its own. A statement that has a bundle
// already is left alone, and a bundle that is not of it is an error. Each is written down before it is signed, so a signer
// that fails leaves it pending; then the error is that of the signer, Signed
// says what is pending, and the same call signs it later. A [sign.Pending] or
// no signer at all only writes them down.
func Sign(ctx context.Context, dir string, record *evidence.Record, recordSHA256 string, index seal.Index, signer sign.Signer) (Signed, error) {
	statements, err := Statements(record, recordSHA256, index)
	if err != nil {
		return Signed{}, err
	}
	place, err := Make(dir)
	if err != nil {
		return Signed{}, err
	}
	signed := Signed{Kind: sign.KindPending}
	if signer != nil {
		signed.Kind, signed.KeyID = signer.Kind(), signer.KeyID()
	}
	var digests []string
	for _, raw := range statements {
		digest := Digest(raw)
		digests = append(digests, digest)
		switch by, err := signedBefore(place, digest); {
		case err != nil:
			return signed, fmt.Errorf("attest: %s: %w", digest+sign.BundleSuffix, err)
		case by != "":
			signed.Before = append(signed.Before, Earlier{digest, by})
			continue
		}
		if _, err := sign.NewPending(place).Sign(ctx, raw); sign.ReasonOf(err) != sign.PendingSignature {
			return signed, fmt.Errorf("attest: %w", err)
		}
	}
	if signer != nil && signer.Kind() != sign.KindPending {
		_, err = sign.Complete(ctx, place, signer, digests...)
	}
	for _, digest := range digests {
		if slices.ContainsFunc(signed.Before, func(e Earlier) bool { return e.Digest == digest }) {
			continue
		}
		if _, missing := os.Lstat(filepath.Join(place, digest+sign.BundleSuffix)); missing == nil {
			signed.Bundles = append(signed.Bundles, digest)
		} else {
			signed.Pending = append(signed.Pending, digest)
		}
	}
	if err != nil {
		return signed, fmt.Errorf("attest: %w", err)
	}
	return signed, nil
}

// Make makes the folder attestations of a run, unless it is there. One that is
// not a folder, such as a link to somewhere else, is refused.
func Make(dir string) (string, error) {
	place := filepath.Join(dir, Dir)
	err := os.Mkdir(place, 0o755)
	if errors.Is(err, os.ErrExist) {
		var info os.FileInfo
		if info, err = os.Lstat(place); err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", place)
		}
	}
	if err != nil {
		return "", fmt.Errorf("attestations: %w", err)
	}
	return place, nil
}

// signedBefore is whom the bundle of a statement names; empty without one.
func signedBefore(place, digest string) (string, error) {
	root, err := os.OpenRoot(place)
	if err != nil {
		return "", err
	}
	defer root.Close()
	raw, err := folder.ReadRegular(root, digest+sign.BundleSuffix, sign.MaxBundle)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	b, err := sign.DecodeBundle(raw)
	if err != nil {
		return "", err
	}
	payload, err := b.Payload()
	if err != nil {
		return "", err
	}
	if Digest(payload) != digest {
		return "", &sign.Error{Reason: sign.DigestMismatch, Detail: "the bundle is of another statement"}
	}
	if key := b.VerificationMaterial.PublicKey; key != nil {
		return key.Hint, nil
	}
	return sign.KindKeyless, nil
}

// Kept is a file of the folder attestations, by its form.
type Kept struct {
	// Name is that of the file.
	Name string
	// Digest is the statement's, from the name; empty for proof and entry.
	Digest string
	// Raw is what is in it.
	Raw []byte
}

// Contents are the files of the folder attestations, each in the order of their names.
type Contents struct {
	Bundles, Pending []Kept
	// Proof and Entry have no bytes when they are not there.
	Proof, Entry Kept
	// Foreign are the names of what has no business there.
	Foreign []string
}

// Limits of what is read back.
const (
	maxFiles = 1_000
	maxOther = 1 << 20
)

// Read reads the folder attestations of a run as if somebody hostile had filled
// it: regular files of known names, each of bounded size. Nothing is verified.
// A folder that is not there is empty.
func Read(dir string) (Contents, error) {
	var c Contents
	outer, err := os.OpenRoot(dir)
	if err != nil {
		return c, fmt.Errorf("attestations: %w", err)
	}
	defer outer.Close()
	switch info, err := outer.Lstat(Dir); {
	case errors.Is(err, os.ErrNotExist):
		return c, nil
	case err != nil:
		return c, fmt.Errorf("attestations: %w", err)
	case !info.IsDir():
		return c, fmt.Errorf("%s is not a folder", Dir)
	}
	root, err := outer.OpenRoot(Dir)
	if err != nil {
		return c, fmt.Errorf("attestations: %w", err)
	}
	defer root.Close()
	listing, err := root.Open(".")
	if err != nil {
		return c, fmt.Errorf("attestations: %w", err)
	}
	defer listing.Close()
	names, err := listing.Readdirnames(maxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return c, fmt.Errorf("attestations: %w", err)
	}
	if len(names) > maxFiles {
		return c, fmt.Errorf("attestations: %w: more than %d files", folder.ErrTooLarge, maxFiles)
	}
	slices.Sort(names)
	for _, name := range names {
		var to *[]Kept
		var one *Kept
		limit := int64(maxOther)
		digest, bundle := strings.CutSuffix(name, sign.BundleSuffix)
		pending := false
		if !bundle {
			digest, pending = strings.CutSuffix(name, sign.StatementSuffix)
		}
		switch {
		case bundle && sign.IsDigest(digest):
			to, limit = &c.Bundles, sign.MaxBundle
		case pending && sign.IsDigest(digest):
			to, limit = &c.Pending, statement.MaxBytes
		case name == ProofName:
			one, digest = &c.Proof, ""
		case name == EntryName:
			one, digest = &c.Entry, ""
		default:
			c.Foreign = append(c.Foreign, name)
			continue
		}
		raw, err := folder.ReadRegular(root, name, limit)
		if err != nil {
			return c, fmt.Errorf("attestations: %w", err)
		}
		kept := Kept{Name: name, Digest: digest, Raw: raw}
		if one != nil {
			*one = kept
		} else {
			*to = append(*to, kept)
		}
	}
	return c, nil
}
