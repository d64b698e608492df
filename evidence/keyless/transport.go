package keyless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// transport is below every request of a signature. The clients above it, which
// are those of the libraries, each have another idea of time limits, retries
// and errors; here they get one. What cannot be had now and what was refused
// are errors of two reasons, which come through the clients as they are.
type transport struct {
	inner   http.RoundTripper
	ctx     context.Context // of the signature: not every client passes one on
	timeout time.Duration   // of one try
	retries int
	wait    func(ctx context.Context, d time.Duration) error
}

const (
	maxRequest = 32 << 20
	maxWait    = 30 * time.Second
)

// RoundTrip sends a request, again if need be.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := r.URL.Host
	if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || !loopback(r.URL)) {
		return nil, strict.Refuse(sign.SigningRefused, host, "the address is not https")
	}
	var body []byte
	if r.Body != nil {
		defer r.Body.Close()
		var err error
		if body, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); err != nil {
			return nil, err
		}
		if len(body) > maxRequest {
			return nil, strict.Refuse(sign.LimitExceeded, host, "a request of more than %d bytes", maxRequest)
		}
	}
	pause := time.Second
	for try := 0; ; try++ {
		response, answer, err := t.once(r, body)
		again, why := true, ""
		switch {
		case t.ctx.Err() != nil:
			return nil, t.stopped(host)
		case err != nil:
			why = reasonOf(err)
		case response.StatusCode == http.StatusTooManyRequests || response.StatusCode >= 500:
			why = "it answers " + strconv.Itoa(response.StatusCode)
			if after := retryAfter(response); after > 0 {
				pause = after
			}
		case response.StatusCode >= 300 && response.StatusCode != http.StatusConflict:
			again, why = false, "it answers "+strconv.Itoa(response.StatusCode)
		default:
			response.Body = io.NopCloser(bytes.NewReader(answer))
			return response, nil
		}
		if !again {
			return nil, strict.Refuse(sign.SigningRefused, host, "%s: %s", why, quote(answer, r.Header.Get("Authorization")))
		}
		if try >= t.retries {
			return nil, unavailable(host, "%s, after %d tries", why, try+1)
		}
		if t.wait(t.ctx, min(pause, maxWait)) != nil {
			return nil, t.stopped(host)
		}
		pause *= 2
	}
}

// once sends a request and reads the whole answer.
func (t *transport) once(r *http.Request, body []byte) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(t.ctx, t.timeout)
	defer cancel()
	r = r.Clone(ctx)
	r.Body, r.GetBody = nil, nil
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	response, err := t.inner.RoundTrip(r)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(answer) > maxAnswer {
		err = fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return response, answer, err
}

// stopped is the error when the time for the whole signature is over, which is
// the service's fault, or the caller wants no more of it, which is not.
func (t *transport) stopped(host string) error {
	if errors.Is(t.ctx.Err(), context.DeadlineExceeded) {
		return unavailable(host, "no answer within the time of the signature")
	}
	return context.Cause(t.ctx)
}

// quote is the beginning of an answer, without the secret of the request.
func quote(answer []byte, authorization string) string {
	text := string(bytes.TrimSpace(answer))
	if _, secret, ok := strings.Cut(authorization, " "); ok && secret != "" {
		text = strings.ReplaceAll(text, secret, "***")
	}
	return strict.Quote(text)
}

// reasonOf says what went wrong without the address, which may hold a secret.
func reasonOf(err error) string {
	var timeout interface{ Timeout() bool }
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &dns):
		return "its name is not known"
	case errors.As(err, &op):
		return "no connection: " + op.Err.Error()
	}
	return err.Error()
}

// retryAfter is the wait that an answer asks for, in seconds; 0 for none.
func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, int(maxWait/time.Second))) * time.Second
}

// loopback is this machine, where tests and proxies run without a certificate.
func loopback(address *url.URL) bool {
	ip := net.ParseIP(address.Hostname())
	return address.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// sleep waits, or ends with the context.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// lenient reads JSON of a service, which may have more members than are known.
func lenient(raw []byte, v any) error { return json.Unmarshal(raw, v) }
