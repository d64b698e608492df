// Package keyless lets the light root module sign and verify as Sigstore does
// it, without a key of one's own. What that needs is heavy, so it is a command
// of a nested module, evidence/keyless, which is built once into the cache of
// tools and spoken to over its standard streams (package evidence/sign/wire).
//
// [Signer] is a sign.Signer and [Verifier] a sign.CertificateVerifier. Where
// the command cannot be had, every error has the reason
// sign.KeylessUnavailable: nothing was signed, or nothing was checked, which is
// neither a good nor a bad signature.
package keyless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

// Name is that of the command, and Module the folder of its module, relative to
// the root of our source tree.
const (
	Name   = "dpone-keyless"
	Module = "evidence/keyless"
)

const ours = "github.com/dpone/dpone"

// code is the folders whose code goes into the command (tool.Tree).
var code = []string{"evidence", "evidence/sign/...", "evidence/statement/...", Module + "/..."}

// Tool is the command, for a step of a gate that needs it. root is our own
// source tree, or one of a project whose go.mod replaces our module by a
// folder. The error has the reason sign.KeylessUnavailable.
func Tool(root string) (tool.Tool, error) { return command(root, Name) }

// VirtualSigstore is the command of the same module that plays Sigstore in tests.
func VirtualSigstore(root string) (tool.Tool, error) { return command(root, "virtual-sigstore") }

// SigstoreVerify is the command of the same module that verifies as a plain
// user of sigstore-go, for tests.
func SigstoreVerify(root string) (tool.Tool, error) { return command(root, "sigstore-verify") }

func command(root, name string) (tool.Tool, error) {
	tree, err := source(root)
	if err != nil {
		return tool.Tool{}, err
	}
	t := &tool.Tree{Module: filepath.Join(tree, filepath.FromSlash(Module)), Package: "./cmd/" + name}
	for _, dir := range code {
		t.Code = append(t.Code, filepath.Join(tree, filepath.FromSlash(dir)))
	}
	return tool.Tool{Name: name, Tree: t}, nil
}

// source finds our source tree: a released module does not hold a nested one.
func source(root string) (string, error) {
	refuse := func(format string, args ...any) (string, error) {
		return "", fmt.Errorf("keyless: %w", strict.Refuse(sign.KeylessUnavailable, "", "%s", fmt.Sprintf(format, args...)))
	}
	raw, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return refuse("there is no source tree to build %s from: %v", Name, err)
	}
	file, err := modfile.Parse("go.mod", raw, nil)
	if err != nil || file.Module == nil {
		return refuse("go.mod of %s cannot be read", root)
	}
	tree := root
	if file.Module.Mod.Path != ours {
		tree = ""
		for _, replace := range file.Replace {
			if replace.Old.Path == ours && replace.New.Version == "" {
				tree = replace.New.Path
			}
		}
		if tree == "" {
			return refuse("the module %s does not hold %s: build it from a checkout of %s (go -C %s build ./cmd/%s), and set DPONE_KEYLESS to its path", ours, Module, ours, Module, Name)
		}
		if !filepath.IsAbs(tree) {
			tree = filepath.Join(root, filepath.FromSlash(tree))
		}
	}
	if _, err := os.Stat(filepath.Join(tree, filepath.FromSlash(Module), "go.mod")); err != nil {
		return refuse("%s has no module %s", tree, Module)
	}
	return filepath.Abs(tree)
}

// Command is the command, which is built when it is first needed. It may be
// used by many goroutines.
type Command struct {
	// Path is a built command; if empty, it is built from Root.
	Path string
	// Root is the source tree; see [Tool].
	Root string
	// Cache keeps the built command.
	Cache tool.Cache
	// Output takes what a build prints, and Building is called before one
	// starts: that may take minutes. Both may be nil.
	Output   io.Writer
	Building func(tool.Spec)
	// Exec runs the command instead, for a step of a gate: it gets the standard
	// input and returns the standard output. An error with an exit code is the
	// command's own, see proc.ExitError.
	Exec func(ctx context.Context, stdin []byte) ([]byte, error)

	mu    sync.Mutex
	found string
}

