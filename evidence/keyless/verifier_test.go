package keyless

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/keyless/internal/virtual"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
)

func verifyReason(t testing.TB, bundle, root []byte) sign.Reason {
	t.Helper()
	payload, who, err := Verifier{}.VerifyCertificate(t.Context(), bundle, root)
	if err != nil {
		assert.Assert(t, payload == nil && who == (sign.Identity{}), "something came with the error")
		assert.Assert(t, sign.ReasonOf(err) != "", "an error without a reason: %v", err)
	}
	return sign.ReasonOf(err)
}

// Each defect alone, in a bundle that is good otherwise.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v1, stamped, v2 := w.sign(t, withV1), w.sign(t, withV1Stamp), w.sign(t, withV2)
	otherV1, otherV2 := w.sign(t, withV1), w.sign(t, withV2)
	for _, bundle := range [][]byte{v1, stamped, v2} {
		assert.Equal(t, verifyReason(t, bundle, w.root), sign.Reason(""))
	}
	stranger := newWorld(t)
	text := func(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
	otherClaim := strings.Replace(string(claim(t)), "v1.2.3", "v1.2.4", 1)
	unknown := func(doc tree) { doc["extra"] = true }
	spliced := func(from []byte) func(tree) {
		return func(doc tree) {
			var other tree
			assert.NilError(t, json.Unmarshal(from, &other))
			material(doc)["tlogEntries"] = material(other)["tlogEntries"]
		}
	}
	stampsOf := func(from []byte) func(tree) {
		return func(doc tree) {
			var other tree
			assert.NilError(t, json.Unmarshal(from, &other))
			material(doc)["timestampVerificationData"] = material(other)["timestampVerificationData"]
		}
	}
	certificateOf := func(from []byte) func(tree) {
		return func(doc tree) {
			var other tree
			assert.NilError(t, json.Unmarshal(from, &other))
			material(doc)["certificate"] = material(other)["certificate"]
		}
	}
	for name, c := range map[string]struct {
		bundle []byte
		change func(tree)
		want   sign.Reason
	}{
		"payload edited":            {v1, func(doc tree) { doc["dsseEnvelope"].(tree)["payload"] = text([]byte(otherClaim)) }, sign.BadSignature},
		"payload edited, version 2": {v2, func(doc tree) { doc["dsseEnvelope"].(tree)["payload"] = text([]byte(otherClaim)) }, sign.BadSignature},
		"certificate of another":    {v1, certificateOf(otherV1), sign.BadSignature},
		"no signature":              {v1, func(doc tree) { doc["dsseEnvelope"].(tree)["signatures"] = []any{} }, sign.SignatureCount},
		"two signatures": {v1, func(doc tree) {
			s := doc["dsseEnvelope"].(tree)["signatures"].([]any)
			doc["dsseEnvelope"].(tree)["signatures"] = append(s, s[0])
		}, sign.SignatureCount},
		"payload type":                 {v1, func(doc tree) { doc["dsseEnvelope"].(tree)["payloadType"] = "text/plain" }, sign.WrongPayloadType},
		"media type":                   {v1, func(doc tree) { doc["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1" }, sign.Schema},
		"unknown member":               {v1, unknown, sign.UnknownKey},
		"no certificate":               {v1, func(doc tree) { delete(material(doc), "certificate") }, sign.Schema},
		"not a certificate":            {v1, func(doc tree) { material(doc)["certificate"] = tree{"rawBytes": text([]byte("x"))} }, sign.Schema},
		"a chain of certificates":      {v1, func(doc tree) { material(doc)["x509CertificateChain"] = tree{} }, sign.UnknownKey},
		"no entry":                     {v1, func(doc tree) { delete(material(doc), "tlogEntries") }, sign.LogMissing},
		"an empty list of entries":     {v2, func(doc tree) { material(doc)["tlogEntries"] = []any{} }, sign.LogMissing},
		"entry of another bundle":      {v1, spliced(otherV1), sign.LogMismatch},
		"the same, version 2":          {v2, spliced(otherV2), sign.LogMismatch},
		"entry of version 2 elsewhere": {v1, spliced(v2), sign.LogMismatch},
		"entry twice": {v1, func(doc tree) {
			e := material(doc)["tlogEntries"].([]any)
			material(doc)["tlogEntries"] = append(e, e[0])
		}, sign.LogMismatch},
		"a second, foreign entry": {v1, func(doc tree) {
			var o tree
			assert.NilError(t, json.Unmarshal(otherV1, &o))
			e := material(doc)["tlogEntries"].([]any)
			material(doc)["tlogEntries"] = append(e, entry(o))
		}, sign.LogMismatch},
		"nine entries":              {v1, func(doc tree) { e := entry(doc); material(doc)["tlogEntries"] = []any{e, e, e, e, e, e, e, e, e} }, sign.LimitExceeded},
		"log that nobody trusts":    {v1, func(doc tree) { entry(doc)["logId"] = tree{"keyId": text(bytes.Repeat([]byte{1}, 32))} }, sign.LogMissing},
		"log without a name":        {v1, func(doc tree) { entry(doc)["logId"] = tree{"keyId": text([]byte{1})} }, sign.Schema},
		"time edited":               {v1, func(doc tree) { entry(doc)["integratedTime"] = "1" }, sign.LogMismatch},
		"time dropped":              {v1, func(doc tree) { delete(entry(doc), "integratedTime") }, sign.LogMismatch},
		"promise dropped":           {v1, func(doc tree) { delete(entry(doc), "inclusionPromise") }, sign.TimeInvalid},
		"proof dropped":             {v1, func(doc tree) { delete(entry(doc), "inclusionProof") }, sign.LogMissing},
		"proof dropped, version 2":  {v2, func(doc tree) { delete(entry(doc), "inclusionProof") }, sign.LogMissing},
		"hash of the proof dropped": {v1, func(doc tree) { entry(doc)["inclusionProof"].(tree)["hashes"] = []any{} }, sign.LogMismatch},
		"the same, version 2 ":      {v2, func(doc tree) { entry(doc)["inclusionProof"].(tree)["hashes"] = []any{} }, sign.LogMismatch},
		"body of another, version 2": {v2, func(doc tree) {
			var o tree
			assert.NilError(t, json.Unmarshal(otherV2, &o))
			entry(doc)["canonicalizedBody"] = entry(o)["canonicalizedBody"]
		}, sign.LogMismatch},
		"body dropped":                  {v1, func(doc tree) { delete(entry(doc), "canonicalizedBody") }, sign.LogMissing},
		"body that is no JSON":          {v1, func(doc tree) { entry(doc)["canonicalizedBody"] = text([]byte("x")) }, sign.Schema},
		"index of the log, version 2":   {v2, func(doc tree) { entry(doc)["logIndex"] = "0" }, sign.LogMismatch},
		"time in an entry of version 2": {v2, func(doc tree) { entry(doc)["integratedTime"] = fmt.Sprint(time.Now().Unix()) }, sign.LogMismatch},
		"promise in one":                {v2, func(doc tree) { entry(doc)["inclusionPromise"] = tree{"signedEntryTimestamp": text([]byte("x"))} }, sign.LogMismatch},
		"kind":                          {v1, func(doc tree) { entry(doc)["kindVersion"].(tree)["kind"] = "intoto" }, sign.LogMismatch},
		"version":                       {v2, func(doc tree) { entry(doc)["kindVersion"].(tree)["version"] = "0.0.1" }, sign.LogMismatch},
		"size of the tree":              {v1, func(doc tree) { entry(doc)["inclusionProof"].(tree)["treeSize"] = "99999" }, sign.LogMismatch},
		"root of the tree":              {v2, func(doc tree) { entry(doc)["inclusionProof"].(tree)["rootHash"] = text(bytes.Repeat([]byte{1}, 32)) }, sign.LogMismatch},
		"index beyond the tree":         {v1, func(doc tree) { entry(doc)["inclusionProof"].(tree)["logIndex"] = "99999" }, sign.LogMismatch},
		"no checkpoint":                 {v1, func(doc tree) { delete(entry(doc)["inclusionProof"].(tree), "checkpoint") }, sign.Schema},
		"a number as a number":          {v1, func(doc tree) { entry(doc)["logIndex"] = 1 }, sign.Schema},
		"a number with a zero":          {v1, func(doc tree) { entry(doc)["logIndex"] = "01" }, sign.Schema},
		"a name with underscores":       {v1, func(doc tree) { entry(doc)["log_index"] = entry(doc)["logIndex"]; delete(entry(doc), "logIndex") }, sign.UnknownKey},
		"base64 for addresses": {v1, func(doc tree) {
			entry(doc)["logId"] = tree{"keyId": base64.URLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32))}
		}, sign.Schema},
		"stamp of another bundle":       {v2, stampsOf(stamped), sign.TimeInvalid},
		"the same beside a time of log": {v1, stampsOf(v2), sign.TimeInvalid},
		"no stamp, version 2":           {v2, func(doc tree) { delete(material(doc), "timestampVerificationData") }, sign.TimeInvalid},
		"stamp twice": {v2, func(doc tree) {
			d := material(doc)["timestampVerificationData"].(tree)
			s := d["rfc3161Timestamps"].([]any)
			d["rfc3161Timestamps"] = append(s, s[0])
		}, sign.TimeInvalid},
		"stamp that is none": {v1, func(doc tree) {
			material(doc)["timestampVerificationData"] = tree{"rfc3161Timestamps": []any{tree{"signedTimestamp": text([]byte("x"))}}}
		}, sign.TimeInvalid},
		"stamp that is empty": {v2, func(doc tree) { material(doc)["timestampVerificationData"] = tree{"rfc3161Timestamps": []any{tree{}}} }, sign.Schema},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle := edited(t, c.bundle, c.change)
			assert.Assert(t, !bytes.Equal(bundle, c.bundle))
			assert.Equal(t, verifyReason(t, bundle, w.root), c.want)
		})
	}
	for name, c := range map[string]struct {
		bundle, root []byte
		want         sign.Reason
	}{
		"nothing":             {nil, w.root, sign.EmptyEvidence},
		"an empty object":     {[]byte("{}"), w.root, sign.Schema},
		"another root":        {v1, stranger.root, sign.UntrustedSigner},
		"no root":             {v1, nil, sign.TrustRootMissing},
		"a root that is none": {v1, []byte("{}"), sign.Malformed},
		"a root too large":    {v1, bytes.Repeat([]byte(" "), 5<<20), sign.LimitExceeded},
		"a key twice":         {bytes.Replace(v1, []byte(`"logIndex":`), []byte(`"logIndex":"1","logIndex":`), 1), w.root, sign.DuplicateKey},
		"a key in other case": {bytes.Replace(v1, []byte(`"canonicalizedBody":`), []byte(`"CanonicalizedBody":`), 1), w.root, sign.UnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, verifyReason(t, c.bundle, c.root), c.want)
		})
	}
}

