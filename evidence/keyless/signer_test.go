package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/keyless/internal/virtual"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// The services, by the path of their requests.
var paths = map[string]string{
	"token service": "/token", "authority": "/api/v2/signingCert", "log of version 1": "/api/v1/log/entries",
	"log of version 2": "/api/v2/log/entries", "timestamp authority": "/api/v1/timestamp",
}

func with(service string) virtual.Services {
	if service == "log of version 1" {
		return withV1Stamp
	}
	return withV2
}

// Whatever is wrong with a service, the signer says which of two kinds it is,
// the statement is what it was, and when the service is in order again the same
// bytes are signed.
func TestServiceThatFails(t *testing.T) {
	t.Parallel()
	status := func(code int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no, "+virtual.TokenRequest, code) }
	}
	for kind, c := range map[string]struct {
		answer func(http.ResponseWriter, *http.Request)
		want   sign.Reason
		tries  int32
	}{
		"is busy":                {status(http.StatusTooManyRequests), sign.SigningUnavailable, 3},
		"is broken":              {status(http.StatusInternalServerError), sign.SigningUnavailable, 3},
		"is not there":           {status(http.StatusServiceUnavailable), sign.SigningUnavailable, 3},
		"hangs up":               {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, sign.SigningUnavailable, 3},
		"says no":                {status(http.StatusForbidden), sign.SigningRefused, 1},
		"does not know who asks": {status(http.StatusUnauthorized), sign.SigningRefused, 1},
		"does not understand":    {status(http.StatusBadRequest), sign.SigningRefused, 1},
		"leads elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://example.com/", http.StatusFound)
		}, sign.SigningRefused, 1},
		"answers nonsense": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, "<html>")
		}, sign.SigningUnavailable, 1},
		"answers an empty object": {func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusCreated, "{}") }, "", 1},
		"answers null":            {func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusCreated, "null") }, "", 1},
		"answers without end":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte(" "), maxAnswer+2)) }, sign.SigningUnavailable, 3},
	} {
		for service, path := range paths {
			t.Run(service+" "+kind, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				var tries atomic.Int32
				var mended atomic.Bool
				w.before = func(rw http.ResponseWriter, r *http.Request) bool {
					if mended.Load() || r.URL.Path != path {
						return false
					}
					tries.Add(1)
					c.answer(rw, r)
					return true
				}
				signer := w.signer(t, with(service), func(o *Options) { o.Retries, o.TrustedRoot = 2, w.root })
				statement := claim(t)
				before := bytes.Clone(statement)
				bundle, err := signer.Sign(t.Context(), statement)
				assert.Assert(t, bundle == nil)
				reason := sign.ReasonOf(err)
				if c.want != "" {
					assert.Equal(t, reason, c.want, "%v", err)
					assert.Equal(t, tries.Load(), c.tries)
				} else {
					assert.Assert(t, reason == sign.SigningUnavailable || reason == sign.SigningRefused, "%v", err)
				}
				for _, secret := range []string{virtual.TokenRequest, "api-version"} {
					assert.Assert(t, service != "token service" || !strings.Contains(err.Error(), secret), "%v", err)
				}
				assert.Assert(t, bytes.Equal(statement, before))
				mended.Store(true)
				bundle, err = signer.Sign(t.Context(), statement)
				assert.NilError(t, err)
				payload, _, err := Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
				assert.NilError(t, err)
				assert.Assert(t, bytes.Equal(payload, before))
			})
		}
	}
}

func answerJSON(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// A service that comes back while we try is no failure.
func TestServiceThatComesBack(t *testing.T) {
	t.Parallel()
	for service, path := range paths {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var tries atomic.Int32
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == path && tries.Add(1) <= 2 {
					rw.Header().Set("Retry-After", "7")
					http.Error(rw, "wait", http.StatusTooManyRequests)
					return true
				}
				return false
			}
			signer := w.signer(t, with(service), func(o *Options) { o.TrustedRoot = w.root })
			var waits []time.Duration
			signer.wait = func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}
			_, err := signer.Sign(t.Context(), claim(t))
			assert.NilError(t, err)
			assert.DeepEqual(t, waits, []time.Duration{7 * time.Second, 7 * time.Second})
		})
	}
}

