package sbom

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestLicenceIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	found, digests, err := LicenceIn(dir)
	assert.NilError(t, err)
	assert.Equal(t, found.ID, NoAssertion)
	assert.Equal(t, len(digests), 0)
	for name, text := range map[string]string{"LICENSE": "Do as you like.\n", "COPYING.md": strings.Repeat("x", maxLicence+1), "README": "no"} {
		assert.NilError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	found, digests, err = LicenceIn(dir)
	assert.NilError(t, err)
	assert.Equal(t, found.ID, NoAssertion)
	assert.DeepEqual(t, digests, map[string]string{"LICENSE": fmt.Sprintf("%x", sha256.Sum256([]byte("Do as you like.\n"))), "COPYING.md": ""})
	_, _, err = LicenceIn(filepath.Join(dir, "none"))
	assert.ErrorContains(t, err, "none")
	assert.NilError(t, os.Symlink("/etc/hostname", filepath.Join(dir, "LICENCE")))
	_, _, err = LicenceIn(dir)
	assert.ErrorContains(t, err, "LICENCE")
}
