package keyless

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"net/url"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Verifier verifies bundles with a certificate. It is a [sign.CertificateVerifier],
// holds no state, and may be used by many goroutines.
type Verifier struct{}

// VerifyCertificate is described at [sign.CertificateVerifier]. It looks at
// the form of the bundle first, then at the signature, the certificate, its
// log, the entries of transparency logs and the times, and stops at the first
// defect, so that each has the reason of its own; in the end sigstore-go has
// the last word on the whole.
func (Verifier) VerifyCertificate(ctx context.Context, raw, trustedRoot []byte) (payload []byte, who sign.Identity, err error) {
	// What the libraries do with what they read is theirs; a crash of theirs is
	// a refusal of ours.
	defer func() {
		if value := recover(); value != nil {
			payload, who, err = nil, sign.Identity{}, fmt.Errorf("verify: %w", strict.Refuse(sign.Malformed, "", "it cannot be read: %s", strict.Quote(fmt.Sprint(value))))
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, sign.Identity{}, fmt.Errorf("verify: %w", err)
	}
	payload, who, err = verifyBundle(raw, trustedRoot)
	if err != nil {
		return nil, sign.Identity{}, fmt.Errorf("verify: %w", err)
	}
	return payload, who, nil
}

func verifyBundle(raw, trustedRoot []byte) ([]byte, sign.Identity, error) {
	none := sign.Identity{}
	o, err := open(raw)
	if err != nil {
		return nil, none, err
	}
	trusted, err := readRoot(trustedRoot)
	if err != nil {
		return nil, none, err
	}
	if len(o.entries) == 0 {
		return nil, none, strict.Refuse(sign.LogMissing, "verificationMaterial.tlogEntries", "there is no entry of a transparency log")
	}
	entity := &bundle.Bundle{}
	if err := entity.UnmarshalJSON(raw); err != nil {
		return nil, none, strict.Refuse(sign.Schema, "", "%s", strict.Quote(err.Error()))
	}
	c := &check{opened: o, trusted: trusted, entity: entity}
	if c.content, err = entity.VerificationContent(); err != nil {
		return nil, none, strict.Refuse(sign.Schema, "verificationMaterial.certificate", "%s", strict.Quote(err.Error()))
	}
	for _, step := range []func() error{c.signature, c.chain, c.certificateLog, c.log, c.times} {
		if err := step(); err != nil {
			return nil, none, err
		}
	}
	summary, err := c.all()
	if err != nil {
		return nil, none, err
	}
	if _, err := statement.Decode(o.payload, statement.AnyPredicateType(), statement.AllowV01()); err != nil {
		return nil, none, err
	}
	return o.payload, identity(summary, c.seen), nil
}

// readRoot reads what the reader trusts, which is the reader's own file.
func readRoot(raw []byte) (*root.TrustedRoot, error) {
	if len(raw) == 0 {
		return nil, strict.Refuse(sign.TrustRootMissing, "trusted_root", "there is a certificate and nothing to check it with")
	}
	if len(raw) > wire.MaxTrustedRoot {
		return nil, strict.Refuse(sign.LimitExceeded, "trusted_root", "%d bytes, at most %d", len(raw), wire.MaxTrustedRoot)
	}
	trusted, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, strict.Refuse(sign.Malformed, "trusted_root", "%s", strict.Quote(err.Error()))
	}
	return trusted, nil
}

// check is one verification.
type check struct {
	*opened
	trusted *root.TrustedRoot
	entity  *bundle.Bundle
	content verify.VerificationContent
	// logged are the times of the logs, and seen is the earliest of all times.
	logged []root.Timestamp
	seen   time.Time
}

// signature holds that the key of the certificate signed the envelope.
func (c *check) signature() error {
	content, err := c.entity.SignatureContent()
	if err != nil {
		return strict.Refuse(sign.Schema, "dsseEnvelope", "%s", strict.Quote(err.Error()))
	}
	if err := verify.VerifySignature(content, c.content, c.trusted); err != nil {
		return strict.Refuse(sign.BadSignature, "dsseEnvelope.signatures[0].sig", "it is not a signature of this statement by the key of the certificate")
	}
	return nil
}

