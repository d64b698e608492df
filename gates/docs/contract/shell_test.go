package contract

import (
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestParseShell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a b":                          "0[a b]",
		"a \\\n  b\nc":                 "0[a b] 2[c]",
		"a 'b  c' \"d e\" f\\ g":       "0[a|b  c|d e|f g]",
		"a | b && c; d & e || f":       "0[a] 0[b] 0[c] 0[d] 0[e] 0[f]",
		"a # b\n# c\nd x#y":            "0[a] 2[d x#y]",
		"a > out.txt 2>&1 b < in":      "0[a b]",
		"a \"$(b c)\" $(d)":            "0[b c] 0[d] 0[a|$|$]",
		"a -x=<run> <y>":               "0[a -x=<run> <y>]",
		"cat <<'EOF' > x\nb c\nEOF\nd": "0[cat] 3[d]",
		"(cd x && y)":                  "0[cd x] 0[y]",
		"a 'b\nc' d\ne":                "0[a|b\nc|d] 2[e]",
		"a \"b\nc\"\ne":                "0[a|b\nc] 2[e]",
		"'a":                           "0[a]",
		"\"a":                          "0[a]",
		"a\\":                          "0[a\\]",
		"$(":                           "0[$]",
		"":                             "",
	} {
		var got []string
		for _, c := range parseShell(text) {
			words := strings.Join(c.words, " ")
			if strings.Count(words, " ") != len(c.words)-1 || strings.Contains(words, "\n") || strings.Contains(words, "$") {
				words = strings.Join(c.words, "|")
			}
			got = append(got, fmt.Sprintf("%d[%s]", c.line, words))
		}
		assert.Equal(t, strings.Join(got, " "), want, text)
	}
}

func FuzzParseShell(f *testing.F) {
	for _, seed := range []string{"a \\\n b", "a \"$(b 'c')\"", "cat <<E\nx\nE\n", "a <b> > c 2>&1", "$($($(", "<<", "'", "\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n")
		for _, c := range parseShell(text) {
			if len(c.words) == 0 || c.line < 0 || c.line > lines {
				t.Errorf("%+v in %d lines", c, lines)
			}
		}
	})
}