// What a Sigstore that is not honest, or not in order, would sign.
func TestServicesThatAreNotInOrder(t *testing.T) {
	t.Parallel()
	later := func() time.Time { return time.Now().Add(20 * time.Minute) }
	earlier := func() time.Time { return time.Now().Add(-20 * time.Minute) }
	for name, c := range map[string]struct {
		with   virtual.Services
		change func(*virtual.Sigstore)
		want   sign.Reason
	}{
		"logged too late":            {withV1, func(s *virtual.Sigstore) { s.LogTime = later }, sign.TimeInvalid},
		"logged too early":           {withV1, func(s *virtual.Sigstore) { s.LogTime = earlier }, sign.TimeInvalid},
		"late in the log alone":      {withV1Stamp, func(s *virtual.Sigstore) { s.LogTime = later }, sign.TimeInvalid},
		"stamped too late":           {withV2, func(s *virtual.Sigstore) { s.StampTime = later }, sign.TimeInvalid},
		"stamped too early":          {withV1Stamp, func(s *virtual.Sigstore) { s.StampTime = earlier }, sign.TimeInvalid},
		"not in the certificate log": {withV1, func(s *virtual.Sigstore) { s.NoSCT = true }, sign.LogMissing},
		"in a foreign one":           {withV2, func(s *virtual.Sigstore) { s.ForeignSCT = true }, sign.LogMismatch},
		"in order, to compare with":  {withV1Stamp, func(*virtual.Sigstore) {}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(w.Sigstore)
			bundle, err := w.signer(t, c.with).Sign(t.Context(), claim(t))
			assert.NilError(t, err, "nobody looked")
			assert.Equal(t, verifyReason(t, bundle, w.root), c.want)
			// A signer that has a trusted root notices at once.
			_, err = w.signer(t, c.with, func(o *Options) { o.TrustedRoot = w.root }).Sign(t.Context(), claim(t))
			assert.Equal(t, sign.ReasonOf(err), c.want, "%v", err)
		})
	}
}