// chain holds that a trusted authority issued the certificate.
func (c *check) chain() error {
	if _, err := c.chainAt(c.leaf.NotBefore); err != nil {
		return strict.Refuse(sign.UntrustedSigner, "verificationMaterial.certificate", "no trusted authority issued it: %s", strict.Quote(err.Error()))
	}
	return nil
}

func (c *check) chainAt(at time.Time) ([][]*x509.Certificate, error) {
	// A fresh copy: the library changes what it is given.
	leaf, err := x509.ParseCertificate(c.leaf.Raw)
	if err != nil {
		return nil, err
	}
	return verify.VerifyLeafCertificate(at, leaf, c.trusted)
}

// sctList is the extension with the timestamps of certificate logs (RFC 6962, section 3.3).
var sctList = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// certificateLog holds that the certificate was in a trusted certificate log.
func (c *check) certificateLog() error {
	const field = "verificationMaterial.certificate"
	found := false
	for _, extension := range c.leaf.Extensions {
		found = found || extension.Id.Equal(sctList)
	}
	if !found {
		return strict.Refuse(sign.LogMissing, field, "it has no timestamp of a certificate log")
	}
	chains, err := c.chainAt(c.leaf.NotBefore)
	if err == nil {
		err = verify.VerifySignedCertificateTimestamp(chains, 1, c.trusted)
	}
	if err != nil {
		return strict.Refuse(sign.LogMismatch, field, "its timestamp of a certificate log is of no trusted log, or of another certificate")
	}
	return nil
}

// log holds that every entry is of this bundle and in a trusted log.
func (c *check) log() error {
	const field = "verificationMaterial.tlogEntries"
	entries, err := c.entity.TlogEntries()
	if err != nil || len(entries) != len(c.entries) {
		return strict.Refuse(sign.Schema, field, "the entries cannot be read")
	}
	logs := c.trusted.RekorLogs()
	seen := map[string]bool{}
	for i, entry := range entries {
		place := fmt.Sprintf("%s[%d]", field, i)
		id := hex.EncodeToString(c.entries[i].LogID.KeyID)
		log, ok := logs[id]
		if !ok {
			return strict.Refuse(sign.LogMissing, place, "no trusted log has the ID %s", id)
		}
		if seen[id] {
			return strict.Refuse(sign.LogMismatch, place, "an earlier entry is of the same log")
		}
		seen[id] = true
		if !entry.IsRekorV2() {
			continue
		}
		// The library rebuilds the entry from the bundle and does not look at
		// the one that is there, nor at where the proof says it is.
		if c.entries[i].LogIndex != c.entries[i].InclusionProof.LogIndex || c.entries[i].IntegratedTime != 0 || c.entries[i].InclusionPromise != nil {
			return strict.Refuse(sign.LogMismatch, place, "an entry of version 2 has one index, no promise and no time")
		}
		if err := includes(log, entry); err != nil {
			return strict.Refuse(sign.LogMismatch, place, "%s", strict.Quote(err.Error()))
		}
	}
	c.logged, err = verify.VerifyTlogEntry(c.entity, c.trusted, len(entries), true)
	if err == nil {
		return nil
	}
	for i, entry := range entries {
		// A time that the log did sign, and that is not within the life of the
		// certificate, is what the library stumbles over in the end.
		at := entry.IntegratedTime()
		if !at.IsZero() && entry.HasInclusionPromise() && tlog.VerifySET(entry, logs) == nil && !c.lives(at) {
			return c.late(fmt.Sprintf("%s[%d]", field, i), at)
		}
	}
	return strict.Refuse(sign.LogMismatch, field, "%s", strict.Quote(err.Error()))
}

