package statement

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// CycloneDXType names a CycloneDX document as a predicate, of any version.
const CycloneDXType = "https://cyclonedx.org/bom"

// CycloneDX is a bill of materials as it stands in its own file. Only the two
// members that say what it is are looked at here.
type CycloneDX struct {
	document json.RawMessage
}

var documents = strict.NewDecoder[map[string]json.RawMessage](limits())

// NewCycloneDX takes a document as JSON. Insignificant white space does not
// survive in a statement; everything else does, order of keys included.
func NewCycloneDX(document []byte) (*CycloneDX, error) {
	c := &CycloneDX{document: document}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("cyclonedx: %w", err)
	}
	return c, nil
}

// Document is the bill of materials as JSON.
func (c *CycloneDX) Document() json.RawMessage { return c.document }

// MarshalJSON returns the document.
func (c *CycloneDX) MarshalJSON() ([]byte, error) {
	if len(c.document) == 0 {
		return nil, errors.New("cyclonedx: no document")
	}
	return c.document, nil
}

// UnmarshalJSON keeps the document.
func (c *CycloneDX) UnmarshalJSON(raw []byte) error {
	c.document = append(json.RawMessage(nil), raw...)
	return nil
}

// PredicateType returns [CycloneDXType].
func (*CycloneDX) PredicateType() string { return CycloneDXType }

// Validate refuses what does not say that it is CycloneDX, and of which version.
func (c *CycloneDX) Validate() error {
	members, err := documents.Decode(c.document)
	if err != nil {
		return err
	}
	if string(members["bomFormat"]) != `"CycloneDX"` {
		return strict.Refuse(strict.Schema, "bomFormat", "it is not CycloneDX")
	}
	var version string
	if err := json.Unmarshal(members["specVersion"], &version); err != nil || version == "" {
		return strict.Refuse(strict.Schema, "specVersion", "it is missing")
	}
	return nil
}
