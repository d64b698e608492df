package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/dsse"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/statement"
)

// envelopeBy is a genuine DSSE signature by the key of the package comment
// over any payload of any type, in a bundle.
func envelopeBy(t testing.TB, payloadType string, payload []byte) []byte {
	t.Helper()
	seed := sha256.Sum256([]byte("dpone example key"))
	signer, err := signature.LoadSigner(ed25519.NewKeyFromSeed(seed[:]), crypto.SHA256)
	assert.NilError(t, err)
	raw, err := dsse.WrapSigner(signer, payloadType).SignMessage(bytes.NewReader(payload))
	assert.NilError(t, err)
	b := Bundle{MediaType: MediaType, VerificationMaterial: VerificationMaterial{PublicKey: &PublicKey{Hint: exampleKey(t).KeyID()}}}
	assert.NilError(t, json.Unmarshal(raw, &b.Envelope))
	out, err := json.Marshal(b)
	assert.NilError(t, err)
	return out
}

// Each of these is a good bundle with one thing wrong.
func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	k, other := exampleKey(t), ecdsaKey(t)
	raw := claim(t)
	good := signed(t, k, raw)
	foreign := signed(t, other, raw)
	trust := trustIn(t, k)
	_, err := VerifyBundle(good, trust, Options{At: now})
	assert.NilError(t, err)

	changed := bytes.Replace(raw, []byte("v1.2.3"), []byte("v1.2.4"), 1)
	text := string(good)
	replace := func(old, new string) []byte {
		bad := strings.Replace(text, old, new, 1)
		assert.Assert(t, bad != text, "%s", old)
		return []byte(bad)
	}
	edit := func(change func(*Bundle)) []byte { return edited(t, good, change) }
	by := func(payload string) []byte { return envelopeBy(t, PayloadType, []byte(payload)) }
	for name, c := range map[string]struct {
		bundle []byte
		reason Reason
	}{
		"statement changed by one byte": {edit(func(b *Bundle) { b.Envelope.Payload = encoded(changed) }), BadSignature},
		"signature of another statement": {edit(func(b *Bundle) {
			var o Bundle
			assert.NilError(t, json.Unmarshal(envelopeBy(t, PayloadType, changed), &o))
			b.Envelope.Signatures = o.Envelope.Signatures
		}), BadSignature},
		"signature by another key":            {edited(t, foreign, func(b *Bundle) { b.VerificationMaterial.PublicKey.Hint = k.KeyID() }), BadSignature},
		"wrong key":                           {foreign, UntrustedSigner},
		"hint of another key":                 {edit(func(b *Bundle) { b.VerificationMaterial.PublicKey.Hint = other.KeyID() }), UntrustedSigner},
		"empty hint":                          {edit(func(b *Bundle) { b.VerificationMaterial.PublicKey.Hint = "" }), Schema},
		"short signature":                     {edit(func(b *Bundle) { b.Envelope.Signatures[0].Sig = "AAAA" }), BadSignature},
		"payload type changed":                {edit(func(b *Bundle) { b.Envelope.PayloadType = "application/json" }), WrongPayloadType},
		"payload type in other case":          {edit(func(b *Bundle) { b.Envelope.PayloadType = "application/vnd.in-toto+JSON" }), WrongPayloadType},
		"foreign payload type, genuine":       {envelopeBy(t, "application/octet-stream", raw), WrongPayloadType},
		"foreign payload type, relabelled":    {edited(t, envelopeBy(t, "application/octet-stream", raw), func(b *Bundle) { b.Envelope.PayloadType = PayloadType }), BadSignature},
		"two signatures":                      {edit(func(b *Bundle) { b.Envelope.Signatures = append(b.Envelope.Signatures, Signature{Sig: "AAAA"}) }), SignatureCount},
		"the same signature twice":            {edit(func(b *Bundle) { b.Envelope.Signatures = append(b.Envelope.Signatures, b.Envelope.Signatures[0]) }), SignatureCount},
		"no signature":                        {edit(func(b *Bundle) { b.Envelope.Signatures = []Signature{} }), SignatureCount},
		"very many signatures":                {edit(func(b *Bundle) { b.Envelope.Signatures = make([]Signature, 1000) }), LimitExceeded},
		"empty signature":                     {edit(func(b *Bundle) { b.Envelope.Signatures[0].Sig = "" }), Schema},
		"duplicate payload in the envelope":   {replace(`"payload":`, `"payload":"AAAA","payload":`), DuplicateKey},
		"duplicate signature in the envelope": {replace(`{"sig":`, `{"sig":"AAAA","sig":`), DuplicateKey},
		"duplicate envelope":                  {replace(`"dsseEnvelope":`, `"dsseEnvelope":{"payload":"","payloadType":"","signatures":[]},"dsseEnvelope":`), DuplicateKey},
		"PAYLOAD":                             {replace(`"payload":`, `"PAYLOAD":`), UnknownKey},
		"PAYLOAD beside payload":              {replace(`"payload":`, `"PAYLOAD":"AAAA","payload":`), UnknownKey},
		"MediaType":                           {replace(`"mediaType":`, `"MediaType":`), UnknownKey},
		"unknown key in the bundle":           {replace(`"mediaType":`, `"extra":1,"mediaType":`), UnknownKey},
		"unknown key in the envelope":         {replace(`"payload":`, `"extra":1,"payload":`), UnknownKey},
		"unknown key in the material":         {replace(`"publicKey":`, `"x509CertificateChain":{},"publicKey":`), UnknownKey},
		"message signature":                   {replace(`"dsseEnvelope":`, `"messageSignature":{},"dsseEnvelope":`), UnknownKey},
		"relabelled v0.1":                     {replace("bundle.v0.3+json", "bundle+json;version=0.1"), Schema},
		"relabelled v0.2":                     {replace("v0.3", "v0.2"), Schema},
		"key ID of another key":               {edit(func(b *Bundle) { b.Envelope.Signatures[0].KeyID = other.KeyID() }), Schema},
		"no material":                         {edit(func(b *Bundle) { b.VerificationMaterial.PublicKey = nil }), Schema},
		"certificate": {edit(func(b *Bundle) {
			b.VerificationMaterial = VerificationMaterial{Certificate: &Certificate{RawBytes: "AAAA"}}
		}), UnsupportedMaterial},
		"certificate and key":     {edit(func(b *Bundle) { b.VerificationMaterial.Certificate = &Certificate{RawBytes: "AAAA"} }), Schema},
		"log entry nobody checks": {edit(func(b *Bundle) { b.VerificationMaterial.TlogEntries = json.RawMessage(`[{}]`) }), UnsupportedMaterial},
		"time nobody checks":      {edit(func(b *Bundle) { b.VerificationMaterial.TimestampVerificationData = json.RawMessage(`{}`) }), UnsupportedMaterial},
		"base64 for URLs": {edit(func(b *Bundle) {
			b.Envelope.Signatures[0].Sig = base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 64))
		}), Schema},
		"base64 with a line break":     {replace(`"payload":"`, `"payload":"\n`), Schema},
		"base64 without padding":       {edit(func(b *Bundle) { b.Envelope.Signatures[0].Sig = strings.TrimRight(b.Envelope.Signatures[0].Sig, "=") }), Schema},
		"empty payload":                {edit(func(b *Bundle) { b.Envelope.Payload = "" }), EmptyEvidence},
		"no bundle":                    {nil, EmptyEvidence},
		"empty object":                 {[]byte(`{}`), Schema},
		"raw envelope":                 {[]byte(`{"payload":"AAAA","payloadType":"application/vnd.in-toto+json","signatures":[]}`), UnknownKey},
		"truncated":                    {good[:len(good)/2], Malformed},
		"trailing data":                {append(bytes.Clone(good), good...), Malformed},
		"huge":                         {bytes.Repeat([]byte(" "), MaxBundle+1), LimitExceeded},
		"huge string":                  {replace(`"payload":"`, `"payload":"`+strings.Repeat("A", MaxBundle)), LimitExceeded},
		"nested":                       {bytes.Repeat([]byte("["), 1<<20), Schema},
		"nested where anything may be": {replace(`"publicKey":`, `"tlogEntries":`+strings.Repeat("[", 1<<20)), LimitExceeded},

		// These are signed by the trusted key; what they say is refused all the same.
		"signed, two predicate types": {by(strings.Replace(string(raw), `"predicateType":`, `"predicateType":"x","predicateType":`, 1)), DuplicateKey},
		"signed, other case":          {by(strings.Replace(string(raw), `"predicateType":`, `"PredicateType":`, 1)), UnknownKey},
		"signed, extra member":        {by(strings.Replace(string(raw), `{"_type"`, `{"extra":1,"_type"`, 1)), UnknownKey},
		"signed, v0.1":                {by(strings.Replace(string(raw), `Statement/v1`, `Statement/v0.1`, 1)), Schema},
		"signed, unknown predicate":   {by(strings.Replace(string(raw), `release/v0.2`, `release/v9`, 1)), Schema},
		"signed, no configuration":    {by(strings.NewReplacer(statement.ReleaseType, statement.TestResultType, `{"purl":"pkg:golang/github.com/dpone/dpone@v1.2.3"}`, `{"result":"PASSED","configuration":[]}`).Replace(string(raw))), Schema},
		"signed, no statement":        {by(`[]`), Schema},
		"signed, no JSON":             {by(`x`), Malformed},
		"signed, white space":         {by(` `), EmptyEvidence},
		"signed, deep":                {by(strings.Replace(string(raw), `{"purl"`, `{"a":`+strings.Repeat("[", 1000), 1)), LimitExceeded},
		"signed, too large":           {by(strings.Replace(string(raw), `"purl":"`, `"purl":"`+strings.Repeat("x", statement.MaxBytes), 1)), LimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := VerifyBundle(c.bundle, trust, Options{At: now})
			assert.Equal(t, ReasonOf(err), c.reason, "%v", err)
			assert.Assert(t, v.Statement == nil && v.Payload == nil)
			assert.Assert(t, len(err.Error()) < 1000, "%v", err)
		})
	}
}

