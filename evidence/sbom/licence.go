package sbom

import (
	"embed"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
)

// NoAssertion is the licence of a module whose text does not say it beyond
// doubt. It is the word of SPDX 2.3 for "no statement is made".
const NoAssertion = "NOASSERTION"

// The texts by which a licence is known. <<holder>> stands for a name that
// differs from copy to copy, <<[>> and <<]>> enclose what may be left out.
//
//go:embed licences
var licenceTexts embed.FS

// A known licence: the titles that may stand above its text, as words.
type known struct {
	id     string
	titles []string
}

var licences = []known{
	{"MIT", []string{"mit license", "the mit license", "mit license mit", "the mit license mit", "license"}},
	{"BSD-3-Clause", []string{"bsd 3 clause license", "3 clause bsd license", "the bsd 3 clause license", "the 3 clause bsd license", "new bsd license", "bsd license", "license"}},
	{"BSD-2-Clause", []string{"bsd 2 clause license", "2 clause bsd license", "the bsd 2 clause license", "the 2 clause bsd license", "simplified bsd license", "bsd license", "license"}},
	{"ISC", []string{"isc license", "the isc license", "isc license isc", "license"}},
	{"Apache-2.0", nil}, // these two texts begin with the title
	{"MPL-2.0", nil},
	{"Unlicense", []string{"the unlicense", "unlicense", "license"}},
}

// pattern is a known text: words, with marks for the places where copies differ.
type pattern []string

const (
	markHolder = "<<holder>>"
	markOpen   = "<<[>>"
	markClose  = "<<]>>"
	maxHolder  = 16 // words of a name
)

// patterns are the known texts, read when the first is asked for.
var patterns = sync.OnceValues(func() (map[string]pattern, error) {
	all := make(map[string]pattern, len(licences))
	for _, l := range licences {
		raw, err := licenceTexts.ReadFile("licences/" + l.id + ".txt")
		if err != nil {
			return nil, err
		}
		all[l.id] = parsePattern(string(raw))
	}
	return all, nil
})

var mark = regexp.MustCompile(`<<(?:holder|\[|\])>>`)

// parsePattern splits a text into its words and marks.
func parsePattern(text string) pattern {
	var p pattern
	from := 0
	for _, at := range mark.FindAllStringIndex(text, -1) {
		p = append(append(p, words(text[from:at[0]])...), text[at[0]:at[1]])
		from = at[1]
	}
	return append(p, words(text[from:])...)
}

// match reads the whole of a text by the pattern. It takes the shortest names
// that fit and looks at a name at most [maxHolder] words on, so the work is
// bounded by the few marks of a pattern, whatever the text.
func (p pattern) match(text []string) bool {
	for i, w := range p {
		switch w {
		case markHolder:
			for n := 1; n <= maxHolder && n <= len(text) && !terms[text[n-1]]; n++ {
				if p[i+1:].match(text[n:]) {
					return true
				}
			}
			return false
		case markOpen:
			end := i + slices.Index(p[i:], markClose)
			inside := slices.Concat(p[i+1:end], p[end+1:])
			return inside.match(text) || p[end+1:].match(text)
		}
		if len(text) == 0 || text[0] != w {
			return false
		}
		text = text[1:]
	}
	return len(text) == 0
}

// identify names the licence whose text this is, or [NoAssertion]. The words
// of the whole text have to be those of one known licence, in order, with none
// missing and none beside them but a title and lines of copyright above: what
// is added to a licence may change it, and that is for people to judge.
func identify(text string) (string, error) {
	all, err := patterns()
	if err != nil {
		return NoAssertion, err
	}
	var last string
	var split []string
	for _, l := range licences {
		body, ok := behindHead(text, l.titles)
		if !ok {
			continue
		}
		if split == nil || body != last {
			last, split = body, words(body)
		}
		if all[l.id].match(split) {
			return l.id, nil
		}
	}
	return NoAssertion, nil
}

// maxHead bounds the lines above a licence; long lists of holders exist.
const maxHead = 200

// behindHead drops empty lines, lines of copyright and at most one title from
// the top. It is false where a line of copyright says more than that.
func behindHead(text string, titles []string) (string, bool) {
	text = strings.TrimPrefix(text, "\ufeff")
	titled := false
	for range maxHead {
		line, rest, more := strings.Cut(text, "\n")
		switch all := words(line); {
		case len(all) == 0:
		case isCopyright(line, all):
			if slices.ContainsFunc(all, func(w string) bool { return terms[w] }) {
				return "", false
			}
		case !titled && slices.Contains(titles, strings.Join(all, " ")):
			titled = true
		default:
			return text, true
		}
		if !more {
			return "", false
		}
		text = rest
	}
	return "", false
}

// isCopyright knows the lines that name a holder. None of the known texts
// begins like this.
func isCopyright(line string, all []string) bool {
	line = strings.TrimSpace(line)
	return all[0] == "copyright" || len(all) > 1 && all[0] == "portions" && all[1] == "copyright" || strings.HasPrefix(strings.ToLower(line), "(c)") || strings.HasPrefix(line, "©") ||
		strings.Join(all, " ") == "all rights reserved"
}

// terms are words that the name of a holder has no use for and that a
// condition cannot do without.
var terms = map[string]bool{
	"licence": true, "license": true, "licensed": true, "sublicense": true, "permission": true, "permitted": true,
	"prohibited": true, "forbidden": true, "restricted": true, "granted": true, "use": true, "used": true, "using": true,
	"only": true, "not": true, "no": true, "must": true, "may": true, "shall": true, "except": true, "unless": true,
	"provided": true, "commercial": true, "noncommercial": true, "terms": true, "conditions": true, "warranty": true, "patent": true,
}

// bullet is the mark of an item of a list at the start of a line: "*", "1.",
// "(a)". Copies of one licence differ in it.
var bullet = regexp.MustCompile(`^\s*(?:[*•-]|\(?\d+(?:\.\d+)*[.)]|\(?[a-z][.)])(?:\s+|$)`)

// words are the words of a text in lower case: without punctuation, marks of
// lists, and the hyphen within a word ("non-infringement").
func words(text string) []string {
	var b strings.Builder
	b.Grow(len(text))
	for line := range strings.Lines(text) {
		if at := bullet.FindStringIndex(line); at != nil {
			line = line[at[1]:]
		}
		runes := []rune(strings.ToLower(line))
		for i, r := range runes {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r):
				b.WriteRune(r)
			case r == '\'', r == '’':
			case r == '-' && i > 0 && i+1 < len(runes) && unicode.IsLetter(runes[i-1]) && unicode.IsLetter(runes[i+1]):
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte(' ')
	}
	return strings.Fields(b.String())
}