// The answer of the log is lost, and the second try finds the entry there.
func TestEntryThatIsThere(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]virtual.Services{"version 1": withV1, "version 2": withV2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			var tries atomic.Int32
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/log/entries") {
					return false
				}
				switch tries.Add(1) {
				case 1: // the entry is made, and the answer gets lost
					w.Handler(w.claims).ServeHTTP(lost{}, r)
					panic(http.ErrAbortHandler)
				case 2:
					if with.Rekor == 2 {
						http.Error(rw, "an equivalent entry already exists in the transparency log", http.StatusConflict)
						return true
					}
				}
				return false
			}
			bundle, err := w.signer(t, with, func(o *Options) { o.TrustedRoot = w.root }).Sign(t.Context(), claim(t))
			assert.NilError(t, err)
			payload, _, err := Verifier{}.VerifyCertificate(t.Context(), bundle, w.root)
			assert.NilError(t, err)
			assert.Equal(t, string(payload), string(claim(t)))
		})
	}
	// A log that says so for ever is not to be had.
	w := newWorld(t)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/log/entries") {
			http.Error(rw, "exists", http.StatusConflict)
			return true
		}
		return false
	}
	_, err := w.signer(t, withV2).Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.SigningUnavailable, "%v", err)
}

type lost struct{}

func (lost) Header() http.Header         { return http.Header{} }
func (lost) Write(p []byte) (int, error) { return len(p), nil }
func (lost) WriteHeader(int)             {}

// A service that answers with what is somebody else's.
func TestServiceThatCheats(t *testing.T) {
	t.Parallel()
	other := newWorld(t)
	for service, want := range map[string]sign.Reason{
		"authority": sign.UntrustedSigner, "log of version 1": sign.LogMissing, "log of version 2": sign.LogMissing, "timestamp authority": sign.TimeInvalid,
	} {
		t.Run(service, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.before = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != paths[service] {
					return false
				}
				other.Handler(other.claims).ServeHTTP(rw, r)
				return true
			}
			_, err := w.signer(t, with(service), func(o *Options) { o.TrustedRoot = w.root }).Sign(t.Context(), claim(t))
			assert.Equal(t, sign.ReasonOf(err), want, "%v", err)
		})
	}
	// A certificate for another key is noticed without a trusted root, too.
	w := newWorld(t)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != paths["authority"] {
			return false
		}
		bundle, err := sign.DecodeBundle(other.sign(t, withV1))
		assert.NilError(t, err)
		pem := "-----BEGIN CERTIFICATE-----\n" + bundle.VerificationMaterial.Certificate.RawBytes + "\n-----END CERTIFICATE-----\n"
		raw, err := json.Marshal(pem)
		assert.NilError(t, err)
		answerJSON(rw, http.StatusOK, `{"signedCertificateEmbeddedSct":{"chain":{"certificates":[`+string(raw)+`]}}}`)
		return true
	}
	_, err := w.signer(t, withV2).Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.BadSignature, "%v", err)
}

