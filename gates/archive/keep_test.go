package archive_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/attest"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/gates/archive"
)

const passphrase = "correct horse battery staple"

// statementKey makes a key for statements and returns both halves.
func statementKey(t *testing.T, kind string) (private, public string) {
	t.Helper()
	w := &world{env: map[string]string{sign.EnvPassword: passphrase}}
	file := filepath.Join(t.TempDir(), "key")
	r := w.expect(t, archive.Keygen, func(o *archive.Options) { o.Kind, o.File = kind, file }, evidence.Pass)
	info, err := os.Stat(file)
	assert.NilError(t, err)
	assert.Equal(t, info.Mode().Perm(), os.FileMode(0o600))
	assert.Equal(t, r.Verifier, text(t, file+".pub"))
	return text(t, file), text(t, file+".pub")
}

func (w *world) keeper(t *testing.T) *archive.Keeper {
	t.Helper()
	k, err := archive.NewKeeper(archive.Options{Getenv: func(name string) string { return w.env[name] }})
	assert.NilError(t, err)
	return k
}

// signedBy returns the statements in a folder's bundles that a key stands for.
func signedBy(t *testing.T, dir, public string) []*statement.Statement {
	t.Helper()
	trust, err := sign.NewTrust(sign.TrustedKey{Name: "ours", PublicPEM: []byte(public)})
	assert.NilError(t, err)
	contents, err := attest.Read(dir)
	assert.NilError(t, err)
	assert.Equal(t, len(contents.Foreign), 0)
	var list []*statement.Statement
	for _, b := range contents.Bundles {
		v, err := sign.VerifyBundle(b.Raw, trust, sign.Options{At: time.Now()})
		assert.NilError(t, err)
		assert.Equal(t, attest.Digest(v.Payload), b.Digest)
		list = append(list, v.Statement)
	}
	return list
}

func TestKeepLogsAndSigns(t *testing.T) {
	t.Parallel()
	for _, kind := range []sign.KeyType{sign.Ed25519, sign.ECDSAP256} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).signed()
			private, public := statementKey(t, string(kind))
			w.env[sign.EnvKey], w.env[sign.EnvPassword] = private, passphrase
			said, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
			assert.NilError(t, err)
			assert.Equal(t, len(said), 2, "%q", said)
			assert.Assert(t, strings.HasPrefix(said[0], "entry 0 of the log "+logName+", signed by "+logName), said[0])
			assert.Assert(t, strings.HasPrefix(said[1], "2 statements signed by key "), said[1])
			for _, secret := range []string{private, passphrase, w.skey} {
				assert.Assert(t, !strings.Contains(strings.Join(said, "\n"), strings.TrimSpace(secret)))
			}

			// The folder is as it was sealed, and each statement is about its index.
			index, err := seal.Read(w.run, seal.Options{})
			assert.NilError(t, err)
			w.expect(t, archive.Verify, nil, evidence.Pass)
			types := map[string]bool{}
			for _, s := range signedBy(t, w.run, public) {
				types[s.PredicateType] = true
				assert.Equal(t, s.Subject[0].Name, seal.IndexJSON)
				assert.Equal(t, s.Subject[0].Digest["sha256"], index.SHA256)
				assert.Equal(t, s.Subject[1].Name, statement.SourceName)
			}
			assert.DeepEqual(t, types, map[string]bool{statement.GateType: true, statement.TestResultType: true})

			// The proof in the folder needs no log.
			contents, err := attest.Read(w.run)
			assert.NilError(t, err)
			verifier, err := note.NewVerifier(w.vkey)
			assert.NilError(t, err)
			p, err := tlog.VerifyProof(contents.Proof.Raw, contents.Entry.Raw, verifier)
			assert.NilError(t, err)
			assert.Equal(t, p.Checkpoint.Trust, tlog.Signed)
			entry, err := tlog.DecodeEntry(contents.Entry.Raw)
			assert.NilError(t, err)
			assert.Equal(t, entry.IndexSHA256, index.SHA256)

			// To keep it again changes nothing.
			again, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
			assert.NilError(t, err)
			assert.Equal(t, again[0], said[0])
			assert.Assert(t, strings.HasSuffix(again[1], "; 2 statements had a bundle before, which stays as it is"), again[1])
			assert.Equal(t, len(signedBy(t, w.run, public)), 2)
		})
	}
}

func TestKeepWithoutKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	said, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
	assert.NilError(t, err)
	assert.DeepEqual(t, said, []string{"entry 0 of the log " + archive.DefaultOrigin + ", unsigned"})
	_, err = os.Stat(filepath.Join(w.run, attest.Dir))
	assert.ErrorIs(t, err, os.ErrNotExist)
	w.expect(t, archive.Verify, nil, evidence.Unverified, "unsigned")
}

func TestKeepRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, w *world)
		want   string
	}{
		"a folder that changed": {func(t *testing.T, w *world) { write(t, filepath.Join(w.run, "record.md"), "x") }, "mismatch"},
		"a log that was cut": {func(t *testing.T, w *world) {
			_, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
			assert.NilError(t, err)
			assert.NilError(t, os.RemoveAll(w.log))
			w.run = realRun(t, w.artifacts)
		}, "log_"},
		"a signed log and no key": {func(t *testing.T, w *world) {
			_, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
			assert.NilError(t, err)
			w.run = realRun(t, w.artifacts)
			delete(w.env, archive.EnvLogKey)
		}, "a signed log goes on signed"},
		"a file in the place of the bundles": {func(t *testing.T, w *world) {
			private, _ := statementKey(t, "ed25519")
			w.env[sign.EnvKey], w.env[sign.EnvPassword] = private, passphrase
			assert.NilError(t, os.WriteFile(filepath.Join(w.run, attest.Dir), []byte("x"), 0o644))
		}, "unlisted_artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t).signed()
			c.change(t, w)
			_, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

func TestWhoSigns(t *testing.T) {
	t.Parallel()
	private, _ := statementKey(t, "ed25519")
	other, _ := statementKey(t, "ecdsa-p256")
	mac := strings.Repeat("m", sign.MinMACKey)
	key := map[string]string{sign.EnvKey: private, sign.EnvPassword: passphrase, sign.EnvMACKey: mac}
	with := func(changes ...string) map[string]string {
		env := map[string]string{}
		for k, v := range key {
			env[k] = v
		}
		for i := 0; i < len(changes); i += 2 {
			env[changes[i]] = changes[i+1]
		}
		return env
	}
	for name, c := range map[string]struct {
		env        map[string]string
		kind, want string // the kind of the signer, or what the error says
		fork       bool   // there is no identity to be had
	}{
		"nobody":               {env: nil},
		"nobody, on request":   {env: with(archive.EnvSigner, "none")},
		"the key by itself":    {env: key, kind: "key"},
		"the key, on request":  {env: with(archive.EnvSigner, "key"), kind: "key"},
		"the MAC, on request":  {env: with(archive.EnvSigner, "hmac"), kind: "hmac"},
		"later":                {env: with(archive.EnvSigner, "pending"), kind: "later"},
		"keyless":              {env: map[string]string{archive.EnvSigner: "keyless"}, want: "no keyless signer"},
		"keyless in a fork":    {env: map[string]string{archive.EnvSigner: "keyless"}, fork: true, kind: "not signed: "},
		"a word":               {env: map[string]string{archive.EnvSigner: "maybe"}, want: `is "maybe": write none`},
		"key without one":      {env: map[string]string{archive.EnvSigner: "key", sign.EnvMACKey: mac}, want: "set DPONE_SIGNING_KEY"},
		"MAC without one":      {env: map[string]string{archive.EnvSigner: "hmac"}, want: sign.EnvMACKey},
		"a short MAC":          {env: map[string]string{sign.EnvMACKey: "short"}, want: "weak_key"},
		"a wrong passphrase":   {env: with(sign.EnvPassword, "not the passphrase"), want: "key_unusable"},
		"no key at all":        {env: with(sign.EnvKey, "rubbish"), want: "key_unusable"},
		"a passphrase, no key": {env: with(sign.EnvKey, ""), want: "secrets_unclear"},
		"another key":          {env: with(sign.EnvKey, other), kind: "key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			o := archive.Options{Getenv: func(name string) string { return c.env[name] }}
			if c.fork {
				o.Keyless = func() (sign.Signer, error) {
					_, err := (sign.Secrets{}).Signer()
					return nil, err // its reason is unsigned
				}
			}
			k, err := archive.NewKeeper(o)
			if c.want != "" {
				misuse(t, err, c.want)
				for _, secret := range []string{private, passphrase, mac} {
					assert.Assert(t, !strings.Contains(err.Error(), secret))
				}
				return
			}
			assert.NilError(t, err)
			said, err := k.Keep(t.Context(), w.artifacts, w.run)
			assert.NilError(t, err)
			if c.kind == "" {
				assert.Equal(t, len(said), 1, "%q", said)
				return
			}
			assert.Assert(t, strings.Contains(said[1], c.kind), said[1])
		})
	}
}

// failing is a signing service that is down.
type failing struct{ sign.Signer }

func (failing) Kind() string  { return sign.KindKeyless }
func (failing) KeyID() string { return "" }
func (failing) Sign(context.Context, []byte) ([]byte, error) {
	return nil, errors.New("503 service unavailable")
}

// TestSigningServiceDown holds that nothing is lost when nobody signs: the run
// is whole and logged, and what is signed later is the same to the byte.
func TestSigningServiceDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t).signed()
	getenv := func(name string) string { return w.env[name] }
	w.env[archive.EnvSigner] = archive.SignerKeyless
	k, err := archive.NewKeeper(archive.Options{
		Getenv:  getenv,
		Keyless: func() (sign.Signer, error) { return failing{}, nil },
	})
	assert.NilError(t, err)
	said, err := k.Keep(t.Context(), w.artifacts, w.run)
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(said[1], "NOT signed, 2 statements pending") && strings.Contains(said[1], "503"), said[1])
	before, err := attest.Read(w.run)
	assert.NilError(t, err)
	assert.Equal(t, len(before.Pending), 2)
	assert.Equal(t, len(before.Bundles), 0)

	// Still down: UNVERIFIED, and they are still there.
	sign1 := func(ctx context.Context, o archive.Options) error {
		o.Keyless = func() (sign.Signer, error) { return failing{}, nil }
		return archive.Sign(ctx, o)
	}
	w.expect(t, sign1, nil, evidence.Unverified, "pending_signature")

	private, public := statementKey(t, "ed25519")
	w.env[archive.EnvSigner], w.env[sign.EnvKey], w.env[sign.EnvPassword] = "", private, passphrase
	r := w.expect(t, archive.Sign, nil, evidence.Pass)
	assert.Equal(t, len(r.Signed.Bundles), 2)
	after, err := attest.Read(w.run)
	assert.NilError(t, err)
	assert.Equal(t, len(after.Pending), 0)
	for i, b := range after.Bundles {
		assert.Equal(t, b.Digest, before.Pending[i].Digest, "the same statements, byte for byte")
	}
	assert.Equal(t, len(signedBy(t, w.run, public)), 2)
}

