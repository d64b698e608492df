package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// Names of properties. "cdx:gomod" is the namespace that CycloneDX registers
// for Go modules; "dpone" holds what it has no name for.
const (
	propBinary   = "cdx:gomod:binary:name"
	propTag      = "cdx:gomod:build:tag"
	propEnv      = "cdx:gomod:build:env:"
	propSize     = "dpone:binary:size"
	propPackage  = "dpone:go:package"
	propBuild    = "dpone:go:build:"
	propSum      = "dpone:go:h1"
	propReplaces = "dpone:go:replaces"
	propReplaced = "dpone:go:replaced-by"
	propCommit   = "dpone:vcs:commit"

	byDirectory = "directory"
)

// The maker of the documents, with the revision of their form, and the name of the standard library as
// vulnerability data bases have it. A ":" is in no module path.
const (
	tool        = "github.com/dpone/dpone/evidence/sbom"
	toolVersion = "1"
	stdlib      = "stdlib"
	stdlibRef   = "go:stdlib"
)

// CycloneDX writes the bill as CycloneDX 1.6 JSON.
func (b Bill) CycloneDX(w io.Writer) error {
	raw, err := b.cycloneDX()
	if err != nil {
		return fmt.Errorf("CycloneDX: %w", err)
	}
	if _, err := w.Write(raw); err != nil {
		return fmt.Errorf("CycloneDX: %w", err)
	}
	return nil
}

func (b Bill) cycloneDX() ([]byte, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	components := []cdx.Component{b.standardLibrary()}
	for _, m := range b.Modules {
		components = append(components, m.component())
	}
	main := b.application()
	bom := cdx.NewBOM()
	bom.Metadata = &cdx.Metadata{
		Timestamp:  b.created(),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Tools:      &cdx.ToolsChoice{Components: &[]cdx.Component{{Type: cdx.ComponentTypeLibrary, Name: tool, Version: toolVersion}}},
		Component:  &main,
	}
	bom.Components = &components
	if b.Graph {
		bom.Dependencies = b.dependencies()
	}
	// The serial number is that of the content: the document without it is
	// encoded first.
	raw, err := encodeCycloneDX(bom)
	if err != nil {
		return nil, err
	}
	bom.SerialNumber = "urn:uuid:" + contentID(raw)
	return encodeCycloneDX(bom)
}

func encodeCycloneDX(bom *cdx.BOM) ([]byte, error) {
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cdx.SpecVersion1_6)
	return out.Bytes(), err
}

// created is the time in the form that both documents ask for.
func (b Bill) created() string { return b.Created.UTC().Format("2006-01-02T15:04:05Z") }

// contentID is a UUID of version 8 (RFC 9562, 5.8) made of the first bits of
// the SHA-256 of a document.
func contentID(raw []byte) string {
	sum := sha256.Sum256(raw)
	sum[6] = sum[6]&0x0f | 0x80
	sum[8] = sum[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[0:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// application is the component that the document is about: the main module as
// released, in the form of the binary. Its hash is that of the binary.
func (b Bill) application() cdx.Component {
	properties := []cdx.Property{{Name: propBinary, Value: b.Binary.Name}}
	for _, s := range b.Binary.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED":
			properties = append(properties, cdx.Property{Name: propEnv + s.Key, Value: s.Value})
		case "-tags":
			for tag := range strings.SplitSeq(s.Value, ",") {
				properties = append(properties, cdx.Property{Name: propTag, Value: tag})
			}
		default:
			properties = append(properties, cdx.Property{Name: propBuild + strings.TrimPrefix(s.Key, "-"), Value: s.Value})
		}
	}
	properties = append(properties,
		cdx.Property{Name: propEnv + "GOVERSION", Value: b.Go.Version},
		cdx.Property{Name: propSize, Value: strconv.FormatInt(b.Binary.Size, 10)},
		cdx.Property{Name: propCommit, Value: b.Commit},
	)
	if b.Binary.Package != "" {
		properties = append(properties, cdx.Property{Name: propPackage, Value: b.Binary.Package})
	}
	slices.SortFunc(properties, func(a, b cdx.Property) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	return cdx.Component{
		BOMRef:             key(b.Main.Path, b.Main.Version),
		Type:               cdx.ComponentTypeApplication,
		Name:               b.Main.Path,
		Version:            b.Main.Version,
		Hashes:             &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: b.Binary.SHA256}},
		Licenses:           b.Main.Licence.cycloneDX(),
		PackageURL:         purl(b.Main.Path, b.Main.Version),
		ExternalReferences: &[]cdx.ExternalReference{{Type: cdx.ERTypeVCS, URL: b.Repository}},
		Properties:         &properties,
	}
}

