package sign

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// The variables that secrets come from. Those that end in _FD hold the number
// of a file descriptor, from 3 on, from which the secret is read to its end.
const (
	EnvKey        = "DPONE_SIGNING_KEY"
	EnvKeyFD      = "DPONE_SIGNING_KEY_FD"
	EnvPassword   = "DPONE_SIGNING_KEY_PASSWORD"
	EnvPasswordFD = "DPONE_SIGNING_KEY_PASSWORD_FD"
	EnvMACKey     = "DPONE_LOCAL_ATTESTATION_KEY"
)

// Secrets are what signers are made of. They do not show when printed.
type Secrets struct {
	key, passphrase, mac []byte
}

// String says what is there, never what it is.
func (s Secrets) String() string {
	return fmt.Sprintf("secrets(key: %t, passphrase: %t, mac: %t)", len(s.key) > 0, len(s.passphrase) > 0, len(s.mac) > 0)
}

// Format is String for every verb, so that %v, %#v and %x say no more.
func (s Secrets) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText is String, so that no JSON says more.
func (s Secrets) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// FromEnvironment takes the secrets of the signers. getenv looks up a
// variable (os.Getenv); openFD opens a descriptor that the process was
// started with. A secret in a variable and in a descriptor at once is refused.
// One line break at the end of a passphrase from a descriptor is dropped.
//
// No error repeats any of a secret.
func FromEnvironment(getenv func(string) string, openFD func(fd int) (io.ReadCloser, error)) (Secrets, error) {
	var s Secrets
	var err error
	if s.key, err = secret(getenv, openFD, EnvKey, EnvKeyFD); err != nil {
		return Secrets{}, err
	}
	if s.passphrase, err = secret(getenv, openFD, EnvPassword, EnvPasswordFD); err != nil {
		return Secrets{}, err
	}
	if getenv(EnvPasswordFD) != "" {
		s.passphrase = bytes.TrimSuffix(bytes.TrimSuffix(s.passphrase, []byte("\n")), []byte("\r"))
	}
	s.mac = []byte(getenv(EnvMACKey))
	return s, nil
}

func secret(getenv func(string) string, openFD func(int) (io.ReadCloser, error), variable, descriptor string) ([]byte, error) {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("signing secrets: %w", strict.Refuse(SecretsUnclear, descriptor, format, args...))
	}
	value, number := getenv(variable), getenv(descriptor)
	switch {
	case number == "":
		return []byte(value), nil
	case value != "":
		return nil, refuse("%s is set too: set one of them", variable)
	}
	// The value may be a secret that was put into the wrong variable: it is not repeated.
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 || strconv.Itoa(fd) != number {
		return nil, refuse("it is not the number of a file descriptor from 3 on")
	}
	file, err := openFD(fd)
	if err != nil || file == nil {
		return nil, refuse("the descriptor %d cannot be opened", fd)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxPEM+1))
	switch {
	case err != nil:
		return nil, refuse("the descriptor %d cannot be read", fd)
	case len(raw) == 0:
		return nil, refuse("the descriptor %d holds nothing", fd)
	case len(raw) > maxPEM:
		return nil, fmt.Errorf("signing secrets: %w", strict.Refuse(LimitExceeded, descriptor, "more than %d bytes", maxPEM))
	}
	return raw, nil
}

// Signer is the strongest signer that the secrets allow: a key, else a MAC. A
// secret that is there and cannot be used is an error and never leads to the
// next. With none the error has the reason [Unsigned].
func (s Secrets) Signer() (Signer, error) {
	switch {
	case len(s.key) > 0:
		key, err := LoadKey(s.key, s.passphrase)
		if err != nil {
			return nil, err
		}
		return key, nil
	case len(s.passphrase) > 0:
		return nil, fmt.Errorf("signing secrets: %w", strict.Refuse(SecretsUnclear, "", "a passphrase and no key: set %s or %s", EnvKey, EnvKeyFD))
	case len(s.mac) > 0:
		m, err := NewMAC(s.mac)
		if err != nil {
			return nil, err
		}
		return m, nil
	}
	return nil, fmt.Errorf("signing secrets: %w", strict.Refuse(Unsigned, "", "no signer is configured: set %s, %s or %s", EnvKey, EnvKeyFD, EnvMACKey))
}

// Passphrase is what a key is encrypted with; empty when there is none.
func (s Secrets) Passphrase() []byte { return bytes.Clone(s.passphrase) }

// MACKey is the local key, for a reader that takes MACs; empty when there is none.
func (s Secrets) MACKey() []byte { return bytes.Clone(s.mac) }
