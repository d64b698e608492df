package keyless_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates/keyless"
)

func TestSignerFromEnvironment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := func(base, content string) string {
		path := filepath.Join(dir, base)
		assert.NilError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	good, empty, large := name("good", "{}"), name("empty", ""), name("large", strings.Repeat(" ", 5<<20))
	type env = map[string]string
	for test, c := range map[string]struct {
		env  env
		want sign.Reason
	}{
		"a job of GitHub":                {env{keyless.EnvTokenURL: "u", keyless.EnvTokenRequest: "t"}, ""},
		"a token":                        {env{keyless.EnvToken: "a.b.c", keyless.EnvSigningConfig: good, keyless.EnvTrustedRoot: good}, ""},
		"a pull request from a fork":     {env{}, sign.Unsigned},
		"half of it":                     {env{keyless.EnvTokenURL: "u"}, sign.Unsigned},
		"a configuration that is not":    {env{keyless.EnvToken: "t", keyless.EnvSigningConfig: filepath.Join(dir, "none")}, sign.Missing},
		"a root that is empty":           {env{keyless.EnvToken: "t", keyless.EnvTrustedRoot: empty}, sign.EmptyEvidence},
		"a root that is a folder":        {env{keyless.EnvToken: "t", keyless.EnvTrustedRoot: dir}, sign.NotRegularFile},
		"a configuration without bounds": {env{keyless.EnvToken: "t", keyless.EnvSigningConfig: large}, sign.LimitExceeded},
	} {
		getenv := func(name string) string { return c.env[name] }
		signer, err := keyless.SignerFromEnvironment(keyless.FromEnvironment(root, "", getenv), getenv)
		assert.Equal(t, sign.ReasonOf(err), c.want, "%s: %v", test, err)
		assert.Equal(t, signer != nil, err == nil, test)
	}
	command := keyless.FromEnvironment(root, "", func(name string) string { return env{keyless.EnvCommand: good}[name] })
	path, err := command.Resolve(t.Context())
	assert.NilError(t, err)
	assert.Equal(t, path, good)
}