func TestVerifyTrustAndOptions(t *testing.T) {
	t.Parallel()
	k := exampleKey(t)
	raw := claim(t)
	good := signed(t, k, raw)
	m, secret := macKey(t)
	local := signed(t, m, raw)
	old := envelopeBy(t, PayloadType, bytes.Replace(raw, []byte("Statement/v1"), []byte("Statement/v0.1"), 1))
	foreign := envelopeBy(t, PayloadType, bytes.Replace(raw, []byte("release/v0.2"), []byte("release/v9"), 1))
	wrongMAC := edited(t, local, func(b *Bundle) { b.Envelope.Signatures[0].Sig = encoded(make([]byte, 32)) })
	key := TrustedKey{Name: "k", PublicPEM: k.PublicPEM()}
	mac := TrustedKey{Name: "m", MAC: secret}
	with := func(change func(*TrustedKey)) TrustedKey {
		c := key
		change(&c)
		return c
	}
	hour := time.Hour
	for name, c := range map[string]struct {
		bundle []byte
		keys   []TrustedKey
		opts   Options
		reason Reason
	}{
		"good":                        {good, []TrustedKey{mac, key}, Options{At: now}, ""},
		"nobody is trusted":           {good, nil, Options{At: now}, UntrustedSigner},
		"no time":                     {good, []TrustedKey{key}, Options{}, NoTime},
		"within the bounds":           {good, []TrustedKey{with(func(k *TrustedKey) { k.NotBefore, k.NotAfter, k.RevokedAt = now, now.Add(1), now.Add(1) })}, Options{At: now}, ""},
		"expired":                     {good, []TrustedKey{with(func(k *TrustedKey) { k.NotAfter = now.Add(-hour) })}, Options{At: now}, KeyExpired},
		"expires this moment":         {good, []TrustedKey{with(func(k *TrustedKey) { k.NotAfter = now })}, Options{At: now}, KeyExpired},
		"revoked":                     {good, []TrustedKey{with(func(k *TrustedKey) { k.RevokedAt = now })}, Options{At: now}, KeyExpired},
		"revoked from the first":      {good, []TrustedKey{with(func(k *TrustedKey) { k.RevokedAt = time.Unix(1, 0) })}, Options{At: now}, KeyExpired},
		"not yet":                     {good, []TrustedKey{with(func(k *TrustedKey) { k.NotBefore = now.Add(hour) })}, Options{At: now}, KeyNotYetValid},
		"forged by an expired key":    {edited(t, good, func(b *Bundle) { b.Envelope.Payload = "AAAA" }), []TrustedKey{with(func(k *TrustedKey) { k.NotAfter = now })}, Options{At: now}, BadSignature},
		"MAC in a release":            {local, []TrustedKey{mac, key}, Options{At: now}, MACOnly},
		"MAC without its key":         {local, []TrustedKey{key}, Options{At: now}, MACOnly},
		"MAC in local use":            {local, []TrustedKey{mac}, Options{At: now, AllowMAC: true}, ""},
		"MAC by an unknown key":       {local, []TrustedKey{key}, Options{At: now, AllowMAC: true}, UntrustedSigner},
		"wrong MAC":                   {wrongMAC, []TrustedKey{mac}, Options{At: now, AllowMAC: true}, BadSignature},
		"MAC as a signature":          {edited(t, local, func(b *Bundle) { b.VerificationMaterial.PublicKey.Hint = k.KeyID() }), []TrustedKey{mac, key}, Options{At: now, AllowMAC: true}, BadSignature},
		"MAC key expired":             {local, []TrustedKey{{Name: "m", MAC: secret, NotAfter: now}}, Options{At: now, AllowMAC: true}, KeyExpired},
		"other predicate asked":       {good, []TrustedKey{key}, Options{At: now, PredicateType: statement.VSAType}, WrongPredicateType},
		"unknown predicate asked":     {foreign, []TrustedKey{key}, Options{At: now, PredicateType: "https://in-toto.io/attestation/release/v9"}, ""},
		"unknown predicate allowed":   {foreign, []TrustedKey{key}, Options{At: now, PredicateTypes: []string{"https://in-toto.io/attestation/release/v9"}}, ""},
		"unknown predicate":           {foreign, []TrustedKey{key}, Options{At: now}, Schema},
		"v0.1":                        {old, []TrustedKey{key}, Options{At: now}, Schema},
		"v0.1 allowed":                {old, []TrustedKey{key}, Options{At: now, AllowStatementV01: true}, ""},
		"key ID that is the hint":     {edited(t, good, func(b *Bundle) { b.Envelope.Signatures[0].KeyID = k.KeyID() }), []TrustedKey{key}, Options{At: now}, ""},
		"white space between members": {bytes.ReplaceAll(good, []byte(`,"`), []byte(" ,\r\n\t\"")), []TrustedKey{key}, Options{At: now}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trust, err := NewTrust(c.keys...)
			assert.NilError(t, err)
			v, err := VerifyBundle(c.bundle, trust, c.opts)
			assert.Equal(t, ReasonOf(err), c.reason, "%v", err)
			assert.Equal(t, v.Statement != nil, c.reason == "")
		})
	}
}

