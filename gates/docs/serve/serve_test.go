package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/serve"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/gatetest"
)

// screen is what a person sees; the server writes to it while the test reads.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func get(t *testing.T, address string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	assert.NilError(t, err)
	answer, err := http.DefaultClient.Do(request)
	assert.NilError(t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	assert.NilError(t, err)
	return answer.StatusCode, string(body), answer.Header
}

type state struct {
	Version  int
	Findings []site.Finding
	Error    string
}

// next waits for a version after the given one.
func next(t *testing.T, address string, version int) state {
	t.Helper()
	_, body, _ := get(t, fmt.Sprintf("%s-/state?version=%d", address, version))
	var s state
	assert.NilError(t, json.Unmarshal([]byte(body), &s))
	return s
}

func TestServe(t *testing.T) {
	root := gatetest.Repository(t, "-- go.mod --\nmodule example.com/x\n-- docs/README.md --\n# Home\n\n[deep](deep/)\n-- docs/deep/README.md --\n# Deep\n")
	ctx, cancel := context.WithCancel(t.Context())
	out, ready, ended := &screen{}, make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Options{Root: root, Poll: 10 * time.Millisecond, Stdout: out, Ready: func(a string) { ready <- a }})
	}()
	address := <-ready
	assert.Assert(t, strings.HasPrefix(address, "http://127.0.0.1:"), address)

	status, body, header := get(t, address)
	assert.Equal(t, status, http.StatusOK)
	assert.Equal(t, header.Get("Content-Type"), "text/html; charset=utf-8")
	assert.Assert(t, is.Contains(body, "Home"))
	for path, want := range map[string]int{
		"deep/": 200, "deep": 200, "deep/index.html": 200, "assets/site.css": 200, "-/preview.js": 200, "-/preview.css": 200, "nope": 404, "../go.mod": 404,
	} {
		status, _, _ := get(t, address+path)
		assert.Check(t, is.Equal(status, want), path)
	}
	first := next(t, address, 0)
	assert.Equal(t, len(first.Findings), 0)

	// A change that breaks something is told in the page and in the terminal.
	assert.NilError(t, os.WriteFile(filepath.Join(root, "docs", "README.md"), []byte("# Home\n\n[deep](deep/) [x](no.md)\n"), 0o644))
	second := next(t, address, first.Version)
	for len(second.Findings) == 0 { // a build may have begun in the middle of the change
		second = next(t, address, second.Version)
	}
	assert.Equal(t, second.Findings[0].Code, "docs.page")
	assert.Assert(t, is.Contains(out.String(), "docs/README.md:3  the page \"no.md\" does not exist  [docs.page]"))

	// Without a page there is an error, and the last site stays.
	assert.NilError(t, os.RemoveAll(filepath.Join(root, "docs")))
	third := next(t, address, second.Version)
	for !strings.Contains(third.Error, "no page") { // a build may have begun in the middle of it
		third = next(t, address, third.Version)
	}
	status, _, _ = get(t, address+"assets/site.css")
	assert.Equal(t, status, http.StatusOK)

	// A page of another site that resolves to this machine gets nothing.
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	assert.NilError(t, err)
	request.Host = "evil.example:80"
	answer, err := http.DefaultClient.Do(request)
	assert.NilError(t, err)
	answer.Body.Close()
	assert.Equal(t, answer.StatusCode, http.StatusForbidden)
	post, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
	assert.NilError(t, err)
	answer, err = http.DefaultClient.Do(post)
	assert.NilError(t, err)
	answer.Body.Close()
	assert.Equal(t, answer.StatusCode, http.StatusMethodNotAllowed)

	cancel()
	assert.NilError(t, <-ended)
}

func TestPort(t *testing.T) {
	t.Parallel()
	root := gatetest.Repository(t, "-- docs/README.md --\n# Home\n")
	ctx, cancel := context.WithCancel(t.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- serve.Run(ctx, serve.Options{Root: root, Stdout: io.Discard, Ready: func(a string) { ready <- a }})
	}()
	var taken int
	_, err := fmt.Sscanf(<-ready, "http://127.0.0.1:%d/", &taken)
	assert.NilError(t, err)
	for _, port := range []int{-1, 70000, taken} {
		err := serve.Run(t.Context(), serve.Options{Root: root, Port: port, Stdout: io.Discard})
		var usage *gates.UsageError
		assert.Assert(t, errors.As(err, &usage), "%d: %v", port, err)
		assert.Assert(t, is.Contains(err.Error(), "-port="))
	}
	cancel()
	assert.NilError(t, <-ended)
}