// includes holds that a log of version 2 has the entry that is in the bundle.
func includes(log *root.TransparencyLog, entry *tlog.Entry) error {
	address, err := url.Parse(log.BaseURL)
	if err != nil {
		return err
	}
	verifier, err := signature.LoadVerifier(log.PublicKey, log.SignatureHashFunc)
	if err != nil {
		return err
	}
	return tlog.VerifyCheckpointAndInclusion(entry, verifier, address.Hostname())
}

// times holds that there is a trusted time, that every timestamp is of a
// trusted authority and of this signature, and that all of them are within the
// life of the certificate.
func (c *check) times() error {
	const field = "verificationMaterial.timestampVerificationData"
	stamps, problems, err := verify.VerifySignedTimestamp(c.entity, c.trusted)
	if err != nil {
		return strict.Refuse(sign.Schema, field, "%s", strict.Quote(err.Error()))
	}
	if len(problems) > 0 || len(stamps) != c.stamps {
		return strict.Refuse(sign.TimeInvalid, field, "a timestamp is of no trusted authority, of another signature, or of an authority that is there twice")
	}
	for _, stamp := range stamps {
		c.logged = append(c.logged, *stamp)
	}
	if len(c.logged) == 0 {
		return strict.Refuse(sign.TimeInvalid, field, "nothing says when the signature was made")
	}
	for _, stamp := range c.logged {
		if !c.lives(stamp.Time) {
			return c.late("verificationMaterial", stamp.Time)
		}
		if _, err := c.chainAt(stamp.Time); err != nil {
			return strict.Refuse(sign.TimeInvalid, "verificationMaterial", "at %s the authority of the certificate was not in force", stamp.Time.UTC().Format(time.RFC3339))
		}
		if c.seen.IsZero() || stamp.Time.Before(c.seen) {
			c.seen = stamp.Time
		}
	}
	return nil
}

func (c *check) lives(at time.Time) bool {
	return !at.Before(c.leaf.NotBefore) && !at.After(c.leaf.NotAfter)
}

func (c *check) late(field string, at time.Time) error {
	return strict.Refuse(sign.TimeInvalid, field, "signed at %s, and the certificate lives from %s to %s", at.UTC().Format(time.RFC3339),
		c.leaf.NotBefore.UTC().Format(time.RFC3339), c.leaf.NotAfter.UTC().Format(time.RFC3339))
}

// all is the verification of sigstore-go as its users know it: nothing is
// accepted that it refuses.
func (c *check) all() (*certificate.Summary, error) {
	verifier, err := verify.NewVerifier(c.trusted, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate())
	if err != nil {
		return nil, strict.Refuse(sign.Schema, "", "%s", strict.Quote(err.Error()))
	}
	// Who it must be and what it must be about are for the caller.
	result, err := verifier.Verify(c.entity, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return nil, strict.Refuse(sign.BadSignature, "", "%s", strict.Quote(err.Error()))
	}
	if result.Signature == nil || result.Signature.Certificate == nil || !bytes.Equal(c.entity.GetDsseEnvelope().GetPayload(), c.payload) {
		return nil, strict.Refuse(sign.BadSignature, "", "what was verified is not what was read")
	}
	return result.Signature.Certificate, nil
}

// identity takes over what a policy may ask for.
func identity(s *certificate.Summary, at time.Time) sign.Identity {
	return sign.Identity{
		SAN:              s.SubjectAlternativeName,
		Issuer:           s.Issuer,
		BuildSigner:      s.BuildSignerURI,
		BuildSignerSHA:   s.BuildSignerDigest,
		Runner:           s.RunnerEnvironment,
		Repository:       s.SourceRepositoryURI,
		Commit:           s.SourceRepositoryDigest,
		Ref:              s.SourceRepositoryRef,
		RepositoryID:     s.SourceRepositoryIdentifier,
		RepositoryOwner:  s.SourceRepositoryOwnerURI,
		BuildConfig:      s.BuildConfigURI,
		Trigger:          s.BuildTrigger,
		RunInvocationURI: s.RunInvocationURI,
		SignedAt:         at.UTC(),
	}
}