func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	given, err := w.claims.Token()
	assert.NilError(t, err)
	w.claims.Subject = ""
	noSubject, err := w.claims.Token()
	assert.NilError(t, err)
	w.claims = virtual.ExampleClaims()
	for name, c := range map[string]struct {
		source TokenSource
		want   sign.Reason
	}{
		"given":                    {GivenToken(given), ""},
		"asked for":                {GitHubActions(w.url+virtual.TokenPath, virtual.TokenRequest), ""},
		"a pull request of a fork": {GitHubActions("", ""), sign.Unsigned},
		"half":                     {GitHubActions(w.url, ""), sign.Unsigned},
		"not an address":           {GitHubActions("::", "x"), sign.SigningRefused},
		"not https":                {GitHubActions("http://example.com/secret", "secret"), sign.SigningRefused},
		"wrong secret":             {GitHubActions(w.url+virtual.TokenPath, "secret"), sign.SigningRefused},
		"nothing":                  {GivenToken(""), sign.SigningRefused},
		"not a token":              {GivenToken("secret"), sign.SigningRefused},
		"not base64":               {GivenToken("a.!secret.c"), sign.SigningRefused},
		"not JSON":                 {GivenToken("a.c2VjcmV0.c"), sign.SigningRefused},
		"without a subject":        {GivenToken(noSubject), sign.SigningRefused},
		"too large":                {GivenToken("a." + strings.Repeat("b", maxToken) + ".c"), sign.SigningRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bundle, err := w.signer(t, withV1, func(o *Options) { o.Token = c.source }).Sign(t.Context(), claim(t))
			assert.Equal(t, sign.ReasonOf(err), c.want, "%v", err)
			if err == nil {
				assert.Equal(t, verifyReason(t, bundle, w.root), sign.Reason(""))
				return
			}
			assert.Assert(t, !strings.Contains(err.Error(), "secret"), "%v", err)
		})
	}
}

func TestWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signer := w.signer(t, withV1)
	for statement, want := range map[string]sign.Reason{"": sign.EmptyEvidence, "x": sign.Malformed, "{}": sign.Schema} {
		_, err := signer.Sign(t.Context(), []byte(statement))
		assert.Equal(t, sign.ReasonOf(err), want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := signer.Sign(ctx, claim(t))
	assert.ErrorIs(t, err, context.Canceled)
}

// Interrupted on the way: the caller's wish is no failure of a service, and a
// time that is over is.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	reached := make(chan struct{}, 1)
	w.before = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != paths["authority"] {
			return false
		}
		// The body is read to its end, or the server would not see the client go.
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case reached <- struct{}{}:
		default:
		}
		<-r.Context().Done()
		return true
	}
	signer := w.signer(t, withV1)
	go func() { <-reached; cancel() }()
	_, err := signer.Sign(ctx, claim(t))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, sign.ReasonOf(err), sign.Reason(""))

	for name, change := range map[string]func(*Options){
		"one try":   func(o *Options) { o.Timeout, o.Retries = 20*time.Millisecond, -1 },
		"the whole": func(o *Options) { o.Total = 20 * time.Millisecond },
	} {
		_, err = w.signer(t, withV1, change).Sign(t.Context(), claim(t))
		assert.Equal(t, sign.ReasonOf(err), sign.SigningUnavailable, "%s: %v", name, err)
	}
}

func TestNoConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	config, err := w.SigningConfig("http://127.0.0.1:1", withV1)
	assert.NilError(t, err)
	token, err := w.claims.Token()
	assert.NilError(t, err)
	signer, err := NewSigner(Options{SigningConfig: config, Token: GivenToken(token), Retries: -1})
	assert.NilError(t, err)
	_, err = signer.Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.SigningUnavailable)
	assert.ErrorContains(t, err, "127.0.0.1:1: no connection")
}