// No byte of a bundle can change but white space at its end.
func TestEveryByteCounts(t *testing.T) {
	t.Parallel()
	ed, ec := exampleKey(t), ecdsaKey(t)
	m, secret := macKey(t)
	trust, err := NewTrust(
		TrustedKey{Name: "ed", PublicPEM: ed.PublicPEM()}, TrustedKey{Name: "ec", PublicPEM: ec.PublicPEM()}, TrustedKey{Name: "mac", MAC: secret},
	)
	assert.NilError(t, err)
	for _, s := range []Signer{ed, ec, m} {
		t.Run(s.KeyID(), func(t *testing.T) {
			t.Parallel()
			bundle := bytes.TrimSuffix(signed(t, s, claim(t)), []byte("\n"))
			for i := range bundle {
				// One bit, another with each byte, and the one between upper and lower case.
				for _, mask := range []byte{1 << (i % 8), 0x20} {
					flipped := bytes.Clone(bundle)
					flipped[i] ^= mask
					_, err := VerifyBundle(flipped, trust, Options{At: now, AllowMAC: true, AllowEd25519ph: true})
					assert.Assert(t, ReasonOf(err) != "", "byte %d by %#x, %q", i, mask, bundle[max(0, i-20):i+1])
				}
			}
		})
	}
}

