package sign

import (
	"context"
	"time"
)

// KindKeyless is the kind of a signer whose key lives for one signature and
// whose certificate says who held it.
const KindKeyless = "keyless"

// The reasons for which a bundle with a certificate is refused, besides those
// of every bundle.
const (
	WrongIdentity      Reason = "wrong_identity"       // the certificate is of somebody else
	LogMissing         Reason = "log_missing"          // no entry of a transparency log, or too few
	LogMismatch        Reason = "log_mismatch"         // the log entry is of another bundle
	TimeInvalid        Reason = "time_invalid"         // no trusted time within the life of the certificate
	KeylessUnavailable Reason = "keyless_unavailable"  // the verifier of certificates could not be had; nothing was checked
	TrustRootMissing   Reason = "trusted_root_missing" // there is a certificate and no trusted root to check it with
)

// The reasons for which a signer without a key of its own has signed nothing.
// In both cases the statement is what it was, and is signed later byte for byte.
const (
	SigningUnavailable Reason = "signing_unavailable" // the signing service cannot be reached or is busy; a later try may succeed
	SigningRefused     Reason = "signing_refused"     // the signing service said no; a later try fails, too, unless something is changed
)

// Identity is what a certificate of Fulcio says about who signed, and when. The
// comments name the X.509 extensions, 1.3.6.1.4.1.57264.1.<n>. A field that the
// certificate does not have is empty, and matches no policy that asks for it.
type Identity struct {
	SAN              string    `json:"san"`                // subject alternative name: an URI or an e-mail address
	Issuer           string    `json:"issuer"`             // 8: of the OIDC token
	BuildSigner      string    `json:"build_signer"`       // 9: the workflow that signed, with its ref
	BuildSignerSHA   string    `json:"build_signer_sha"`   // 10
	Runner           string    `json:"runner"`             // 11: "github-hosted" or "self-hosted"
	Repository       string    `json:"repository"`         // 12: address of the source
	Commit           string    `json:"commit"`             // 13
	Ref              string    `json:"ref"`                // 14
	RepositoryID     string    `json:"repository_id"`      // 15
	RepositoryOwner  string    `json:"repository_owner"`   // 16
	BuildConfig      string    `json:"build_config"`       // 18: the workflow that was started, with its ref
	Trigger          string    `json:"trigger"`            // 20: "push", "pull_request", ...
	RunInvocationURI string    `json:"run_invocation"`     // 21: address of the run with its attempt
	SignedAt         time.Time `json:"signed_at,omitzero"` // the trusted time at which the signature was there
}

// CertificateVerifier checks bundles that were signed without a key of the
// signer's own. It lives outside of this package, because what it needs is heavy.
//
// It checks the chain of the certificate up to the trusted root, its signed
// certificate timestamp, that an entry of a transparency log is of this very
// bundle, that a trusted time lies within the life of the certificate, and the
// signature over the DSSE envelope. It returns the statement as signed, byte for
// byte, and who signed; whether that is somebody to believe is for the caller's
// policy. trustedRoot is a trusted_root.json of Sigstore. Every error holds an
// *[Error]; nothing is fetched from a network.
type CertificateVerifier interface {
	VerifyCertificate(ctx context.Context, bundle, trustedRoot []byte) (payload []byte, who Identity, err error)
}