func TestSigningConfigs(t *testing.T) {
	t.Parallel()
	_, err := NewSigner(Options{Token: GivenToken("x")})
	assert.NilError(t, err, "the public instance is a configuration")
	_, err = NewSigner(Options{})
	assert.Equal(t, sign.ReasonOf(err), sign.Unsigned)
	w := newWorld(t)
	good, err := w.SigningConfig(w.url, withV2)
	assert.NilError(t, err)
	over := func(list string) func(tree) {
		return func(doc tree) {
			doc[list].([]any)[0].(tree)["validFor"] = tree{"start": "2020-01-01T00:00:00Z", "end": "2020-02-01T00:00:00Z"}
		}
	}
	for name, c := range map[string]struct {
		change func(tree)
		field  string
	}{
		"other media type":     {func(doc tree) { doc["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.1+json" }, "mediaType"},
		"unknown member":       {func(doc tree) { doc["x"] = 1 }, ""},
		"no authority":         {func(doc tree) { delete(doc, "caUrls") }, "caUrls"},
		"authority is over":    {over("caUrls"), "caUrls"},
		"no log":               {func(doc tree) { delete(doc, "rekorTlogUrls") }, "rekorTlogUrls"},
		"log is over":          {over("rekorTlogUrls"), "rekorTlogUrls"},
		"log of version 3":     {func(doc tree) { doc["rekorTlogUrls"].([]any)[0].(tree)["majorApiVersion"] = 3 }, "rekorTlogUrls"},
		"no selector of logs":  {func(doc tree) { delete(doc, "rekorTlogConfig") }, "rekorTlogConfig"},
		"more than there are":  {func(doc tree) { doc["rekorTlogConfig"] = tree{"selector": "EXACT", "count": 2} }, "rekorTlogUrls"},
		"no time at all":       {func(doc tree) { delete(doc, "tsaUrls") }, "tsaUrls"},
		"stamps are over":      {over("tsaUrls"), "tsaUrls"},
		"no selector of those": {func(doc tree) { delete(doc, "tsaConfig") }, "tsaConfig"},
	} {
		_, err := NewSigner(Options{SigningConfig: edited(t, good, c.change), Token: GivenToken("x")})
		var refusal *strict.Error
		assert.Assert(t, errors.As(err, &refusal), "%s: %v", name, err)
		assert.Equal(t, refusal.Reason, sign.Schema, name)
		assert.Equal(t, refusal.Field, c.field, name)
	}
	_, err = NewSigner(Options{SigningConfig: bytes.Repeat([]byte(" "), 5<<20), Token: GivenToken("x")})
	assert.Equal(t, sign.ReasonOf(err), sign.LimitExceeded)
}

// The services of the configuration are asked, and no other.
func TestEndpointsAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked := map[string]bool{}
	w.before = func(_ http.ResponseWriter, r *http.Request) bool { asked[r.URL.Path] = true; return false }
	w.sign(t, withV1)
	assert.DeepEqual(t, asked, map[string]bool{"/token": true, "/api/v2/signingCert": true, "/api/v1/log/entries": true})
	clear(asked)
	w.sign(t, withV2)
	assert.DeepEqual(t, asked, map[string]bool{"/token": true, "/api/v2/signingCert": true, "/api/v1/timestamp": true, "/api/v2/log/entries": true})
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	signer := w.signer(t, withV2, func(o *Options) { o.TrustedRoot = w.root })
	errs := make(chan error)
	for range 8 {
		go func() {
			_, err := signer.Sign(t.Context(), claim(t))
			errs <- err
		}()
	}
	for range 8 {
		assert.NilError(t, <-errs)
	}
}

// What was kept while the service was down is signed later, byte for byte.
func TestPendingIsCompleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dir := t.TempDir()
	_, err := sign.NewPending(dir).Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.PendingSignature)
	down := w.signer(t, withV2, func(o *Options) { o.Retries = -1 })
	w.before = func(rw http.ResponseWriter, _ *http.Request) bool {
		http.Error(rw, "down", http.StatusServiceUnavailable)
		return true
	}
	done, err := sign.Complete(t.Context(), dir, down)
	assert.Equal(t, sign.ReasonOf(err), sign.SigningUnavailable)
	assert.Equal(t, len(done), 0)
	w.before = nil
	done, err = sign.Complete(t.Context(), dir, down)
	assert.NilError(t, err)
	assert.Equal(t, len(done), 1)
	payload, _, err := Verifier{}.VerifyCertificate(t.Context(), done[0].Bundle, w.root)
	assert.NilError(t, err)
	assert.Equal(t, string(payload), string(claim(t)))
}

func TestErrorsSayWhichService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.before = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == paths["authority"] {
			http.Error(rw, "the token was "+r.Header.Get("Authorization"), http.StatusBadRequest)
			return true
		}
		return false
	}
	_, err := w.signer(t, withV1).Sign(t.Context(), claim(t))
	host := strings.TrimPrefix(w.url, "http://")
	assert.Error(t, err, fmt.Sprintf("sign: signing_refused: %s: it answers 400: %q", host, "the token was Bearer ***"))
}
