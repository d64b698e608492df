package keyless

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	httptransport "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekor "github.com/sigstore/rekor/pkg/generated/client"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// Options say how a [Signer] signs.
type Options struct {
	// SigningConfig is a signing_config.json of version 0.2, which says where
	// the services are; [PublicGood] if empty.
	SigningConfig []byte
	// TrustedRoot is a trusted_root.json. If it is there, a bundle is verified
	// as a reader would before it is returned.
	TrustedRoot []byte
	// Token gets the identity token.
	Token TokenSource
	// Timeout bounds one try of one request, and Total a whole signature; half
	// a minute and two minutes if 0.
	Timeout, Total time.Duration
	// Retries is how often a request is sent again; 3 if 0, none if negative.
	Retries int
	// Transport sends the requests; that of net/http if nil.
	Transport http.RoundTripper
}

// Signer signs with a key that lives for one signature. It is a [sign.Signer].
type Signer struct {
	o    Options
	now  func() time.Time
	wait func(ctx context.Context, d time.Duration) error
}

// NewSigner refuses a signing configuration that it cannot sign by.
func NewSigner(o Options) (*Signer, error) {
	if len(o.SigningConfig) == 0 {
		o.SigningConfig = []byte(PublicGood)
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Total <= 0 {
		o.Total = 2 * time.Minute
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Token == nil {
		return nil, fmt.Errorf("keyless: %w", strict.Refuse(sign.Unsigned, "", "there is no way to get an identity token"))
	}
	if _, err := choose(o.SigningConfig, time.Now()); err != nil {
		return nil, fmt.Errorf("keyless: %w", err)
	}
	return &Signer{o: o, now: time.Now, wait: sleep}, nil
}

// Kind returns [sign.KindKeyless].
func (*Signer) Kind() string { return sign.KindKeyless }

// KeyID is empty: the key is gone when the signature is there.
func (*Signer) KeyID() string { return "" }

// Sign returns a bundle over exactly these bytes. When a service cannot be
// had, or answers what cannot be used, the reason is
// [sign.SigningUnavailable]: nothing was signed, and the same bytes can be
// signed later. When one says no, it is [sign.SigningRefused]. When what they
// answer does not verify, it is that of the verification. Each call makes a
// new key and a new entry.
func (s *Signer) Sign(ctx context.Context, raw []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if _, err := statement.Decode(raw, statement.AnyPredicateType()); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Total)
	defer cancel()
	bundle, err := s.sign(ctx, raw)
	if errors.Is(err, errConflict) {
		// The log has the entry and did not say where. With a new key it is a
		// new entry.
		bundle, err = s.sign(ctx, raw)
	}
	if err != nil {
		return nil, fmt.Errorf("sign: %w", classify(err))
	}
	return bundle, nil
}

func (s *Signer) sign(ctx context.Context, raw []byte) (bundle []byte, err error) {
	// The libraries trust the answers of the services and dereference what
	// may be missing there.
	defer func() {
		if value := recover(); value != nil {
			bundle, err = nil, unavailable("", "the answer of a service cannot be read: %s", strict.Quote(fmt.Sprint(value)))
		}
	}()
	chosen, err := choose(s.o.SigningConfig, s.now())
	if err != nil {
		return nil, err
	}
	t := &transport{inner: s.o.Transport, ctx: ctx, timeout: s.o.Timeout, retries: max(s.o.Retries, 0), wait: s.wait}
	client := &http.Client{Transport: t}
	token, err := s.o.Token(ctx, client)
	if err != nil {
		return nil, err
	}
	key, err := sigstore.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, err
	}
	o := sigstore.BundleOptions{
		CertificateProvider:        sigstore.NewFulcio(&sigstore.FulcioOptions{BaseURL: strings.TrimSuffix(chosen.fulcio.URL, "/"), Timeout: -1, Transport: t}),
		CertificateProviderOptions: &sigstore.CertificateProviderOptions{IDToken: token},
		Context:                    ctx,
	}
	for _, service := range chosen.stamps {
		o.TimestampAuthorities = append(o.TimestampAuthorities, sigstore.NewTimestampAuthority(&sigstore.TimestampAuthorityOptions{URL: service.URL, Timeout: -1, Transport: t}))
	}
	for _, service := range chosen.logs {
		address, err := url.Parse(service.URL)
		if err != nil || address.Host == "" {
			return nil, strict.Refuse(sign.Schema, "rekorTlogUrls", "%s is not an address", strict.Quote(service.URL))
		}
		ro := &sigstore.RekorOptions{BaseURL: service.URL, Timeout: -1, Version: service.MajorAPIVersion}
		if service.MajorAPIVersion > 1 {
			ro.ClientV2 = &logV2{address: address, client: client}
		} else {
			base := address.Path
			if base == "" {
				base = rekor.DefaultBasePath
			}
			ro.Client = rekor.New(httptransport.NewWithClient(address.Host, base, []string{address.Scheme}, client), strfmt.Default).Entries
		}
		o.TransparencyLogs = append(o.TransparencyLogs, sigstore.NewRekor(ro))
	}
	made, err := sigstore.Bundle(&sigstore.DSSEData{Data: raw, PayloadType: sign.PayloadType}, key, o)
	if err != nil {
		return nil, err
	}
	if bundle, err = encode(made); err != nil {
		return nil, unavailable("", "an answer cannot be used: %s", strict.Quote(err.Error()))
	}
	if err := s.check(ctx, bundle, raw, key); err != nil {
		return nil, fmt.Errorf("what the services answered does not verify: %w", err)
	}
	return bundle, nil
}

