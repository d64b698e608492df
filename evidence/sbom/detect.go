package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
)

// LicenceIn is what the licence files in the root of a directory say, and the
// SHA-256 of each in lower-case hex, by name, so that a person's judgement of
// what no text here matches can be held against the very files it was made of.
// A file that is too large to be a licence has the digest "".
func LicenceIn(dir string) (Licence, map[string]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Licence{}, nil, err
	}
	defer root.Close()
	names, err := licenceNames(root)
	if err != nil {
		return Licence{}, nil, err
	}
	digests := make(map[string]string, len(names))
	for _, name := range names {
		text, err := readLicence(root, name)
		if errors.Is(err, errTooLarge) {
			digests[name] = ""
			continue
		}
		if err != nil {
			return Licence{}, nil, fmt.Errorf("%s: %w", name, err)
		}
		sum := sha256.Sum256(text)
		digests[name] = hex.EncodeToString(sum[:])
	}
	found, _, err := lookFor(root)
	return found, digests, err
}
