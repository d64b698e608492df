// Package virtual is a Sigstore of one's own for tests: a certificate
// authority, a certificate log, transparency logs of both versions, a
// timestamp authority and an issuer of GitHub-like identity tokens, behind one
// HTTP handler, with keys that live as long as the process.
//
// It does what the real services do as far as a client and a verifier can see,
// so that what is tested is the real client and the real verifier. It trusts
// every token: nothing that it signs proves anything.
package virtual

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	prototrustroot "github.com/sigstore/protobuf-specs/gen/pb-go/trustroot/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// Host is the name of the logs. The origin of their checkpoints follows from it.
const Host = "rekor.example.com"

// Sigstore is the services and their keys. The fields may be set before it is
// used, to have it do what an honest Sigstore does not.
type Sigstore struct {
	// LogTime is when the log says that an entry came; now if nil.
	LogTime func() time.Time
	// StampTime is what the timestamp authority says; now if nil.
	StampTime func() time.Time
	// NoSCT leaves the timestamp of the certificate log out of certificates.
	NoSCT bool
	// ForeignSCT has it made by a log that nobody trusts.
	ForeignSCT bool

	root, intermediate *x509.Certificate
	intermediateKey    *ecdsa.PrivateKey
	tsaIntermediate    *x509.Certificate
	tsaLeaf            *x509.Certificate
	tsaKey             *ecdsa.PrivateKey
	rekorKey           *ecdsa.PrivateKey
	ctKey, foreignKey  *ecdsa.PrivateKey
	started            time.Time

	mu      sync.Mutex
	leaves  [][]byte          // hashes of the leaves of the log
	entries map[string][]byte // response of Rekor v1, by hash of the entry
}

