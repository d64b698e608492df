package keyless

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/gates/tool"
)

// The variables that say how to sign and verify without a key of one's own.
// The tokens are secrets; GitHub Actions sets the first two.
const (
	EnvTokenURL      = "ACTIONS_ID_TOKEN_REQUEST_URL"
	EnvTokenRequest  = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
	EnvToken         = "SIGSTORE_ID_TOKEN"
	EnvSigningConfig = "DPONE_SIGNING_CONFIG" // file: signing_config.json
	EnvTrustedRoot   = "DPONE_TRUSTED_ROOT"   // file: trusted_root.json
	EnvCommand       = "DPONE_KEYLESS"        // file: the built command
)

// FromEnvironment is the command by the environment: the one of DPONE_KEYLESS,
// or one that is built from the source tree at root when it is first needed.
// cacheDir is as in tool.Cache. getenv looks up a variable, as os.Getenv.
func FromEnvironment(root, cacheDir string, getenv func(string) string) *Command {
	return &Command{Path: getenv(EnvCommand), Root: root, Cache: tool.Cache{Dir: cacheDir}}
}

// SignerFromEnvironment makes a signer by the environment. The reason is
// sign.Unsigned when there is no way to get an identity token.
func SignerFromEnvironment(command *Command, getenv func(string) string) (*Signer, error) {
	access := Access{TokenURL: getenv(EnvTokenURL), TokenRequest: getenv(EnvTokenRequest), Token: getenv(EnvToken)}
	var err error
	if access.SigningConfig, err = file(EnvSigningConfig, getenv); err != nil {
		return nil, err
	}
	if access.TrustedRoot, err = file(EnvTrustedRoot, getenv); err != nil {
		return nil, err
	}
	return NewSigner(command, access)
}

// file reads the file that a variable names; nil if the variable is not set.
func file(variable string, getenv func(string) string) ([]byte, error) {
	name := getenv(variable)
	if name == "" {
		return nil, nil
	}
	refuse := func(reason sign.Reason, detail string) error {
		return fmt.Errorf("keyless: %w", strict.Refuse(reason, variable, "%s", detail))
	}
	// Looked at before it is opened: to open a pipe would wait for a writer.
	info, err := os.Stat(name)
	if err != nil {
		return nil, refuse(sign.Missing, err.Error())
	}
	if !info.Mode().IsRegular() {
		return nil, refuse(sign.NotRegularFile, strict.Quote(name)+" is not a regular file")
	}
	opened, err := os.Open(name)
	if err != nil {
		return nil, refuse(sign.Missing, err.Error())
	}
	defer opened.Close()
	raw, err := io.ReadAll(io.LimitReader(opened, wire.MaxTrustedRoot+1))
	switch {
	case err != nil:
		return nil, refuse(sign.Missing, err.Error())
	case len(raw) == 0:
		return nil, refuse(sign.EmptyEvidence, strict.Quote(name)+" is empty")
	case len(raw) > wire.MaxTrustedRoot:
		return nil, refuse(sign.LimitExceeded, fmt.Sprintf("more than %d bytes", wire.MaxTrustedRoot))
	}
	return raw, nil
}

// OpenerFromEnvironment verifies bundles against the trusted root of
// DPONE_TRUSTED_ROOT and returns the statement that is signed, byte for byte,
// whoever signed it. It is nil when the variable is not set.
func OpenerFromEnvironment(command *Command, getenv func(string) string) (func(ctx context.Context, bundle []byte) ([]byte, error), error) {
	root, err := file(EnvTrustedRoot, getenv)
	if err != nil || root == nil {
		return nil, err
	}
	return func(ctx context.Context, bundle []byte) ([]byte, error) {
		payload, _, err := Verifier{Command: command}.VerifyCertificate(ctx, bundle, root)
		return payload, err
	}, nil
}