func TestSignRefuses(t *testing.T) {
	t.Parallel()
	private, _ := statementKey(t, "ed25519")
	w := newWorld(t)
	_, _, err := w.call(t, archive.Sign, nil)
	misuse(t, err, "no signer is configured")
	w.env[sign.EnvKey], w.env[sign.EnvPassword] = private, passphrase
	_, _, err = w.call(t, archive.Sign, func(o *archive.Options) { o.Root = "" })
	misuse(t, err, "-root is missing")
	write(t, filepath.Join(w.run, "record.md"), "x")
	w.expect(t, archive.Sign, nil, evidence.Fail, "size_mismatch")
	_, err = os.Stat(filepath.Join(w.run, attest.Dir))
	assert.ErrorIs(t, err, os.ErrNotExist, "nothing is signed that is not as it was sealed")
}

func TestKeygenOfStatements(t *testing.T) {
	t.Parallel()
	w := &world{env: map[string]string{}}
	file := func(o *archive.Options) { o.File = filepath.Join(t.TempDir(), "key") }
	for name, c := range map[string]struct {
		change func(*archive.Options)
		env    map[string]string
		want   string
	}{
		"no passphrase":      {func(o *archive.Options) { o.Kind = "ed25519" }, nil, sign.EnvPassword},
		"a short passphrase": {func(o *archive.Options) { o.Kind = "ed25519" }, map[string]string{sign.EnvPassword: "short"}, "weak_key"},
		"a name":             {func(o *archive.Options) { o.Kind, o.Name = "ed25519", "x" }, map[string]string{sign.EnvPassword: passphrase}, "-name"},
		"an unknown kind":    {func(o *archive.Options) { o.Kind = "rsa" }, nil, "log, ed25519, ecdsa-p256"},
	} {
		w.env = c.env
		_, _, err := w.call(t, archive.Keygen, func(o *archive.Options) { file(o); c.change(o) })
		assert.Check(t, err != nil, name)
		misuse(t, err, c.want)
	}
}

