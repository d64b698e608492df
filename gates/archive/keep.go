package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/sign"
)

// EnvSigner names the variable that says who signs runs. Its values are those
// below; empty means the key or the MAC that the environment holds, if any.
const EnvSigner = "DPONE_SIGNER"

// The values of EnvSigner besides "".
const (
	SignerNone    = "none"           // nobody, whatever keys there are
	SignerKey     = sign.KindKey     // the key; it is an error when there is none
	SignerHMAC    = sign.KindHMAC    // the local MAC, even when there is a key
	SignerKeyless = sign.KindKeyless // an identity of the surroundings
	SignerPending = sign.KindPending // nobody now: statements are written down and signed later
)

// chooseSigner is who signs, or nil for nobody. The descriptor that a key comes
// from is read and closed, so this is done once. An error is the caller's misuse.
func (o Options) chooseSigner() (sign.Signer, error) {
	which := o.Getenv(EnvSigner)
	switch which {
	case SignerNone:
		return nil, nil
	case SignerPending:
		return sign.NewPending(""), nil
	case SignerKeyless:
		if o.Keyless == nil {
			return nil, fmt.Errorf("%s=%s: there is no keyless signer here", EnvSigner, which)
		}
		return o.Keyless()
	case "", SignerKey, SignerHMAC:
	default:
		return nil, fmt.Errorf("%s is %q: write %s, %s, %s, %s or %s", EnvSigner, which, SignerNone, SignerKey, SignerHMAC, SignerKeyless, SignerPending)
	}
	secrets, err := sign.FromEnvironment(o.Getenv, openFD)
	if err != nil {
		return nil, err
	}
	if which == SignerHMAC {
		mac, err := sign.NewMAC(secrets.MACKey())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sign.EnvMACKey, err)
		}
		return mac, nil
	}
	signer, err := secrets.Signer()
	switch {
	case sign.ReasonOf(err) == sign.Unsigned && which == "":
		return nil, nil
	case err != nil:
		return nil, err
	case which == SignerKey && signer.Kind() != sign.KindKey:
		return nil, fmt.Errorf("%s=%s: set %s or %s", EnvSigner, which, sign.EnvKey, sign.EnvKeyFD)
	}
	return signer, nil
}

// openFD takes a descriptor that the process was started with. To close it
// takes it away from children, too.
func openFD(fd int) (io.ReadCloser, error) {
	if !inherited(fd) {
		return nil, os.ErrInvalid // to read it could wait for ever, to close it break what it is of
	}
	file := os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd))
	if file == nil {
		return nil, os.ErrInvalid
	}
	return file, nil
}

// Keeper puts the runs of gates into the log and signs them, as the
// environment says.
type Keeper struct {
	options Options
	signer  sign.Signer
	// unsigned says why nobody signs although somebody was to.
	unsigned string
	noteKey  note.Signer
	verifier note.Verifier
}

// NewKeeper reads the keys, before anything runs: one that cannot be used is a
// [*gates.UsageError]. Of the options it takes Getenv and Keyless.
func NewKeeper(o Options) (*Keeper, error) {
	const command = "keep the evidence"
	k := &Keeper{options: o}
	var err error
	k.signer, err = o.chooseSigner()
	switch {
	case o.Getenv(EnvSigner) == SignerKeyless && sign.ReasonOf(err) == sign.Unsigned:
		// A pull request from a fork gets no identity. Its run is as good as any
		// other, and honestly unsigned.
		k.unsigned = fmt.Sprintf("not signed: %v", err)
	case err != nil:
		return nil, usage(command, "%v", err)
	}
	if k.noteKey, k.verifier, err = o.logKeys(command); err != nil {
		return nil, err
	}
	return k, nil
}

// Signer is who signs; nil for nobody.
func (k *Keeper) Signer() sign.Signer { return k.signer }

// Keep appends a sealed run folder to the log and signs its statements; it is
// what [gates.Options].Keep wants. It returns a line about each. A signing
// service that does not answer is no error: the statements are pending and the
// line says so. A log that cannot take the run is one.
func (k *Keeper) Keep(ctx context.Context, artifacts, folder string) ([]string, error) {
	o := k.options
	o.Root, o.Artifacts, o.Log = folder, artifacts, filepath.Join(artifacts, LogDir)
	r := newResult("keep the evidence", folder)
	record, digest := r.chain(ctx, o, k.noteKey, k.verifier)
	var said []string
	if r.Log != nil && r.Entry != nil {
		trust := "unsigned"
		if k.noteKey != nil {
			trust = "signed by " + k.noteKey.Name()
		}
		said = append(said, fmt.Sprintf("entry %d of the log %s, %s", r.Entry.Number, r.Log.Origin, trust))
	}
	if k.unsigned != "" {
		said = append(said, k.unsigned)
	}
	if record != nil && k.signer != nil {
		line, err := r.sign(ctx, folder, record, digest, k.signer)
		if err != nil {
			return said, err
		}
		said = append(said, line)
	}
	var problems []error
	for _, p := range append(r.Problems, r.Unverified...) {
		problems = append(problems, fmt.Errorf("%s: %s", p.Code, p.Detail))
	}
	return said, errors.Join(problems...)
}