// check looks at a new bundle as a reader would: services make mistakes, too,
// and an entry of a log that was there before may be of somebody else.
func (s *Signer) check(ctx context.Context, bundle, raw []byte, key *sigstore.EphemeralKeypair) error {
	read, err := open(bundle)
	if err != nil {
		return unavailable("", "an answer cannot be used: %s", strict.Quote(err.Error()))
	}
	if !bytes.Equal(read.payload, raw) {
		return strict.Refuse(sign.DigestMismatch, "dsseEnvelope.payload", "the statement is not the one that was given")
	}
	public, err := x509.MarshalPKIXPublicKey(key.GetPublicKey())
	if err != nil {
		return err
	}
	if !bytes.Equal(read.leaf.RawSubjectPublicKeyInfo, public) {
		return strict.Refuse(sign.BadSignature, "verificationMaterial.certificate", "it is for another key")
	}
	if len(s.o.TrustedRoot) == 0 {
		return nil
	}
	_, _, err = Verifier{}.VerifyCertificate(ctx, bundle, s.o.TrustedRoot)
	return err
}

// classify gives every error a reason and leaves out what the clients above
// the transport put around it, which may be an address with a secret in it.
func classify(err error) error {
	var refusal *strict.Error
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return unavailable("", "no answer within the time of the signature")
	case errors.Is(err, errConflict):
		return unavailable("", "the log says twice that it has the entry, and not where")
	}
	return unavailable("", "an answer cannot be used: %s", strict.Quote(err.Error()))
}

// encode writes a bundle of the library in the one form that is read here.
func encode(made *protobundle.Bundle) ([]byte, error) {
	raw, err := protojson.Marshal(made)
	if err != nil {
		return nil, err
	}
	// The encoder of protobuf puts in white space at random.
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, err
	}
	bundle, err := sign.DecodeBundle(out.Bytes())
	if err != nil {
		return nil, err
	}
	return bundle.Encode()
}

// errConflict says that a log of version 2 has the entry already.
var errConflict = errors.New("the log has the entry")

// logV2 puts entries into a log of version 2. The client of the library takes
// no transport.
type logV2 struct {
	address *url.URL
	client  *http.Client
}

// Add sends an entry and returns the proof that the log has it.
func (l *logV2) Add(ctx context.Context, entry any) (*protorekor.TransparencyLogEntry, error) {
	hashed, ok := entry.(*rekortiles.HashedRekordRequestV002)
	if !ok {
		return nil, fmt.Errorf("an entry of type %T", entry)
	}
	body, err := protojson.Marshal(&rekortiles.CreateEntryRequest{Spec: &rekortiles.CreateEntryRequest_HashedRekordRequestV002{HashedRekordRequestV002: hashed}})
	if err != nil {
		return nil, err
	}
	address := *l.address
	address.Path = path.Join("/", address.Path, "api/v2/log/entries")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := l.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	if _, err := answer.ReadFrom(response.Body); err != nil {
		return nil, err
	}
	if response.StatusCode == http.StatusConflict {
		return nil, errConflict
	}
	var added protorekor.TransparencyLogEntry
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(answer.Bytes(), &added); err != nil {
		return nil, fmt.Errorf("the entry cannot be read: %w", err)
	}
	return &added, nil
}