// TestKeyFromDescriptor holds that a key may come from a descriptor, which is
// closed then: no child gets it.
func TestKeyFromDescriptor(t *testing.T) {
	private, public := statementKey(t, "ed25519")
	w := newWorld(t)
	r, out, err := os.Pipe()
	assert.NilError(t, err)
	// A number that no os.File of this test owns, as one from the parent is.
	fd, err := syscall.Dup(int(r.Fd()))
	assert.NilError(t, err)
	assert.NilError(t, r.Close())
	go func() {
		_, _ = io.WriteString(out, private)
		_ = out.Close()
	}()
	w.env[sign.EnvKeyFD], w.env[sign.EnvPassword] = strconv.Itoa(fd), passphrase
	k := w.keeper(t)
	var stat syscall.Stat_t
	assert.ErrorIs(t, syscall.Fstat(fd, &stat), syscall.EBADF, "the descriptor is closed")
	_, err = k.Keep(t.Context(), w.artifacts, w.run)
	assert.NilError(t, err)
	assert.Equal(t, len(signedBy(t, w.run, public)), 2)
}

// TestDescriptorOfOurOwn holds that a descriptor which the process was not
// started with is neither read nor closed.
func TestDescriptorOfOurOwn(t *testing.T) {
	r, out, err := os.Pipe()
	assert.NilError(t, err)
	defer out.Close()
	defer r.Close()
	w := newWorld(t)
	w.env[sign.EnvKeyFD] = strconv.Itoa(int(r.Fd()))
	_, err = archive.NewKeeper(archive.Options{Getenv: func(name string) string { return w.env[name] }})
	misuse(t, err, "cannot be opened")
	var stat syscall.Stat_t
	assert.NilError(t, syscall.Fstat(int(r.Fd()), &stat), "it is still open")
}

// TestSignedBefore holds that evidence:sign says of no bundle that was there
// before that its own key has signed it.
func TestSignedBefore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.env[sign.EnvMACKey] = strings.Repeat("local-secret", 3)
	r := w.expect(t, archive.Sign, nil, evidence.Pass)
	assert.Equal(t, r.Signed.Kind, sign.KindHMAC)
	private, _ := statementKey(t, "ed25519")
	w.env[sign.EnvKey], w.env[sign.EnvPassword] = private, passphrase
	r = w.expect(t, archive.Sign, nil, evidence.Unverified, "unsigned")
	assert.Equal(t, len(r.Signed.Bundles), 0)
	assert.Equal(t, len(r.Signed.Before), 2)
	assert.Assert(t, strings.HasPrefix(r.Signed.Before[0].By, "hmac-sha256:"))

	// What is no bundle of the statement is no signature either.
	names, err := filepath.Glob(filepath.Join(w.run, attest.Dir, "*"+sign.BundleSuffix))
	assert.NilError(t, err)
	other := text(t, names[1])
	for _, content := range []string{"", "{}", other} {
		write(t, names[0], content)
		_, _, err := w.call(t, archive.Sign, nil)
		assert.Assert(t, err != nil, content)
	}
}

// TestSignIntoALink holds that nothing is written where a link leads.
func TestSignIntoALink(t *testing.T) {
	t.Parallel()
	w := newWorld(t).signed()
	elsewhere := t.TempDir()
	assert.NilError(t, os.Symlink(elsewhere, filepath.Join(w.run, attest.Dir)))
	private, _ := statementKey(t, "ed25519")
	w.env[sign.EnvKey], w.env[sign.EnvPassword] = private, passphrase
	_, err := w.keeper(t).Keep(t.Context(), w.artifacts, w.run)
	assert.Assert(t, err != nil)
	_, _, err = w.call(t, archive.Sign, nil)
	assert.Assert(t, err != nil)
	_, _, err = w.call(t, archive.Chain, nil)
	assert.Assert(t, err != nil)
	left, err := os.ReadDir(elsewhere)
	assert.NilError(t, err)
	assert.Equal(t, len(left), 0)
}
