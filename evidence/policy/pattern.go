package policy

import (
	"regexp"
	"regexp/syntax"
	"strings"

	"github.com/dpone/dpone/evidence/statement/strict"
)

// UnanchoredPattern is the reason when a pattern takes more than it seems to.
const UnanchoredPattern strict.Reason = "unanchored_pattern"

// anchored compiles a pattern for addresses. It must hold for the whole text,
// from "^" to "$" in every branch, and spell out scheme, host and owner:
//
//	^https://github\.com/acme/app/\.github/workflows/[a-z]+\.yml@refs/tags/v[0-9.]+$
//
// A pattern without anchors would take github.com/acme/app-evil, one with an
// alternation at the top has an anchor in one branch only, and an open host
// takes everybody's.
func anchored(field, pattern string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil || len(pattern) > 1024 {
		return nil, strict.Refuse(strict.Schema, field, "%s is not a regular expression of RE2 of at most 1024 bytes", strict.Quote(pattern))
	}
	refuse := func(format string, args ...any) (*regexp.Regexp, error) {
		return nil, strict.Refuse(UnanchoredPattern, field, format, args...)
	}
	if tree.Op != syntax.OpConcat || len(tree.Sub) < 3 ||
		tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[len(tree.Sub)-1].Op != syntax.OpEndText {
		return refuse("%s is not anchored: begin with ^ and end with $, around an alternation with parentheses", strict.Quote(pattern))
	}
	const parts = 4 // https:, "", host, owner, and a slash after each
	first := tree.Sub[1]
	if first.Op != syntax.OpLiteral || first.Flags&syntax.FoldCase != 0 || strings.Count(string(first.Rune), "/") < parts || !strings.HasPrefix(string(first.Rune), "https://") {
		return refuse(`%s leaves host or owner open: begin with ^https://host/owner/, dots written as \.`, strict.Quote(pattern))
	}
	return regexp.Compile(pattern)
}
