package keyless_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/tool"
)

const root = "../.."

func cache() tool.Cache {
	return tool.Cache{Dir: os.Getenv("DPONE_TOOL_CACHE"), Go: runtime.Version()}
}

// built builds a command of the nested module, if that takes seconds: its
// modules take minutes, so those must have been compiled before, or be asked for.
func built(t *testing.T, find func(string) (tool.Tool, error)) string {
	t.Helper()
	tl, err := find(root)
	assert.NilError(t, err)
	if !cache().Warm(tl) && os.Getenv("DPONE_KEYLESS_TESTS") == "" {
		t.Skip("the modules of evidence/keyless were never compiled here: run mage evidence:conformance once, or set DPONE_KEYLESS_TESTS=1")
	}
	var output bytes.Buffer
	binary, err := cache().Resolve(t.Context(), tl, &output, func(tool.Spec) {})
	assert.NilError(t, err, "%s", output.String())
	return binary.Path
}

// virtual is what a virtual Sigstore says of itself.
type virtual struct {
	TrustedRoot  []byte            `json:"trusted_root"`
	Configs      map[string][]byte `json:"configs"`
	TokenURL     string            `json:"token_url"`
	TokenRequest string            `json:"token_request"`
}

// start runs a virtual Sigstore until the test ends; stop ends it earlier.
func start(t *testing.T) (v virtual, stop func()) {
	t.Helper()
	cmd := exec.Command(built(t, keyless.VirtualSigstore))
	in, err := cmd.StdinPipe()
	assert.NilError(t, err)
	out, err := cmd.StdoutPipe()
	assert.NilError(t, err)
	assert.NilError(t, cmd.Start())
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			assert.Check(t, in.Close())
			assert.Check(t, cmd.Wait())
		}
	}
	t.Cleanup(stop)
	line, err := bufio.NewReader(out).ReadBytes('\n')
	assert.NilError(t, err)
	assert.NilError(t, json.Unmarshal(line, &v))
	return v, stop
}

func claim(t *testing.T) []byte {
	t.Helper()
	s, err := statement.New(
		[]statement.ResourceDescriptor{{Name: "a", Digest: map[string]string{"sha256": strings.Repeat("1", 64)}}},
		&statement.Release{PURL: "pkg:golang/github.com/dpone/dpone@v1.2.3"},
	)
	assert.NilError(t, err)
	raw, err := s.Encode()
	assert.NilError(t, err)
	return raw
}

func TestSignsAndVerifies(t *testing.T) {
	t.Parallel()
	path := built(t, keyless.Tool)
	v, stop := start(t)
	command := &keyless.Command{Root: root, Cache: cache()}
	resolved, err := command.Resolve(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, resolved, path)
	verifier := keyless.Verifier{Command: command}
	var last *keyless.Signer
	for _, version := range []string{"v1", "v2"} {
		last, err = keyless.NewSigner(command, keyless.Access{
			SigningConfig: v.Configs[version], TrustedRoot: v.TrustedRoot, TokenURL: v.TokenURL, TokenRequest: v.TokenRequest, Timeout: 2 * time.Second,
		})
		assert.NilError(t, err)
		assert.Equal(t, last.Kind(), sign.KindKeyless)
		assert.Equal(t, last.KeyID(), "")
		bundle, err := last.Sign(t.Context(), claim(t))
		assert.NilError(t, err)
		payload, who, err := verifier.VerifyCertificate(t.Context(), bundle, v.TrustedRoot)
		assert.NilError(t, err)
		assert.Equal(t, string(payload), string(claim(t)))
		assert.Equal(t, who.RunInvocationURI, "https://github.com/dpone/dpone/actions/runs/7/attempts/2")
		assert.Assert(t, !who.SignedAt.IsZero())

		// The reasons come through.
		_, _, err = verifier.VerifyCertificate(t.Context(), bundle, otherRoot(t))
		assert.Equal(t, sign.ReasonOf(err), sign.UntrustedSigner, "%v", err)
		changed := bytes.Replace(bundle, []byte(`"logIndex":"`), []byte(`"logIndex":"9`), 1)
		_, _, err = verifier.VerifyCertificate(t.Context(), changed, v.TrustedRoot)
		assert.Equal(t, sign.ReasonOf(err), sign.LogMismatch, "%v", err)
	}

	// The services are gone: nothing is lost, and it is said.
	stop()
	_, err = last.Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.SigningUnavailable, "%v", err)
	assert.Assert(t, !strings.Contains(err.Error(), v.TokenRequest), "%v", err)
	_, err = last.Sign(t.Context(), []byte("{}"))
	assert.Equal(t, sign.ReasonOf(err), sign.Schema, "%v", err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = last.Sign(ctx, claim(t))
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, sign.ReasonOf(err), sign.Reason(""))
}