func (b Bill) standardLibrary() cdx.Component {
	version, url := b.Go.stdlib()
	return cdx.Component{
		BOMRef:     stdlibRef,
		Type:       cdx.ComponentTypeLibrary,
		Name:       stdlib,
		Version:    version,
		Licenses:   b.Go.Licence.cycloneDX(),
		PackageURL: url,
	}
}

var released = regexp.MustCompile(`^go([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:(?:rc|beta)[0-9]+)?)(?:(?: |-X:).*)?$`)

// stdlib is the version of the standard library and its package URL; a
// toolchain that was never released has none.
func (t Toolchain) stdlib() (version, url string) {
	if found := released.FindStringSubmatch(t.Version); found != nil {
		return found[1], purl(stdlib, found[1])
	}
	return t.Version, ""
}

// described is how a module appears in both documents: the code that is really
// linked, under its own name.
func (m Module) described() (name, version, url string) {
	path, version := m.origin()
	if path == "" {
		return m.Path, "", ""
	}
	return path, version, purl(path, version)
}

func (m Module) component() cdx.Component {
	name, version, url := m.described()
	c := cdx.Component{
		BOMRef:     key(m.Path, m.Version),
		Type:       cdx.ComponentTypeLibrary,
		Name:       name,
		Version:    version,
		Licenses:   m.Licence.cycloneDX(),
		PackageURL: url,
	}
	var properties []cdx.Property
	if m.Sum != "" {
		// The sum is over a list of files: no hash of any one file, and so not
		// among the hashes.
		properties = append(properties, cdx.Property{Name: propSum, Value: m.Sum})
	}
	if m.Replace != nil {
		properties = append(properties, cdx.Property{Name: propReplaces, Value: key(m.Path, m.Version)})
		if m.Replace.Path == "" {
			properties = append(properties, cdx.Property{Name: propReplaced, Value: byDirectory})
		}
	}
	if len(properties) > 0 {
		c.Properties = &properties
	}
	return c
}

// cycloneDX is nil where nothing is asserted: CycloneDX has no word for that.
func (l Licence) cycloneDX() *cdx.Licenses {
	if l.ID == "" || l.ID == NoAssertion {
		return nil
	}
	return &cdx.Licenses{{License: &cdx.License{ID: l.ID, Acknowledgement: cdx.LicenseAcknowledgementDeclared}}}
}

// dependencies has a row for every component; one without dependsOn is known
// to need no other module.
func (b Bill) dependencies() *[]cdx.Dependency {
	refs := b.refs()
	row := func(m Module, also ...string) cdx.Dependency {
		for _, need := range m.Needs {
			also = append(also, refs[need])
		}
		d := cdx.Dependency{Ref: refs[m.Path]}
		if len(also) > 0 {
			d.Dependencies = &also
		}
		return d
	}
	rows := []cdx.Dependency{row(b.Main, stdlibRef), {Ref: stdlibRef}}
	for _, m := range b.Modules {
		rows = append(rows, row(m))
	}
	return &rows
}

// refs are the references of all modules by path.
func (b Bill) refs() map[string]string {
	refs := map[string]string{b.Main.Path: key(b.Main.Path, b.Main.Version)}
	for _, m := range b.Modules {
		refs[m.Path] = key(m.Path, m.Version)
	}
	return refs
}
