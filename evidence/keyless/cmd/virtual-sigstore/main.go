// Command virtual-sigstore is a Sigstore of one's own for tests: it serves the
// certificate authority, the logs and the timestamp authority of package
// internal/virtual on a port of this machine until its standard input ends,
// or it is killed. Nothing that it signs proves anything.
//
// Once it listens it writes one line of JSON to standard output; bytes are in
// base64:
//
//	{"trusted_root": "...", "configs": {"v1": "...", "v2": "..."}, "token_url": "http://127.0.0.1:...", "token_request": "...", "token": "..."}
//
// The configurations are for a log of version 1 alone, and for one of version
// 2 with a timestamp authority. The token is what the token service would give.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/dpone/dpone/evidence/keyless/internal/virtual"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "virtual-sigstore:", err)
		os.Exit(3) //nolint:forbidigo // a command says how it ended by its code
	}
}

func run(in io.Reader, out io.Writer) error {
	s, err := virtual.New()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	base := "http://" + listener.Addr().String()
	var about struct {
		TrustedRoot  []byte            `json:"trusted_root"`
		Configs      map[string][]byte `json:"configs"`
		TokenURL     string            `json:"token_url"`
		TokenRequest string            `json:"token_request"`
		Token        string            `json:"token"`
	}
	about.TokenURL, about.TokenRequest, about.Configs = base+virtual.TokenPath, virtual.TokenRequest, map[string][]byte{}
	if about.TrustedRoot, err = s.TrustedRoot(); err != nil {
		return err
	}
	if about.Token, err = virtual.ExampleClaims().Token(); err != nil {
		return err
	}
	for name, with := range map[string]virtual.Services{"v1": {Rekor: 1}, "v2": {Rekor: 2, Timestamp: true}} {
		if about.Configs[name], err = s.SigningConfig(base, with); err != nil {
			return err
		}
	}
	if err := json.NewEncoder(out).Encode(about); err != nil {
		return err
	}
	server := &http.Server{Handler: s.Handler(virtual.ExampleClaims()), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, in) // ends with who started us
		_ = server.Close()
	}()
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}