// otherRoot is the trusted root of another virtual Sigstore, kept as a file
// together with a bundle. To make both anew, set DPONE_KEYLESS_TESTS=1 and run
// this package's tests with -run Golden -update.
func otherRoot(t *testing.T) []byte {
	t.Helper()
	raw, err := os.ReadFile("testdata/trusted_root.json")
	assert.NilError(t, err)
	return raw
}

// A bundle that was signed long ago verifies for ever, since a log says when.
func TestGoldenBundle(t *testing.T) {
	t.Parallel()
	if golden.FlagUpdate() {
		v, _ := start(t)
		signer, err := keyless.NewSigner(&keyless.Command{Root: root, Cache: cache()}, keyless.Access{
			SigningConfig: v.Configs["v2"], TrustedRoot: v.TrustedRoot, TokenURL: v.TokenURL, TokenRequest: v.TokenRequest,
		})
		assert.NilError(t, err)
		bundle, err := signer.Sign(t.Context(), claim(t))
		assert.NilError(t, err)
		assert.NilError(t, os.WriteFile("testdata/bundle.sigstore.json", bundle, 0o644))
		assert.NilError(t, os.WriteFile("testdata/trusted_root.json", append(v.TrustedRoot, '\n'), 0o644))
	}
	bundle, err := os.ReadFile("testdata/bundle.sigstore.json")
	assert.NilError(t, err)
	verifier := keyless.Verifier{Command: &keyless.Command{Path: built(t, keyless.Tool)}}
	payload, who, err := verifier.VerifyCertificate(t.Context(), bundle, otherRoot(t))
	assert.NilError(t, err)
	assert.Equal(t, string(payload), string(claim(t)))
	assert.Equal(t, who.Ref, "refs/heads/main")
}

// script is a command that answers what it is told, whatever it is asked.
func script(t *testing.T, body string) *keyless.Command {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	path := filepath.Join(t.TempDir(), "command")
	assert.NilError(t, os.WriteFile(path, []byte("#!/bin/sh\ncat >/dev/null\n"+body), 0o755))
	return &keyless.Command{Path: path}
}