// Authorities and logs that the reader's root no longer has, each alone.
func TestRootsThatLackSomething(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v1, v2 := w.sign(t, withV1), w.sign(t, withV2)
	period := func(list string, place ...string) func(tree) {
		return func(doc tree) {
			at := doc[list].([]any)[0].(tree)
			for _, name := range place {
				at = at[name].(tree)
			}
			at["validFor"] = tree{"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}
		}
	}
	for name, c := range map[string]struct {
		bundle []byte
		change func(tree)
		want   sign.Reason
	}{
		"no authority":                   {v1, func(doc tree) { delete(doc, "certificateAuthorities") }, sign.UntrustedSigner},
		"authority not in force":         {v1, period("certificateAuthorities"), sign.UntrustedSigner},
		"no certificate log":             {v1, func(doc tree) { delete(doc, "ctlogs") }, sign.LogMismatch},
		"certificate log not in force":   {v1, period("ctlogs", "publicKey"), sign.LogMismatch},
		"no log":                         {v1, func(doc tree) { delete(doc, "tlogs") }, sign.LogMissing},
		"log not in force":               {v1, period("tlogs", "publicKey"), sign.LogMismatch},
		"no timestamp authority":         {v2, func(doc tree) { delete(doc, "timestampAuthorities") }, sign.TimeInvalid},
		"timestamp authority over":       {v2, period("timestampAuthorities"), sign.TimeInvalid},
		"none, and none is needed":       {v1, func(doc tree) { delete(doc, "timestampAuthorities") }, ""},
		"log of version 2 without a url": {v2, func(doc tree) { delete(doc["tlogs"].([]any)[0].(tree), "baseUrl") }, sign.LogMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, verifyReason(t, c.bundle, edited(t, w.root, c.change)), c.want)
		})
	}
}

