package sign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// closing is a descriptor that notes that it was closed.
type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error {
	*c.closed++
	return nil
}

func TestFromEnvironment(t *testing.T) {
	t.Parallel()
	const passphrase = "correct horse battery"
	private, _, err := GenerateKey(Ed25519, []byte(passphrase))
	assert.NilError(t, err)
	_, plain, err := ed25519.GenerateKey(rand.Reader)
	assert.NilError(t, err)
	inClear := string(pkcs8(t, plain))
	mac := strings.Repeat("local-secret", 3)
	for name, c := range map[string]struct {
		env    map[string]string
		fds    map[int]string
		kind   string
		reason Reason
	}{
		"both from descriptors":      {map[string]string{EnvKeyFD: "3", EnvPasswordFD: "4"}, map[int]string{3: string(private), 4: passphrase + "\n"}, KindKey, ""},
		"key in the clear":           {map[string]string{EnvKey: inClear}, nil, KindKey, ""},
		"local key":                  {map[string]string{EnvMACKey: mac}, nil, KindHMAC, ""},
		"key before local key":       {map[string]string{EnvKey: inClear, EnvMACKey: mac}, nil, KindKey, ""},
		"bad key, good local key":    {map[string]string{EnvKey: "x", EnvMACKey: mac}, nil, "", KeyUnusable},
		"nothing":                    {nil, nil, "", Unsigned},
		"short local key":            {map[string]string{EnvMACKey: mac[:31]}, nil, "", WeakKey},
		"passphrase alone":           {map[string]string{EnvPassword: passphrase, EnvMACKey: mac}, nil, "", SecretsUnclear},
		"wrong passphrase":           {map[string]string{EnvKey: string(private), EnvPassword: passphrase + "x"}, nil, "", KeyUnusable},
		"key twice":                  {map[string]string{EnvKey: inClear, EnvKeyFD: "3"}, map[int]string{3: inClear}, "", SecretsUnclear},
		"passphrase twice":           {map[string]string{EnvKey: inClear, EnvPassword: "x", EnvPasswordFD: "3"}, map[int]string{3: "x"}, "", SecretsUnclear},
		"key in the wrong variable":  {map[string]string{EnvKeyFD: inClear}, nil, "", SecretsUnclear},
		"standard output":            {map[string]string{EnvKeyFD: "1"}, map[int]string{1: inClear}, "", SecretsUnclear},
		"another spelling":           {map[string]string{EnvKeyFD: "+3"}, map[int]string{3: inClear}, "", SecretsUnclear},
		"negative":                   {map[string]string{EnvKeyFD: "-3"}, nil, "", SecretsUnclear},
		"descriptor not there":       {map[string]string{EnvKeyFD: "3"}, nil, "", SecretsUnclear},
		"empty descriptor":           {map[string]string{EnvKeyFD: "3"}, map[int]string{3: ""}, "", SecretsUnclear},
		"endless descriptor":         {map[string]string{EnvKeyFD: "3"}, map[int]string{3: strings.Repeat("x", maxPEM+1)}, "", LimitExceeded},
		"descriptor that breaks off": {map[string]string{EnvKeyFD: "9"}, map[int]string{9: inClear}, "", SecretsUnclear},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened, closed := 0, 0
			openFD := func(fd int) (io.ReadCloser, error) {
				content, ok := c.fds[fd]
				if !ok {
					return nil, errors.New("bad descriptor: " + passphrase)
				}
				opened++
				if fd == 9 {
					return closing{io.MultiReader(strings.NewReader(content), failing{}), &closed}, nil
				}
				return closing{strings.NewReader(content), &closed}, nil
			}
			secrets, err := FromEnvironment(func(name string) string { return c.env[name] }, openFD)
			var signer Signer
			if err == nil {
				signer, err = secrets.Signer()
			}
			assert.Equal(t, opened, closed)
			assert.Equal(t, ReasonOf(err), c.reason, "%v", err)
			if err == nil {
				assert.Equal(t, signer.Kind(), c.kind)
				_, err := signer.Sign(context.Background(), claim(t))
				assert.NilError(t, err)
			} else {
				assert.Assert(t, signer == nil)
			}
			shown := fmt.Sprintf("%v %s %+v %#v %x %q %v %v", secrets, secrets, secrets, secrets, secrets, secrets, &secrets, err)
			asJSON, jsonErr := json.Marshal(secrets)
			assert.NilError(t, jsonErr)
			shown += string(asJSON)
			for _, secret := range []string{passphrase, mac[:31], "PRIVATE KEY-----", fmt.Sprintf("%x", passphrase)} {
				assert.Assert(t, !strings.Contains(shown, secret), "%s", shown)
			}
		})
	}
}

// One line break at the end of a passphrase from a descriptor is none of it.
func TestPassphraseAsGiven(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{"a b": "a b", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a "} {
		secrets, err := FromEnvironment(
			func(name string) string { return map[string]string{EnvPasswordFD: "5"}[name] },
			func(int) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(given)), nil },
		)
		assert.NilError(t, err)
		assert.Equal(t, string(secrets.passphrase), want)
		secrets, err = FromEnvironment(func(name string) string { return map[string]string{EnvPassword: given}[name] }, nil)
		assert.NilError(t, err)
		assert.Equal(t, string(secrets.passphrase), given, "a variable is taken as it is")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken: secret") }

func TestMACKeyForReaders(t *testing.T) {
	t.Parallel()
	mac := strings.Repeat("k", 32)
	secrets, err := FromEnvironment(func(name string) string { return map[string]string{EnvMACKey: mac}[name] }, nil)
	assert.NilError(t, err)
	assert.Assert(t, bytes.Equal(secrets.MACKey(), []byte(mac)))
	signer, err := secrets.Signer()
	assert.NilError(t, err)
	trust, err := NewTrust(TrustedKey{Name: "local", MAC: secrets.MACKey()})
	assert.NilError(t, err)
	_, err = VerifyBundle(signed(t, signer, claim(t)), trust, Options{At: now, AllowMAC: true})
	assert.NilError(t, err)
}
