package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The part of SPDX 2.3 JSON that a bill uses; names are those of the schema.
// github.com/spdx/tools-golang is not used: it is made for reading and
// converting all versions of SPDX, rewrites identifiers on the way, and would
// link a second module for what is six plain types here.
type (
	spdxDocument struct {
		Version       string             `json:"spdxVersion"`
		DataLicense   string             `json:"dataLicense"`
		ID            string             `json:"SPDXID"`
		Name          string             `json:"name"`
		Namespace     string             `json:"documentNamespace"`
		CreationInfo  spdxCreationInfo   `json:"creationInfo"`
		Packages      []spdxPackage      `json:"packages"`
		Relationships []spdxRelationship `json:"relationships"`
	}
	spdxCreationInfo struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	}
	spdxPackage struct {
		ID               string            `json:"SPDXID"`
		Name             string            `json:"name"`
		VersionInfo      string            `json:"versionInfo,omitempty"`
		FileName         string            `json:"packageFileName,omitempty"`
		Purpose          string            `json:"primaryPackagePurpose"`
		Supplier         string            `json:"supplier"`
		DownloadLocation string            `json:"downloadLocation"`
		FilesAnalyzed    bool              `json:"filesAnalyzed"`
		Checksums        []spdxChecksum    `json:"checksums,omitempty"`
		SourceInfo       string            `json:"sourceInfo,omitempty"`
		LicenseConcluded string            `json:"licenseConcluded"`
		LicenseDeclared  string            `json:"licenseDeclared"`
		CopyrightText    string            `json:"copyrightText"`
		ExternalRefs     []spdxExternalRef `json:"externalRefs,omitempty"`
	}
	spdxChecksum struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"checksumValue"`
	}
	spdxExternalRef struct {
		Category string `json:"referenceCategory"`
		Type     string `json:"referenceType"`
		Locator  string `json:"referenceLocator"`
	}
	spdxRelationship struct {
		Element string `json:"spdxElementId"`
		Type    string `json:"relationshipType"`
		Related string `json:"relatedSpdxElement"`
	}
)

const spdxDocumentID = "SPDXRef-DOCUMENT"

// SPDX writes the bill as SPDX 2.3 JSON.
func (b Bill) SPDX(w io.Writer) error {
	raw, err := b.spdx()
	if err != nil {
		return fmt.Errorf("SPDX: %w", err)
	}
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("SPDX: %w", err)
	}
	return nil
}

func (b Bill) spdx() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	main, refs := b.spdxApplication(), b.refs()
	version, url := b.Go.stdlib()
	std := spdxLibrary(stdlibRef, stdlib, version, url, b.Go.Licence)
	std.SourceInfo = "standard library of the toolchain " + b.Go.Version

	doc := spdxDocument{
		Version:     "SPDX-2.3",
		DataLicense: "CC0-1.0",
		ID:          spdxDocumentID,
		Name:        key(b.Main.Path, b.Main.Version),
		CreationInfo: spdxCreationInfo{
			Created:  b.created(),
			Creators: []string{"Tool: " + tool + "-" + toolVersion},
		},
		Packages:      []spdxPackage{main, std},
		Relationships: []spdxRelationship{{spdxDocumentID, "DESCRIBES", main.ID}, {main.ID, "STATIC_LINK", std.ID}},
	}
	needs := func(m Module) {
		for _, need := range m.Needs {
			doc.Relationships = append(doc.Relationships, spdxRelationship{spdxID(refs[m.Path]), "DEPENDS_ON", spdxID(refs[need])})
		}
	}
	for _, m := range b.Modules {
		doc.Packages = append(doc.Packages, m.spdx())
		doc.Relationships = append(doc.Relationships, spdxRelationship{main.ID, "STATIC_LINK", spdxID(refs[m.Path])})
	}
	needs(b.Main)
	for _, m := range b.Modules {
		needs(m)
	}
	// The namespace is that of the content: the document without it is encoded
	// first. The form is the one that SPDX 2.3, 6.5 recommends.
	raw, err := encodeSPDX(doc)
	if err != nil {
		return nil, err
	}
	doc.Namespace = "https://spdx.org/spdxdocs/" + percent(b.Binary.Name) + "-" + percent(b.Main.Version) + "-" + contentID(raw)
	return encodeSPDX(doc)
}

func encodeSPDX(doc spdxDocument) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(doc)
	return out.Bytes(), err
}

// spdxID is the identifier of a package: letters, digits, "." and "-" only, so
// a digest keeps apart what would read the same.
func spdxID(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	return "SPDXRef-" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.':
			return r
		}
		return '-'
	}, ref) + "-" + hex.EncodeToString(sum[:6])
}

func spdxLibrary(ref, name, version, url string, licence Licence) spdxPackage {
	p := spdxPackage{
		ID:               spdxID(ref),
		Name:             name,
		VersionInfo:      version,
		Purpose:          "LIBRARY",
		Supplier:         NoAssertion,
		DownloadLocation: NoAssertion,
		LicenseConcluded: NoAssertion,
		LicenseDeclared:  licence.ID,
		CopyrightText:    NoAssertion,
	}
	if licence.ID == "" {
		p.LicenseDeclared = NoAssertion
	}
	if url != "" {
		p.ExternalRefs = []spdxExternalRef{{Category: "PACKAGE-MANAGER", Type: "purl", Locator: url}}
	}
	return p
}

// spdxApplication is the package that the document describes: the main module
// as released, whose package file is the binary.
func (b Bill) spdxApplication() spdxPackage {
	p := spdxLibrary(key(b.Main.Path, b.Main.Version), b.Main.Path, b.Main.Version, purl(b.Main.Path, b.Main.Version), b.Main.Licence)
	p.Purpose = "APPLICATION"
	p.FileName = b.Binary.Name
	p.Checksums = []spdxChecksum{{Algorithm: "SHA256", Value: b.Binary.SHA256}}
	p.DownloadLocation = "git+" + b.Repository + "@" + b.Commit
	info := []string{fmt.Sprintf("%d bytes", b.Binary.Size), "built by " + b.Go.Version}
	if b.Binary.Package != "" {
		info = append(info, "package "+b.Binary.Package)
	}
	for _, s := range b.Binary.Settings {
		info = append(info, s.Key+"="+s.Value)
	}
	p.SourceInfo = strings.Join(info, "; ")
	return p
}

func (m Module) spdx() spdxPackage {
	name, version, url := m.described()
	p := spdxLibrary(key(m.Path, m.Version), name, version, url, m.Licence)
	var info []string
	if m.Sum != "" {
		info = append(info, "go.sum "+m.Sum)
	}
	if m.Replace != nil {
		info = append(info, "replaces "+key(m.Path, m.Version))
		if m.Replace.Path == "" {
			info = append(info, "by a "+byDirectory)
		}
	}
	p.SourceInfo = strings.Join(info, "; ")
	return p
}
