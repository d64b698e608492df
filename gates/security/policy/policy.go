// Package policy reads the files in which a project makes exceptions from a
// security gate. They are strict: a key that nobody knows, a second document,
// an exception without a reason or past its last day is an error or a finding,
// never passed over.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/dpone/dpone/evidence/folder"
)

// maxFile bounds a policy file, in bytes.
const maxFile = 1 << 20

// minReason is the least length of a reason, in bytes: "test" is none.
const minReason = 12

// Read decodes the policy file name below root into the struct that into
// points to. A file that is not there leaves it as it is. Errors name the file,
// and the line where there is one.
func Read(root, name string, into any) error {
	tree, err := os.OpenRoot(root)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer tree.Close()
	raw, err := folder.ReadRegular(tree, name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := Decode(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Decode is [Read] for text that is there already.
func Decode(raw []byte, into any) error {
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	if err := dec.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return errors.New("more than one YAML document")
	}
	return nil
}

// Because is why an exception is made, and until when.
type Because struct {
	// Reason is a sentence for the reader who wonders.
	Reason string `yaml:"reason"`
	// Expires is the last day on which the exception holds, as 2027-01-31;
	// without it the exception has no end.
	Expires string `yaml:"expires,omitempty"`
}

// Problem says why the exception does not hold on a day, or is empty.
func (b Because) Problem(today time.Time) string {
	if len(strings.TrimSpace(b.Reason)) < minReason {
		return fmt.Sprintf("its reason %q says nothing", b.Reason)
	}
	if b.Expires == "" {
		return ""
	}
	last, err := time.Parse(time.DateOnly, b.Expires)
	if err != nil {
		return fmt.Sprintf("its last day %q is no date such as 2027-01-31", b.Expires)
	}
	if !today.UTC().Before(last.AddDate(0, 0, 1)) {
		return "it expired after " + b.Expires
	}
	return ""
}