// New makes keys and certificates.
func New() (*Sigstore, error) {
	s := &Sigstore{started: time.Now(), entries: map[string][]byte{}}
	var rootKey *ecdsa.PrivateKey
	var err error
	if s.root, rootKey, err = ca.GenerateRootCa(); err != nil {
		return nil, err
	}
	if s.intermediate, s.intermediateKey, err = ca.GenerateFulcioIntermediate(s.root, rootKey); err != nil {
		return nil, err
	}
	var tsaIntermediateKey *ecdsa.PrivateKey
	if s.tsaIntermediate, tsaIntermediateKey, err = ca.GenerateTSAIntermediate(s.root, rootKey); err != nil {
		return nil, err
	}
	for _, key := range []**ecdsa.PrivateKey{&s.tsaKey, &s.rekorKey, &s.ctKey, &s.foreignKey} {
		if *key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	s.tsaLeaf, err = ca.GenerateTSALeafCert(s.started.Add(-time.Minute), s.tsaKey, s.tsaIntermediate, tsaIntermediateKey)
	if err != nil {
		return nil, err
	}
	// Something is in the log already, so that proofs have a hash in them.
	first := sha256.Sum256([]byte("\x00the first entry"))
	s.leaves = append(s.leaves, first[:])
	return s, nil
}

// TrustedRoot is the trusted_root.json of the services.
func (s *Sigstore) TrustedRoot() ([]byte, error) {
	from, to := s.started.Add(-time.Hour), s.started.Add(time.Hour)
	log := func(key *ecdsa.PrivateKey, url string) (string, *root.TransparencyLog, error) {
		id, err := logID(key)
		if err != nil {
			return "", nil, err
		}
		return fmt.Sprintf("%x", id), &root.TransparencyLog{
			BaseURL: url, ID: id, ValidityPeriodStart: from, ValidityPeriodEnd: to,
			HashFunc: crypto.SHA256, PublicKey: key.Public(), SignatureHashFunc: crypto.SHA256,
		}, nil
	}
	rekorID, rekor, err := log(s.rekorKey, "https://"+Host)
	if err != nil {
		return nil, err
	}
	ctID, ct, err := log(s.ctKey, "https://ct.example.com")
	if err != nil {
		return nil, err
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01,
		[]root.CertificateAuthority{&root.FulcioCertificateAuthority{
			Root: s.root, Intermediates: []*x509.Certificate{s.intermediate},
			ValidityPeriodStart: from, ValidityPeriodEnd: to, URI: "https://fulcio.example.com",
		}},
		map[string]*root.TransparencyLog{ctID: ct},
		[]root.TimestampingAuthority{&root.SigstoreTimestampingAuthority{
			Root: s.root, Intermediates: []*x509.Certificate{s.tsaIntermediate}, Leaf: s.tsaLeaf,
			ValidityPeriodStart: from, ValidityPeriodEnd: to, URI: "https://tsa.example.com",
		}},
		map[string]*root.TransparencyLog{rekorID: rekor},
	)
	if err != nil {
		return nil, err
	}
	return compact(trusted)
}

// Services chooses what a signing configuration has.
type Services struct {
	// Rekor is the version of the transparency log, 1 or 2; 0 for no log.
	Rekor uint32
	// Timestamp adds the timestamp authority.
	Timestamp bool
}

// SigningConfig is the signing_config.json for the handler at that address.
func (s *Sigstore) SigningConfig(base string, with Services) ([]byte, error) {
	service := func(path string, version uint32) root.Service {
		return root.Service{URL: base + path, MajorAPIVersion: version, ValidityPeriodStart: s.started.Add(-time.Hour), Operator: "example.com"}
	}
	var logs, stamps []root.Service
	if with.Rekor != 0 {
		logs = append(logs, service("", with.Rekor))
	}
	if with.Timestamp {
		stamps = append(stamps, service("/api/v1/timestamp", 1))
	}
	one := root.ServiceConfiguration{Selector: prototrustroot.ServiceSelector_ANY}
	config, err := root.NewSigningConfig(root.SigningConfigMediaType02, []root.Service{service("", 1)}, nil, logs, one, stamps, one)
	if err != nil {
		return nil, err
	}
	return compact(config)
}

// compact drops the white space that the encoder of protobuf puts in at random.
func compact(v json.Marshaler) ([]byte, error) {
	raw, err := v.MarshalJSON()
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Claims are those of an identity token of GitHub Actions.
type Claims struct {
	Issuer            string `json:"iss"`
	Audience          string `json:"aud"`
	Subject           string `json:"sub"`
	Expires           int64  `json:"exp"`
	Repository        string `json:"repository"`
	RepositoryID      string `json:"repository_id"`
	RepositoryOwner   string `json:"repository_owner"`
	RepositoryOwnerID string `json:"repository_owner_id"`
	Visibility        string `json:"repository_visibility"`
	Workflow          string `json:"workflow"`
	WorkflowRef       string `json:"workflow_ref"`
	WorkflowSHA       string `json:"workflow_sha"`
	JobWorkflowRef    string `json:"job_workflow_ref"`
	JobWorkflowSHA    string `json:"job_workflow_sha"`
	Event             string `json:"event_name"`
	Ref               string `json:"ref"`
	SHA               string `json:"sha"`
	RunID             string `json:"run_id"`
	RunAttempt        string `json:"run_attempt"`
	Runner            string `json:"runner_environment"`
}

// ExampleClaims are those of a push to the main branch.
func ExampleClaims() Claims {
	const commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	const workflow = "dpone/dpone/.github/workflows/release.yml@refs/heads/main"
	return Claims{
		Issuer: "https://token.actions.githubusercontent.com", Audience: "sigstore", Subject: "repo:dpone/dpone:ref:refs/heads/main",
		Expires:    time.Now().Add(5 * time.Minute).Unix(),
		Repository: "dpone/dpone", RepositoryID: "1", RepositoryOwner: "dpone", RepositoryOwnerID: "2", Visibility: "public",
		Workflow: "release", WorkflowRef: workflow, WorkflowSHA: commit, JobWorkflowRef: workflow, JobWorkflowSHA: commit,
		Event: "push", Ref: "refs/heads/main", SHA: commit, RunID: "7", RunAttempt: "2", Runner: "github-hosted",
	}
}

// Token is an identity token with these claims. Its signature is empty: the
// virtual authority does not look at it.
func (c Claims) Token() (string, error) {
	payload, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return segment([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + segment(payload) + "." + segment([]byte("none")), nil
}

// claimsOf reads the claims of a token.
func claimsOf(token string) (Claims, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return Claims{}, fmt.Errorf("a token of %d parts", len(parts))
	}
	raw, err := unsegment(parts[1])
	if err != nil {
		return Claims{}, err
	}
	var claims Claims
	return claims, json.Unmarshal(raw, &claims)
}

func now(f func() time.Time) time.Time {
	if f != nil {
		return f()
	}
	return time.Now()
}

func logID(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	id := sha256.Sum256(der)
	return id[:], nil
}

// background is the context of calls that reach no network.
func background() context.Context { return context.Background() }
