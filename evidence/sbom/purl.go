package sbom

import (
	"fmt"
	"strings"
)

// purl is the package URL of a Go module. Path and version are percent-encoded
// segment by segment; the path is in lower case, as the definition of the type
// "golang" asks for (package-url/purl-spec, types/golang-definition.json). The
// path as it is written stands in the name of the component.
func purl(path, version string) string {
	var b strings.Builder
	b.WriteString("pkg:golang")
	for segment := range strings.SplitSeq(strings.ToLower(path), "/") {
		b.WriteByte('/')
		b.WriteString(percent(segment))
	}
	if version != "" {
		b.WriteByte('@')
		b.WriteString(percent(version))
	}
	return b.String()
}

// percent encodes every byte but letters, digits and ".", "-", "_", "~".
func percent(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte(".-_~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