// A command that is not what it should be makes nothing good.
func TestCommandThatIsNotIt(t *testing.T) {
	t.Parallel()
	bundle, err := os.ReadFile("testdata/bundle.sigstore.json")
	assert.NilError(t, err)
	for body, want := range map[string]sign.Reason{
		"exit 0":                          sign.EmptyEvidence,
		"exit 1":                          sign.EmptyEvidence,
		"exit 2":                          sign.KeylessUnavailable,
		"kill -9 $$":                      sign.KeylessUnavailable,
		"echo '{}'":                       sign.KeylessUnavailable,
		"echo nonsense":                   sign.Malformed,
		`echo '{"payload":"e30="}'`:       sign.KeylessUnavailable,
		`echo '{"identity":{"san":"x"}}'`: sign.KeylessUnavailable,
		`echo '{"payload":"e30=","identity":{"san":"x","signed_at":"2026-01-01T00:00:00Z"}}'`: sign.KeylessUnavailable,
		`echo '{"error":{"reason":"time_invalid","detail":"x"}}'; exit 1`:                     sign.TimeInvalid,
		"yes | head -c 40000000": sign.KeylessUnavailable,
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			payload, who, err := keyless.Verifier{Command: script(t, body)}.VerifyCertificate(t.Context(), bundle, []byte("{}"))
			assert.Equal(t, sign.ReasonOf(err), want, "%v", err)
			assert.Assert(t, payload == nil && who == (sign.Identity{}))
		})
	}
	signer, err := keyless.NewSigner(script(t, `printf '{"bundle":"'; base64 -w0 '`+abs(t, "testdata/bundle.sigstore.json")+`'; echo '"}'`), keyless.Access{Token: "a.b.c"})
	assert.NilError(t, err)
	_, err = signer.Sign(t.Context(), claim(t))
	assert.NilError(t, err, "it is over these bytes")
	_, err = signer.Sign(t.Context(), []byte(`{"other":true}`))
	assert.Equal(t, sign.ReasonOf(err), sign.DigestMismatch)
}

func abs(t *testing.T, path string) string {
	t.Helper()
	whole, err := filepath.Abs(path)
	assert.NilError(t, err)
	return whole
}

// Secrets go over standard input, and nowhere else.
func TestSecretsAreNotArguments(t *testing.T) {
	t.Setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "hunter2")
	t.Setenv("SIGSTORE_ID_TOKEN", "hunter2")
	seen := filepath.Join(t.TempDir(), "seen")
	command := script(t, `echo "$*" >`+seen+`; env >>`+seen)
	signer, err := keyless.NewSigner(command, keyless.Access{TokenURL: "https://example.com/hunter2", TokenRequest: "hunter2"})
	assert.NilError(t, err)
	_, err = signer.Sign(t.Context(), claim(t))
	assert.Equal(t, sign.ReasonOf(err), sign.EmptyEvidence)
	raw, err := os.ReadFile(seen)
	assert.NilError(t, err)
	shown := string(raw) + fmt.Sprintf("%v %+v %#v %s %x", signer, signer, signer, signer, signer)
	assert.Assert(t, !strings.Contains(shown, "hunter2"), shown)
}

// What can be refused without the command is, where it cannot be had, too.
func TestRefusedWithoutTheCommand(t *testing.T) {
	t.Parallel()
	bundle, err := os.ReadFile("testdata/bundle.sigstore.json")
	assert.NilError(t, err)
	verifier := keyless.Verifier{Command: &keyless.Command{Path: "/nowhere/" + keyless.Name}}
	for name, c := range map[string]struct {
		bundle, root []byte
		want         sign.Reason
	}{
		"nothing":      {nil, []byte("{}"), sign.EmptyEvidence},
		"no root":      {bundle, nil, sign.TrustRootMissing},
		"no command":   {bundle, []byte("{}"), sign.KeylessUnavailable},
		"a key twice":  {bytes.Replace(bundle, []byte(`"mediaType"`), []byte(`"mediaType":"","mediaType"`), 1), []byte("{}"), sign.DuplicateKey},
		"a key's hint": {[]byte(`{"mediaType":"` + sign.MediaType + `","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payload":"eA==","payloadType":"` + sign.PayloadType + `","signatures":[{"sig":"eA=="}]}}`), []byte("{}"), sign.UnsupportedMaterial},
	} {
		_, _, err := verifier.VerifyCertificate(t.Context(), c.bundle, c.root)
		assert.Equal(t, sign.ReasonOf(err), c.want, "%s: %v", name, err)
	}
	for name, access := range map[string]keyless.Access{"nothing": {}, "half": {TokenURL: "x"}, "other half": {TokenRequest: "x"}} {
		_, err := keyless.NewSigner(verifier.Command, access)
		assert.Equal(t, sign.ReasonOf(err), sign.Unsigned, name)
	}
	_, err = keyless.NewSigner(verifier.Command, keyless.Access{Token: "x", Timeout: 2 * time.Hour})
	assert.Equal(t, sign.ReasonOf(err), sign.Schema)
}