// sign signs the statements of a verified folder and says what came of it. The
// error is not that of the signer, whose statements are pending then.
func (r *Result) sign(ctx context.Context, folder string, record *evidence.Record, digest string, signer sign.Signer) (string, error) {
	signed, err := attest.Sign(ctx, folder, record, digest, *r.index, signer)
	r.Signed = &Signed{Kind: signed.Kind, KeyID: signed.KeyID, Bundles: signed.Bundles, Pending: signed.Pending}
	others := ""
	for _, e := range signed.Before {
		r.Signed.Before = append(r.Signed.Before, Earlier{e.Digest, e.By})
		if e.By != signed.KeyID && (e.By != sign.KindKeyless || signed.Kind != sign.KindKeyless) {
			others = e.By
		}
	}
	switch {
	case len(signed.Pending) > 0 && signer.Kind() == sign.KindPending:
		return count(len(signed.Pending), "statement") + " to be signed later: mage evidence:sign -root=" + folder, nil
	case len(signed.Pending) > 0:
		return fmt.Sprintf("NOT signed, %s pending: %v; later: mage evidence:sign -root=%s", count(len(signed.Pending), "statement"), err, folder), nil
	case err != nil:
		return "", err
	}
	by := signed.Kind
	if signed.KeyID != "" {
		by += " " + signed.KeyID
	}
	line := fmt.Sprintf("%s signed by %s", count(len(signed.Bundles), "statement"), by)
	if n := len(signed.Before); n > 0 {
		line += fmt.Sprintf("; %s had a bundle before, which stays as it is", count(n, "statement"))
	}
	if others != "" {
		r.unverified(CodeUnsigned, "a bundle names another signer, %s: remove it from %s to have the statement signed anew", others, attest.Dir)
	}
	return line, nil
}

// Signed is what came of signing.
type Signed struct {
	Kind  string `json:"kind"`
	KeyID string `json:"key_id,omitempty"`
	// Bundles and Pending are the digests of the statements that are signed and
	// of those that are not yet.
	Bundles []string `json:"bundles"`
	Pending []string `json:"pending"`
	// Before are statements that had a bundle before, and whom it names.
	Before []Earlier `json:"before,omitempty"`
}

// Earlier is a bundle that was there before. Whether it is good is for evidence:verify.
type Earlier struct {
	Statement string `json:"statement"`
	By        string `json:"by"`
}

// Sign signs the statements of the sealed run folder Root: those that a run
// left pending, byte for byte, or all when nobody signed it so far. What is
// signed already stays as it is.
func Sign(ctx context.Context, o Options) error {
	const command = "evidence:sign"
	o, err := o.prepare(command, "root", o.Root)
	if err != nil {
		return err
	}
	signer, err := o.chooseSigner()
	if err != nil {
		return usage(command, "%v", err)
	}
	if signer == nil || signer.Kind() == sign.KindPending {
		return usage(command, "no signer is configured: set %s or %s to a key of evidence:keygen, or %s=%s in a workflow with id-token: write", sign.EnvKey, sign.EnvKeyFD, EnvSigner, SignerKeyless)
	}
	r := newResult(command, o.Root)
	if !r.isFolder(o.Root) {
		return r.finish(o)
	}
	index := r.verifyFiles(ctx, o.Root)
	if index == nil {
		return r.finish(o)
	}
	record, digest := r.readRecord(o.Root, *index)
	if record == nil {
		return r.finish(o)
	}
	line, err := r.sign(ctx, o.Root, record, digest, signer)
	switch reason := sign.ReasonOf(err); {
	case err != nil && reason != "":
		r.check("signature", evidence.Fail, "nothing is signed over what is there")
		r.problem(string(reason), attest.Dir, "%v", err)
	case err != nil:
		return fmt.Errorf("%s: %w", command, err)
	case len(r.Signed.Pending) > 0:
		r.check("signature", evidence.Unverified, "%s", line)
		r.unverified(CodePending, "%s", line)
	case len(r.Unverified) > 0:
		r.check("signature", evidence.Unverified, "%s", line)
	default:
		r.check("signature", evidence.Pass, "%s", line)
	}
	return r.finish(o)
}

// prove leaves the proof that the log has the run in the folder, so that it
// verifies without the log. A proof of an earlier state of the log stays.
func (r *Result) prove(dir string, proof, entry []byte) {
	place, err := attest.Make(dir)
	files := []newFile{{filepath.Join(place, attest.EntryName), entry, 0o644}, {filepath.Join(place, attest.ProofName), proof, 0o644}}
	for _, f := range files {
		if err == nil {
			err = f.write()
		}
		if errors.Is(err, os.ErrExist) {
			// Both are written in this order; an entry alone is that of a crash.
			if old, unread := folder.ReadIn(place, filepath.Base(f.path), maxKept); unread == nil && (bytes.Equal(old, f.content) || f.path == files[1].path) {
				err = nil
			}
		}
	}
	if err != nil {
		r.problem(CodeLogUnread, "", "the proof cannot be written: %v", err)
	}
}

// maxKept bounds a proof or an entry that is read back, in bytes.
const maxKept = 1 << 20
