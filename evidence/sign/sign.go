package sign

import (
	"context"
	"fmt"

	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Error is a refusal with a stable reason; [ReasonOf] finds it in a chain.
type Error = strict.Error

// Reason is the stable code of a refusal.
type Reason = strict.Reason

// The reasons for which a bundle is refused. Those of the JSON itself are
// those of package strict.
const (
	EmptyEvidence = strict.EmptyEvidence
	LimitExceeded = strict.LimitExceeded
	Malformed     = strict.Malformed
	DuplicateKey  = strict.DuplicateKey
	UnknownKey    = strict.UnknownKey
	Schema        = strict.Schema

	SignatureCount      Reason = "signature_count"      // not exactly one signature
	WrongPayloadType    Reason = "payload_type"         // the envelope is not of in-toto
	WrongPredicateType  Reason = "predicate_type"       // not the predicate that was asked for
	BadSignature        Reason = "bad_signature"        // the signature is not of this statement by this key
	UntrustedSigner     Reason = "untrusted_signer"     // no trusted key has that ID
	KeyExpired          Reason = "key_expired"          // the key's time is over, or it was revoked
	KeyNotYetValid      Reason = "key_not_yet_valid"    // the key's time has not come
	NoTime              Reason = "no_time"              // there is no time to compare a key's with
	MACOnly             Reason = "mac_only"             // a MAC, which whoever verifies could have made
	UnsupportedMaterial Reason = "unsupported_material" // a certificate, log entry or time that is not checked here
	DigestMismatch      Reason = "digest_mismatch"      // a pending statement is not what its name says
	NotRegularFile      Reason = "not_regular_file"     // a link, a device, a folder
	Missing             Reason = "missing"              // a pending statement that should be there
	Unexpected          Reason = "unexpected"           // a pending statement that nobody asked for
	PendingSignature    Reason = "pending_signature"    // written down, to be signed later
	WeakKey             Reason = "weak_key"             // a key or passphrase that protects nothing
	KeyUnusable         Reason = "key_unusable"         // not a key of a supported kind, or not the passphrase for it
	SecretsUnclear      Reason = "secrets_unclear"      // the environment says two things, or none that can be read
	Unsigned            Reason = "unsigned"             // no signer is configured
)

// ReasonOf is the reason of a refusal anywhere in the chain of err, or empty.
func ReasonOf(err error) Reason { return strict.ReasonOf(err) }

// The kinds of signers.
const (
	KindKey     = "key"
	KindHMAC    = "hmac"
	KindPending = "pending"
)

// ClassLocalMAC is what a MAC proves: that the statement was not changed
// since somebody with the key wrote it, and nothing to anybody else.
const ClassLocalMAC = "LOCAL_MAC"

// ClassSigned is what a signature proves.
const ClassSigned = "SIGNED"

// Signer signs statements. It is safe for use by many goroutines.
type Signer interface {
	// Sign returns a bundle over exactly these bytes. It refuses bytes that
	// are no statement.
	Sign(ctx context.Context, statement []byte) (bundle []byte, err error)
	// Kind is one of the kinds above, or that of a signer elsewhere.
	Kind() string
	// KeyID is what a reader finds the key by; empty where there is no key.
	KeyID() string
}

// signable refuses what no reader would take.
func signable(ctx context.Context, raw []byte) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	if _, err := statement.Decode(raw, statement.AnyPredicateType()); err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return nil
}