// Resolve returns the path of the command, and builds it if need be.
func (c *Command) Resolve(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Path != "" {
		if info, err := os.Stat(c.Path); err != nil || !info.Mode().IsRegular() {
			return "", fmt.Errorf("keyless: %w", strict.Refuse(sign.KeylessUnavailable, "", "%s is no file", strict.Quote(c.Path)))
		}
		return c.Path, nil
	}
	if c.found != "" {
		return c.found, nil
	}
	t, err := Tool(c.Root)
	if err != nil {
		return "", err
	}
	cache := c.Cache
	if cache.Go == "" {
		if cache.Go, err = goVersion(ctx, c.Root); err != nil {
			return "", unavailable(ctx, err)
		}
	}
	output, building := c.Output, c.Building
	if output == nil {
		output = io.Discard
	}
	if building == nil {
		building = func(tool.Spec) {}
	}
	binary, err := cache.Resolve(ctx, t, output, building)
	if err != nil {
		return "", unavailable(ctx, err)
	}
	c.found = binary.Path
	return c.found, nil
}

func goVersion(ctx context.Context, root string) (string, error) {
	result, err := proc.Run(ctx, root, proc.Command{Name: "go", Args: []string{"env", "GOVERSION"}}, proc.Options{Capture: 1 << 10})
	return strings.TrimSpace(string(result.Stdout)), err
}

// unavailable is the refusal when the command cannot be had or asked. That the
// caller wants no more is not one.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("keyless: %w", context.Cause(ctx))
	}
	return fmt.Errorf("keyless: %w", errors.Join(strict.Refuse(sign.KeylessUnavailable, "", "%s cannot be had", Name), err))
}

// ask sends a request and returns the response. Every error holds a refusal,
// but when ctx is over.
func (c *Command) ask(ctx context.Context, request wire.Request) (wire.Response, error) {
	var in bytes.Buffer
	if err := wire.Write(&in, request); err != nil {
		return wire.Response{}, fmt.Errorf("keyless: %w", err)
	}
	exec := c.Exec
	if exec == nil {
		path, err := c.Resolve(ctx)
		if err != nil {
			return wire.Response{}, err
		}
		exec = func(ctx context.Context, stdin []byte) ([]byte, error) {
			result, err := proc.Run(ctx, os.TempDir(), proc.Command{Name: path}, proc.Options{Stdin: bytes.NewReader(stdin), Stdout: io.Discard, Capture: wire.MaxMessage})
			return result.Stdout, err
		}
	}
	out, err := exec(ctx, in.Bytes())
	if code, exited := proc.ExitCode(err); err != nil && (!exited || code != 1) {
		return wire.Response{}, unavailable(ctx, err)
	}
	response, err := wire.DecodeResponse(out)
	if err != nil {
		return wire.Response{}, fmt.Errorf("keyless: %w", err)
	}
	return response, nil
}

// Verifier verifies bundles with a certificate. It is a sign.CertificateVerifier.
type Verifier struct{ Command *Command }

// VerifyCertificate is described at sign.CertificateVerifier.
func (v Verifier) VerifyCertificate(ctx context.Context, bundle, trustedRoot []byte) ([]byte, sign.Identity, error) {
	// What needs no heavy library is refused without one, for the same reason.
	b, err := sign.DecodeBundle(bundle)
	if err != nil {
		return nil, sign.Identity{}, fmt.Errorf("keyless: %w", err)
	}
	if b.VerificationMaterial.Certificate == nil {
		return nil, sign.Identity{}, fmt.Errorf("keyless: %w", strict.Refuse(sign.UnsupportedMaterial, "verificationMaterial.publicKey", "signed with a key, which is not verified with a certificate"))
	}
	if len(trustedRoot) == 0 {
		return nil, sign.Identity{}, fmt.Errorf("keyless: %w", strict.Refuse(sign.TrustRootMissing, "trusted_root", "there is a certificate and nothing to check it with"))
	}
	response, err := v.Command.ask(ctx, wire.Request{Op: wire.OpVerify, Bundle: bundle, TrustedRoot: trustedRoot})
	if err != nil {
		return nil, sign.Identity{}, err
	}
	// The command may be another version, or somebody's: what it says it
	// verified must be what was given.
	payload, err := b.Payload()
	if err != nil {
		return nil, sign.Identity{}, fmt.Errorf("keyless: %w", err)
	}
	if response.Identity == nil || response.Identity.SignedAt.IsZero() || !bytes.Equal(response.Payload, payload) {
		return nil, sign.Identity{}, fmt.Errorf("keyless: %w", strict.Refuse(sign.KeylessUnavailable, "", "%s answers without having verified", Name))
	}
	return payload, *response.Identity, nil
}