// The wrapper of the library takes what VerifyBundle refuses; when it no
// longer does, this says so.
func TestLibraryStillNeedsTheStrictReader(t *testing.T) {
	t.Parallel()
	seed := sha256.Sum256([]byte("dpone example key"))
	verifier, err := signature.LoadVerifier(ed25519.NewKeyFromSeed(seed[:]).Public(), crypto.SHA256)
	assert.NilError(t, err)
	var b Bundle
	assert.NilError(t, json.Unmarshal(envelopeBy(t, "application/octet-stream", claim(t)), &b))
	envelope, err := json.Marshal(b.Envelope)
	assert.NilError(t, err)
	for name, raw := range map[string]string{
		"any payload type": string(envelope),
		"duplicate key":    strings.Replace(string(envelope), `"payload":`, `"payload":"AAAA","payload":`, 1),
		"other case":       strings.Replace(string(envelope), `"payload":`, `"PAYLOAD":`, 1),
	} {
		assert.NilError(t, dsse.WrapVerifier(verifier).VerifySignature(strings.NewReader(raw), nil), name)
	}
}

// Whatever is accepted has the form of a bundle and can be written again.
func FuzzDecodeBundle(f *testing.F) {
	raw := claim(f)
	good := signed(f, exampleKey(f), raw)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(`{"mediaType":"` + MediaType + `","verificationMaterial":{"certificate":{"rawBytes":"AAAA"},"tlogEntries":[{}]},"dsseEnvelope":{"payload":"AAAA","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"AAAA","keyid":""}]}}`))
	trust := trustIn(f, exampleKey(f))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, verified := VerifyBundle(in, trust, Options{At: now})
		if verified == nil {
			assert.Equal(t, string(v.Payload), string(raw), "nobody but the seed can sign")
		}
		b, err := DecodeBundle(in)
		if err != nil {
			assert.Assert(t, ReasonOf(err) != "", "%v", err)
			assert.Assert(t, verified != nil)
			return
		}
		payload, err := b.Payload()
		assert.NilError(t, err)
		assert.Assert(t, len(payload) > 0)
		again, err := b.encode()
		assert.NilError(t, err)
		same, err := DecodeBundle(again)
		assert.NilError(t, err)
		assert.Equal(t, fmt.Sprint(same.Envelope), fmt.Sprint(b.Envelope))
	})
}

func BenchmarkSign(b *testing.B) {
	raw := claim(b)
	m, _ := macKey(b)
	for name, s := range map[string]Signer{"ed25519": exampleKey(b), "ecdsa-p256": ecdsaKey(b), "hmac": m} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Sign(context.Background(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	m, secret := macKey(b)
	local, err := NewTrust(TrustedKey{Name: "m", MAC: secret})
	assert.NilError(b, err)
	ed, ec := exampleKey(b), ecdsaKey(b)
	for name, c := range map[string]struct {
		signer Signer
		trust  Trust
	}{"ed25519": {ed, trustIn(b, ed)}, "ecdsa-p256": {ec, trustIn(b, ec)}, "hmac": {m, local}} {
		b.Run(name, func(b *testing.B) {
			bundle := signed(b, c.signer, claim(b))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := VerifyBundle(bundle, c.trust, Options{At: now, AllowMAC: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
