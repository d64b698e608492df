package seal

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Role is what a file of evidence is for. It follows from the path.
type Role string

// The roles, in the order in which the rules are tried; the first that fits wins.
const (
	RoleBundle    Role = "bundle"    // *.sigstore.json, *.sigstore
	RoleStatement Role = "statement" // *.intoto.json, *.intoto.jsonl
	RoleProof     Role = "proof"     // *.tlog-proof
	RoleSBOM      Role = "sbom"      // *.cyclonedx.json, *.cdx.json, *.spdx.json, bom.json
	RoleIndex     Role = "index"     // index.json below the top: the index of a folder inside
	RoleDecision  Role = "decision"  // decision.json
	RoleChecksums Role = "checksums" // SHA256SUMS
	RoleTLog      Role = "tlog"      // a file "checkpoint", or a file below a directory "tile"
	RoleRecord    Role = "record"    // record.json, *.json in a directory "records"
	RoleLog       Role = "log"       // *.log, or a file in a directory "logs"
	RoleReport    Role = "report"    // *.md, *.html, *.xml, *.sarif, *_report.json
	RoleArtifact  Role = "artifact"  // everything else
)

// RoleOf says what a file with this path is for.
func RoleOf(name string) Role {
	base := path.Base(name)
	dir := path.Base(path.Dir(name))
	ends := func(suffixes ...string) bool {
		for _, s := range suffixes {
			if strings.HasSuffix(base, s) {
				return true
			}
		}
		return false
	}
	switch {
	case ends(".sigstore.json", ".sigstore"):
		return RoleBundle
	case ends(".intoto.json", ".intoto.jsonl"):
		return RoleStatement
	case ends(".tlog-proof"):
		return RoleProof
	case ends(".cyclonedx.json", ".cdx.json", ".spdx.json"), base == "bom.json":
		return RoleSBOM
	case base == IndexJSON:
		return RoleIndex
	case base == "decision.json":
		return RoleDecision
	case base == "SHA256SUMS":
		return RoleChecksums
	case base == "checkpoint", strings.HasPrefix(name, "tile/"), strings.Contains(name, "/tile/"):
		return RoleTLog
	case base == "record.json", dir == "records" && ends(".json"):
		return RoleRecord
	case dir == "logs", ends(".log"):
		return RoleLog
	case ends(".md", ".html", ".xml", ".sarif", "_report.json"):
		return RoleReport
	}
	return RoleArtifact
}

// MayBeEmpty says whether a file of this role may have no bytes: a step may
// say nothing, and an artifact may be an empty file. Anything else that is
// empty was not written.
func (r Role) MayBeEmpty() bool { return r == RoleLog || r == RoleArtifact }

// MediaType says what a file with this path is written in, by its extension.
func MediaType(name string) string {
	base := path.Base(name)
	switch {
	case strings.HasSuffix(base, ".sigstore.json"), strings.HasSuffix(base, ".sigstore"):
		return "application/vnd.dev.sigstore.bundle.v0.3+json"
	case strings.HasSuffix(base, ".cyclonedx.json"), strings.HasSuffix(base, ".cdx.json"), base == "bom.json":
		return "application/vnd.cyclonedx+json"
	case strings.HasSuffix(base, ".spdx.json"):
		return "application/spdx+json"
	case strings.HasSuffix(base, ".intoto.json"):
		return "application/vnd.in-toto+json"
	}
	switch path.Ext(base) {
	case ".json":
		return "application/json"
	case ".jsonl", ".ndjson":
		return "application/x-ndjson"
	case ".sarif":
		return "application/sarif+json"
	case ".xml":
		return "application/xml"
	case ".yaml", ".yml":
		return "application/yaml"
	case ".csv":
		return "text/csv"
	case ".html":
		return "text/html; charset=utf-8"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".txt", ".log", ".tlog-proof":
		return "text/plain; charset=utf-8"
	case ".gz", ".tgz":
		return "application/gzip"
	case ".zip":
		return "application/zip"
	case ".tar":
		return "application/x-tar"
	case ".zst":
		return "application/zstd"
	case ".parquet":
		return "application/vnd.apache.parquet"
	}
	return "application/octet-stream"
}

// Limits of a path.
const (
	maxElement = 255  // bytes of an element, as most file systems have it
	maxPath    = 4096 // bytes of a path
	maxDepth   = 64   // elements of a path
)

// checkPath judges a path of an index. The empty code means it is good.
func checkPath(p string) (Code, string) {
	switch {
	case p == "":
		return CodeUnsafeName, "the path is empty"
	case len(p) > maxPath:
		return CodeUnsafeName, "the path has more than 4096 bytes"
	case p[0] == '/':
		return CodePathEscape, "the path is absolute"
	case len(p) > 1 && p[1] == ':':
		return CodePathEscape, "the path has a drive letter"
	}
	for i, element := 0, ""; p != ""; i++ {
		if i == maxDepth {
			return CodeLimit, "the path has more than 64 elements"
		}
		more := false
		element, p, more = strings.Cut(p, "/")
		if code, why := checkElement(element); code != "" {
			return code, why
		}
		if more && p == "" {
			return CodeUnsafeName, "the path ends with a slash"
		}
	}
	return "", ""
}

// checkElement judges one element of a path.
func checkElement(e string) (Code, string) {
	switch {
	case e == "":
		return CodeUnsafeName, "the path has an empty element"
	case e == "..":
		return CodePathEscape, `the path has an element ".."`
	case len(e) > maxElement:
		return CodeUnsafeName, "a name has more than 255 bytes"
	case e[len(e)-1] == '.' || e[len(e)-1] == ' ':
		return CodeUnsafeName, "a name ends with a dot or a space"
	}
	ascii := true
	for i := range len(e) {
		switch c := e[i]; {
		case c == '\\':
			return CodePathEscape, "a name has a backslash"
		case c == ':':
			return CodeUnsafeName, "a name has a colon"
		case c < 0x20 || c == 0x7f:
			return CodeUnsafeName, "a name has a control character"
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	if ascii {
		return "", ""
	}
	if !utf8.ValidString(e) {
		return CodeUnsafeName, "a name is not valid UTF-8"
	}
	for _, r := range e {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
			return CodeUnsafeName, "a name has a control character"
		}
	}
	return "", ""
}

// fold maps names that differ only in case to one string: each rune becomes
// the smallest that folds to it (Unicode simple folding).
func fold(s string) string {
	for i := range len(s) {
		// k and s have partners outside ASCII, and so do upper-case letters in it.
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.Map(foldRune, s)
		}
	}
	return s
}

func foldRune(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	if r < utf8.RuneSelf {
		return r
	}
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}
