package archive

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/tlog"
)

// KeyKindLog is the kind of key that a log is signed with; the others are
// [sign.Ed25519] and [sign.ECDSAP256], for statements.
const KeyKindLog = "log"

// Keygen makes a key pair of the kind Kind. The secret half goes to File, which
// only its owner may read, the public half to File.pub and the output.
//
// A key for statements is encrypted with the passphrase of the environment
// ([sign.EnvPassword]) and of the form that cosign reads, too. That of a log
// has the name Name and the form of signed notes, which has no encryption.
func Keygen(_ context.Context, o Options) error {
	const command = "evidence:keygen"
	o, err := o.prepare(command, "out", o.File)
	if err != nil {
		return err
	}
	kinds := []string{KeyKindLog, string(sign.Ed25519), string(sign.ECDSAP256)}
	if !slices.Contains(kinds, o.Kind) && o.Kind != "" {
		return usage(command, "-kind=%s: write one of %s", o.Kind, strings.Join(kinds, ", "))
	}
	files := []newFile{{o.File + ".pub", nil, 0o644}, {o.File, nil, 0o600}}
	if err := free(command, files); err != nil {
		return err
	}
	r := newResult(command, "")
	if o.Kind == "" || o.Kind == KeyKindLog {
		err = r.logKey(o, command, files)
	} else {
		err = r.statementKey(o, command, files)
	}
	if err != nil {
		return err
	}
	if err := writeNew(command, files); err != nil {
		return err
	}
	r.Written = []string{files[1].path, files[0].path}
	return r.finish(o)
}

// logKey makes the pair of a log.
func (r *Result) logKey(o Options, command string, files []newFile) error {
	if o.Name == "" {
		return usage(command, "-name is missing")
	}
	// The name becomes the first line of each checkpoint; the root is that of no entry.
	probe := o.Name + "\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
	if _, err := tlog.ParseCheckpoint([]byte(probe), nil); err != nil || clean(o.Name) != o.Name {
		return usage(command, "-name=%q: give a name without spaces and plus signs, such as example.com/evidence", o.Name)
	}
	secret, public, err := note.GenerateKey(rand.Reader, o.Name)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	files[0].content, files[1].content = []byte(public+"\n"), []byte(secret+"\n")
	r.Verifier = public
	r.check("keys", evidence.Pass, "signer key (secret, for %s) in %s; verifier key (for %s) in %s", EnvLogKey, files[1].path, EnvLogVerifier, files[0].path)
	return nil
}

// statementKey makes a pair for statements.
func (r *Result) statementKey(o Options, command string, files []newFile) error {
	if o.Name != "" {
		return usage(command, "-name is that of a log; the key of a trust policy is named there")
	}
	secrets, err := sign.FromEnvironment(o.Getenv, openFD)
	if err != nil {
		return usage(command, "%v", err)
	}
	private, public, err := sign.GenerateKey(sign.KeyType(o.Kind), secrets.Passphrase())
	var refused *sign.Error
	switch {
	case errors.As(err, &refused):
		return usage(command, "%v: set %s or %s to the passphrase that is to encrypt the key", err, sign.EnvPassword, sign.EnvPasswordFD)
	case err != nil:
		return fmt.Errorf("%s: %w", command, err)
	}
	id, err := sign.KeyID(public)
	if err != nil {
		return fmt.Errorf("%s: %w", command, err)
	}
	files[0].content, files[1].content = public, private
	r.Verifier = string(public)
	r.check("keys", evidence.Pass, "%s key (secret and encrypted, for %s) in %s; public key %s (for a trust policy) in %s", o.Kind, sign.EnvKey, files[1].path, id, files[0].path)
	return nil
}
