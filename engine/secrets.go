package engine

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
)

// secretLimit is the bytes of a file that holds a secret.
const secretLimit = 64 << 10

// Secret resolves a reference: "env:NAME" or "file:/path", whose last line end is left out.
func Secret(ref manifest.Secret) (string, error) {
	kind, name, _ := strings.Cut(string(ref), ":")
	switch {
	case kind == "env" && name != "":
		value, ok := os.LookupEnv(name)
		if !ok || value == "" {
			return "", &connector.Error{Code: "secret.missing", Msg: fmt.Sprintf("the environment has no %s", name), Fix: "set it before the run"}
		}
		return value, nil
	case kind == "file" && name != "":
		info, err := os.Stat(name)
		if err != nil {
			return "", connector.Fail("secret.missing", err, "read the secret")
		}
		if !info.Mode().IsRegular() || info.Size() > secretLimit {
			return "", &connector.Error{Code: "secret.file", Msg: fmt.Sprintf("%s is no file of at most %d bytes", name, secretLimit)}
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", connector.Fail("secret.missing", err, "read the secret")
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r"), nil
	}
	// The text may be the secret itself, so it is not shown.
	return "", &connector.Error{Code: "secret.reference", Msg: "a secret must be given as env:NAME or file:/path"}
}

// secrets remembers what was resolved, so that it never appears in a message.
type secrets struct {
	mu     sync.Mutex
	source func(manifest.Secret) (string, error)
	values []string
}

func newSecrets(source func(manifest.Secret) (string, error)) *secrets {
	return &secrets{source: source}
}

var passwordInDSN = regexp.MustCompile(`(?:://[^/@\s]*?:([^@\s]*)@)|(?:password\s*=\s*'?([^'\s]+))`)

func (s *secrets) resolve(ref manifest.Secret) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, err := s.source(ref)
	if err != nil {
		return "", err
	}
	s.values = append(s.values, value)
	for _, m := range passwordInDSN.FindAllStringSubmatch(value, -1) {
		for _, part := range m[1:] {
			if part == "" {
				continue
			}
			s.values = append(s.values, part)
			if plain, err := url.PathUnescape(part); err == nil && plain != part {
				s.values = append(s.values, plain)
			}
		}
	}
	return value, nil
}

func (s *secrets) redact(text string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.values {
		if len(v) >= 3 {
			text = strings.ReplaceAll(text, v, "***")
		}
	}
	return text
}

// clean gives an error whose text holds no secret and whose code is still found.
func (s *secrets) clean(err error) error {
	if err == nil || s.redact(err.Error()) == err.Error() {
		return err
	}
	return &connector.Error{Code: Code(err), Msg: strings.TrimSuffix(s.redact(err.Error()), " ["+Code(err)+"]"), Err: outcome(err)}
}

// outcome keeps what callers test for with errors.Is, and nothing that has a text of its own.
func outcome(err error) error {
	for _, known := range []error{os.ErrNotExist, os.ErrPermission} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