// The code that the command is built from is what decides whether it is built anew.
func TestCodeIsAllThatGoesIn(t *testing.T) {
	t.Parallel()
	tl, err := keyless.Tool(root)
	assert.NilError(t, err)
	cmd := exec.Command("go", "list", "-deps", "-f", "{{.Dir}}", "./cmd/...")
	cmd.Dir = tl.Tree.Module
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("the modules of evidence/keyless cannot be had: %v", err)
	}
	tree := abs(t, root) + string(filepath.Separator)
	seen := 0
	for dir := range strings.Lines(string(out)) {
		dir = strings.TrimSpace(dir)
		if !strings.HasPrefix(dir, tree) {
			continue
		}
		seen++
		assert.Check(t, slices.ContainsFunc(tl.Tree.Code, func(code string) bool {
			code, deep := strings.CutSuffix(code, "/...")
			return dir == code || deep && strings.HasPrefix(dir, code+"/")
		}), dir)
	}
	assert.Assert(t, seen > 4)
}

// Projects of others have no nested module of ours, unless they have our tree.
func TestProjectsOfOthers(t *testing.T) {
	t.Parallel()
	tree := abs(t, root)
	for name, c := range map[string]struct {
		gomod string
		found bool
	}{
		"our own":       {"module github.com/dpone/dpone\n", false}, // and the module is not there
		"a release":     {"module example.com/x\n\nrequire github.com/dpone/dpone v1.0.0\n", false},
		"a folder":      {"module example.com/x\n\nrequire github.com/dpone/dpone v1.0.0\n\nreplace github.com/dpone/dpone => " + tree + "\n", true},
		"a fork":        {"module example.com/x\n\nreplace github.com/dpone/dpone => example.com/fork v1.0.0\n", false},
		"broken":        {"nonsense\n", false},
		"nothing there": {"", false},
	} {
		dir := t.TempDir()
		if c.gomod != "" {
			assert.NilError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(c.gomod), 0o644))
		}
		tl, err := keyless.Tool(dir)
		if c.found {
			assert.NilError(t, err, name)
			assert.Equal(t, tl.Tree.Module, filepath.Join(tree, "evidence", "keyless"))
			continue
		}
		assert.Equal(t, sign.ReasonOf(err), sign.KeylessUnavailable, "%s: %v", name, err)
		_, err = (&keyless.Command{Root: dir}).Resolve(t.Context())
		assert.Equal(t, sign.ReasonOf(err), sign.KeylessUnavailable, name)
	}
}

func TestModulesThatCannotBeHad(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("GOFLAGS", "")
	var output bytes.Buffer
	builds := 0
	command := &keyless.Command{Root: root, Cache: tool.Cache{Dir: t.TempDir(), Go: "go1"}, Output: &output, Building: func(tool.Spec) { builds++ }}
	_, err := command.Resolve(t.Context())
	assert.Equal(t, sign.ReasonOf(err), sign.KeylessUnavailable, "%v", err)
	assert.ErrorIs(t, err, tool.ErrBuild)
	assert.Equal(t, builds, 1)
	assert.Assert(t, strings.Contains(output.String(), "GOPROXY=off"), output.String())
}

// The tests of the nested module run with those of ours, where its modules were
// compiled before; Go keeps the result for as long as nothing changes.
func TestNestedModule(t *testing.T) {
	t.Parallel()
	tl, err := keyless.VirtualSigstore(root)
	assert.NilError(t, err)
	if !cache().Warm(tl) && os.Getenv("DPONE_KEYLESS_TESTS") == "" {
		t.Skip("the modules of evidence/keyless were never compiled here: run mage evidence:conformance, which always runs its tests, or set DPONE_KEYLESS_TESTS=1")
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "./...")
	cmd.Dir = tl.Tree.Module
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	assert.NilError(t, err, "%s", out)
	t.Logf("%s", out)
}