// What the command line of cosign writes with --predicate is a statement of
// v0.1; a statement that is none is refused whoever signed it.
func TestWhatIsSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for payload, want := range map[string]sign.Reason{
		strings.Replace(string(claim(t)), statement.Type, statement.TypeV01, 1): "",
		strings.Replace(string(claim(t)), `"_type"`, `"x":1,"_type"`, 1):        sign.UnknownKey,
		`{"_type":"` + statement.Type + `"}`:                                    sign.Schema,
	} {
		bundle, err := w.signer(t, withV1).sign(t.Context(), []byte(payload))
		assert.NilError(t, err)
		assert.Equal(t, verifyReason(t, bundle, w.root), want, payload)
	}
}

// Every bit of a bundle counts, but for the inside of an RFC 3161 timestamp,
// which holds bytes that nobody signs; then what is returned is the same.
func TestEachFlippedBit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, with := range map[string]virtual.Services{"version 1": withV1, "version 2": withV2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle := w.sign(t, with)
			payload, who, err := Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
			assert.NilError(t, err)
			from, to := len(bundle), len(bundle)
			if at := bytes.Index(bundle, []byte(`"signedTimestamp":"`)); at >= 0 {
				from, to = at, at+bytes.IndexByte(bundle[at:], '}')
			}
			accepted := 0
			for i := range bundle {
				// In the middle of long base64 all bytes are alike.
				if i%11 != 0 && !bytes.ContainsFunc(bundle[max(i-24, 0):min(i+24, len(bundle))], notBase64) {
					continue
				}
				flipped := bytes.Clone(bundle)
				flipped[i] ^= 1 << (i % 7)
				p, id, err := Verifier{}.VerifyCertificate(t.Context(), flipped, w.root)
				if err != nil {
					assert.Assert(t, sign.ReasonOf(err) != "")
					continue
				}
				accepted++
				assert.Assert(t, i >= from && i < to, "byte %d: %q", i, flipped[max(i-40, 0):min(i+40, len(flipped))])
				assert.Equal(t, string(p), string(payload))
				assert.DeepEqual(t, id, who)
			}
			t.Logf("%d bytes, %d flips inside a timestamp change nothing", len(bundle), accepted)
		})
	}
}