// Signer signs with a key that lives for one signature. It is a sign.Signer.
// Its secrets do not show when it is printed.
type Signer struct {
	command *Command
	access  Access
}

// Access says how to get a signature.
type Access struct {
	// SigningConfig is a signing_config.json; without one, the services are
	// those of the public instance of Sigstore.
	SigningConfig []byte
	// TrustedRoot is a trusted_root.json. If it is there, a bundle is verified
	// before it is returned.
	TrustedRoot []byte
	// TokenURL and TokenRequest are the variables ACTIONS_ID_TOKEN_REQUEST_URL
	// and ACTIONS_ID_TOKEN_REQUEST_TOKEN of a job of GitHub Actions that has
	// the permission "id-token: write". Secret.
	TokenURL, TokenRequest string
	// Token is an identity token, in place of those. Secret.
	Token string
	// Timeout bounds a signature; two minutes if 0.
	Timeout time.Duration
}

// NewSigner makes a signer. Without a way to get an identity token the reason
// is sign.Unsigned: so it is for a pull request from a fork.
func NewSigner(command *Command, access Access) (*Signer, error) {
	if access.Token == "" && (access.TokenURL == "" || access.TokenRequest == "") {
		return nil, fmt.Errorf("keyless: %w", strict.Refuse(sign.Unsigned, "", "there is no identity token: the job has no permission \"id-token: write\", or is of a pull request from a fork"))
	}
	if access.Timeout < 0 || access.Timeout > time.Hour {
		return nil, fmt.Errorf("keyless: %w", strict.Refuse(sign.Schema, "timeout", "%s is not between 0 and an hour", access.Timeout))
	}
	return &Signer{command: command, access: access}, nil
}

// Kind returns sign.KindKeyless.
func (*Signer) Kind() string { return sign.KindKeyless }

// KeyID is empty: the key is gone when the signature is there.
func (*Signer) KeyID() string { return "" }

// String shows no secret.
func (*Signer) String() string { return "signer(" + sign.KindKeyless + ")" }

// Format is String for every verb, so that %v, %#v and %x say no more.
func (s *Signer) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// Sign returns a bundle over exactly these bytes. When the service cannot be
// had, the reason is sign.SigningUnavailable: keep the statement ([sign.Pending])
// and sign the same bytes later.
func (s *Signer) Sign(ctx context.Context, statement []byte) ([]byte, error) {
	request := wire.Request{
		Op: wire.OpSign, Statement: statement, SigningConfig: s.access.SigningConfig, TrustedRoot: s.access.TrustedRoot,
		Token: s.access.Token, Seconds: int((s.access.Timeout + time.Second - 1) / time.Second),
	}
	if s.access.Token == "" {
		request.TokenURL, request.TokenRequest = s.access.TokenURL, s.access.TokenRequest
	}
	response, err := s.command.ask(ctx, request)
	if err != nil {
		return nil, err
	}
	bundle, err := sign.DecodeBundle(response.Bundle)
	if err != nil {
		return nil, fmt.Errorf("keyless: %w", err)
	}
	payload, err := bundle.Payload()
	if err != nil {
		return nil, fmt.Errorf("keyless: %w", err)
	}
	if !bytes.Equal(payload, statement) {
		return nil, fmt.Errorf("keyless: %w", strict.Refuse(sign.DigestMismatch, "dsseEnvelope.payload", "%s signed another statement", Name))
	}
	return response.Bundle, nil
}
