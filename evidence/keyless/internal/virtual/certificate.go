package virtual

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/url"
	"time"

	ct "github.com/google/certificate-transparency-go"
	"github.com/google/certificate-transparency-go/tls"
	ctx509 "github.com/google/certificate-transparency-go/x509"
	"github.com/google/certificate-transparency-go/x509util"
)

func segment(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

func unsegment(text string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(text) }

// Certify makes the certificate that the claims call for, valid for ten minutes.
func (s *Sigstore) Certify(claims Claims, key crypto.PublicKey) ([]byte, error) {
	const github = "https://github.com/"
	san, err := url.Parse(github + claims.JobWorkflowRef)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, URIs: []*url.URL{san},
		NotBefore: time.Now().Add(-10 * time.Second), NotAfter: time.Now().Add(10 * time.Minute),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}
	arc := asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1}
	repository := github + claims.Repository
	for _, extension := range []struct {
		number int
		value  string
	}{
		{8, claims.Issuer},
		{9, github + claims.JobWorkflowRef},
		{10, claims.JobWorkflowSHA},
		{11, claims.Runner},
		{12, repository},
		{13, claims.SHA},
		{14, claims.Ref},
		{15, claims.RepositoryID},
		{16, github + claims.RepositoryOwner},
		{17, claims.RepositoryOwnerID},
		{18, github + claims.WorkflowRef},
		{19, claims.WorkflowSHA},
		{20, claims.Event},
		{21, repository + "/actions/runs/" + claims.RunID + "/attempts/" + claims.RunAttempt},
		{22, claims.Visibility},
	} {
		value, err := asn1.MarshalWithParams(extension.value, "utf8")
		if err != nil {
			return nil, err
		}
		oid := append(append(asn1.ObjectIdentifier{}, arc...), extension.number)
		template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: oid, Value: value})
	}
	der, err := x509.CreateCertificate(rand.Reader, template, s.intermediate, key, s.intermediateKey)
	if err != nil || s.NoSCT {
		return der, err
	}
	// What is to be signed of the certificate is the same with and without the
	// timestamp, but for the timestamp itself, which comes last.
	list, err := s.certificateTimestamp(der)
	if err != nil {
		return nil, err
	}
	template.ExtraExtensions = append(template.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: list})
	return x509.CreateCertificate(rand.Reader, template, s.intermediate, key, s.intermediateKey)
}

// certificateTimestamp is the list of signed certificate timestamps (RFC 6962,
// section 3.3) for a certificate without one.
func (s *Sigstore) certificateTimestamp(der []byte) ([]byte, error) {
	parsed, err := ctx509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	key := s.ctKey
	if s.ForeignSCT {
		key = s.foreignKey
	}
	id, err := logID(key)
	if err != nil {
		return nil, err
	}
	sct := ct.SignedCertificateTimestamp{SCTVersion: ct.V1, Timestamp: uint64(time.Now().UnixMilli())}
	copy(sct.LogID.KeyID[:], id)
	input, err := ct.SerializeSCTSignatureInput(sct, ct.LogEntry{Leaf: ct.MerkleTreeLeaf{
		Version: ct.V1, LeafType: ct.TimestampedEntryLeafType,
		TimestampedEntry: &ct.TimestampedEntry{
			Timestamp: sct.Timestamp, EntryType: ct.PrecertLogEntryType,
			PrecertEntry: &ct.PreCert{
				IssuerKeyHash:  sha256.Sum256(s.intermediate.RawSubjectPublicKeyInfo),
				TBSCertificate: parsed.RawTBSCertificate,
			},
		},
	}})
	if err != nil {
		return nil, err
	}
	signature, err := tls.CreateSignature(*key, tls.SHA256, input)
	if err != nil {
		return nil, err
	}
	sct.Signature = ct.DigitallySigned(signature)
	list, err := x509util.MarshalSCTsIntoSCTList([]*ct.SignedCertificateTimestamp{&sct})
	if err != nil {
		return nil, err
	}
	raw, err := tls.Marshal(*list)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(raw)
}

// proven checks that who asks has the private key: a signature over the
// subject of the token.
func proven(key crypto.PublicKey, subject string, signature []byte) error {
	public, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return fmt.Errorf("a key of type %T", key)
	}
	digest := sha256.Sum256([]byte(subject))
	if !ecdsa.VerifyASN1(public, digest[:], bytes.Clone(signature)) {
		return fmt.Errorf("the proof of possession is wrong")
	}
	return nil
}