func notBase64(r rune) bool {
	return r != '+' && r != '/' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

// What the verifier of the library takes with the same demands, and ours does
// not. When one of these turns green, a check of ours can go.
func TestWhatTheLibraryAloneTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v1, v2, other := w.sign(t, withV1), w.sign(t, withV2), w.sign(t, withV2)
	library := func(raw []byte) error {
		trusted, err := root.NewTrustedRootFromJSON(w.root)
		assert.NilError(t, err)
		entity := &bundle.Bundle{}
		if err := entity.UnmarshalJSON(raw); err != nil {
			return err
		}
		verifier, err := verify.NewVerifier(trusted, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
		assert.NilError(t, err)
		_, err = verifier.Verify(entity, verify.NewPolicy(verify.WithoutArtifactUnsafe(), verify.WithoutIdentitiesUnsafe()))
		return err
	}
	for name, c := range map[string]struct {
		bundle []byte
		change func(tree)
		want   sign.Reason
	}{
		"another kind": {v1, func(doc tree) { entry(doc)["kindVersion"].(tree)["kind"] = "intoto" }, sign.LogMismatch},
		"another body, version 2": {v2, func(doc tree) {
			var o tree
			assert.NilError(t, json.Unmarshal(other, &o))
			entry(doc)["canonicalizedBody"] = entry(o)["canonicalizedBody"]
		}, sign.LogMismatch},
		"another size, version 2":  {v2, func(doc tree) { entry(doc)["inclusionProof"].(tree)["treeSize"] = "99999" }, sign.LogMismatch},
		"another index, version 2": {v2, func(doc tree) { entry(doc)["inclusionProof"].(tree)["logIndex"] = "0" }, sign.LogMismatch},
		"another signer's name": {v1, func(doc tree) {
			c := entry(doc)["inclusionProof"].(tree)["checkpoint"].(tree)
			c["envelope"] = strings.Replace(c["envelope"].(string), "\u2014 rekor", "\u2014 sekor", 1)
		}, sign.LogMismatch},
		"names with underscores": {v1, func(doc tree) { entry(doc)["log_index"] = entry(doc)["logIndex"]; delete(entry(doc), "logIndex") }, sign.UnknownKey},
		"a stamp that is none beside the time of the log": {v1, func(doc tree) {
			material(doc)["timestampVerificationData"] = tree{"rfc3161Timestamps": []any{tree{"signedTimestamp": "eA=="}}}
		}, sign.TimeInvalid},
		"an entry of an unknown log beside a good one": {v1, func(doc tree) {
			raw, err := json.Marshal(entry(doc))
			assert.NilError(t, err)
			var copied tree
			assert.NilError(t, json.Unmarshal(raw, &copied))
			copied["logId"] = tree{"keyId": base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32))}
			material(doc)["tlogEntries"] = append(material(doc)["tlogEntries"].([]any), copied)
		}, sign.LogMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := edited(t, c.bundle, c.change)
			assert.NilError(t, library(changed))
			assert.Equal(t, verifyReason(t, changed, w.root), c.want)
		})
	}
}

func TestContextOfTheVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := Verifier{}.VerifyCertificate(ctx, w.sign(t, withV1), w.root)
	assert.ErrorIs(t, err, context.Canceled)
}

// A certificate that the authority made for somebody else's key.
func TestCertificateForAnotherKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	assert.NilError(t, err)
	der, err := w.Certify(w.claims, other.Public())
	assert.NilError(t, err)
	bundle := edited(t, w.sign(t, withV1), func(doc tree) {
		material(doc)["certificate"] = tree{"rawBytes": base64.StdEncoding.EncodeToString(der)}
	})
	assert.Equal(t, verifyReason(t, bundle, w.root), sign.BadSignature)
}

func FuzzVerify(f *testing.F) {
	w := newWorld(f)
	for _, with := range []virtual.Services{withV1, withV2} {
		f.Add(w.sign(f, with))
	}
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		payload, _, err := Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
		if err == nil && len(payload) == 0 {
			t.Fatal("nothing was verified")
		}
		if err != nil && sign.ReasonOf(err) == "" {
			t.Fatalf("no reason: %v", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	for name, with := range map[string]virtual.Services{"v1": withV1, "v2": withV2} {
		bundle := w.sign(b, with)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(bundle)))
			for b.Loop() {
				_, _, err := Verifier{}.VerifyCertificate(b.Context(), bundle, w.root)
				assert.NilError(b, err)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	for _, with := range []virtual.Services{withV1, withV2} {
		f.Add(w.sign(f, with))
	}
	f.Fuzz(func(t *testing.T, bundle []byte) {
		o, err := open(bundle)
		if err != nil && sign.ReasonOf(err) == "" {
			t.Fatalf("no reason: %v", err)
		}
		if err == nil && (o.leaf == nil || len(o.payload) == 0) {
			t.Fatal("half of a bundle")
		}
	})
}
