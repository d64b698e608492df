package sbom

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// text is a known text as a holder would use it.
func text(t testing.TB, id string) string {
	t.Helper()
	raw, err := licenceTexts.ReadFile("licences/" + id + ".txt")
	assert.NilError(t, err)
	return strings.NewReplacer("<<holder>>", "Acme and its friends", "<<[>>", "", "<<]>>", "").Replace(string(raw))
}

func says(t testing.TB, text string) string {
	t.Helper()
	id, err := identify(text)
	assert.NilError(t, err)
	return id
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	for _, l := range licences {
		if l.id == "Unlicense" { // its two last lines exclude each other in practice
			continue
		}
		body := text(t, l.id)
		assert.Equal(t, says(t, body), l.id)
		assert.Equal(t, says(t, "\ufeffCopyright (c) 2020-2026 Acme, Inc. <a@b.example>\nPortions Copyright 2011 B\n(c) C\n© D\nAll rights reserved.\n\n"+body), l.id)
		assert.Equal(t, says(t, strings.ReplaceAll(body, "\n", "\r\n")), l.id, "lines of Windows")
		assert.Equal(t, says(t, strings.ReplaceAll(strings.ReplaceAll(body, `"`, "“"), "\n", "\n  ")), l.id, "quotes and indent")
		for _, title := range l.titles {
			assert.Equal(t, says(t, strings.ToUpper(title)+"\n=====\n\nCopyright 2026 Acme\n\n"+body), l.id, title)
		}
	}
	unlicense, _, _ := strings.Cut(text(t, "Unlicense"), "For more")
	for _, tail := range []string{"", "For more information, please refer to <https://unlicense.org/>\n", "For more information, please refer to <http://unlicense.org/>"} {
		assert.Equal(t, says(t, unlicense+tail), "Unlicense")
	}
	apache, _, _ := strings.Cut(text(t, "Apache-2.0"), "   APPENDIX")
	assert.Equal(t, says(t, apache), "Apache-2.0", "without appendix")
	mit := text(t, "MIT")
	assert.Equal(t, says(t, strings.Replace(mit, "(including the next\nparagraph) ", "", 1)), "MIT")
	assert.Equal(t, says(t, strings.Replace(text(t, "ISC"), "and/or", "and", 1)), "ISC")
	bsd := text(t, "BSD-3-Clause")
	for _, mark := range []string{"*", "-", "•", "%.", "(%)"} {
		marked := bsd
		for _, n := range []string{"1", "2", "3"} {
			marked = strings.Replace(marked, n+".", strings.Replace(mark, "%", n, 1), 1)
		}
		assert.Equal(t, says(t, marked), "BSD-3-Clause", mark)
	}
}

// TestOneWordMakesAnotherLicence takes a word out of every place, and puts one
// in: what is left is not the licence.
func TestOneWordMakesAnotherLicence(t *testing.T) {
	t.Parallel()
	for _, l := range licences {
		if l.id == "Unlicense" {
			continue
		}
		raw, err := licenceTexts.ReadFile("licences/" + l.id + ".txt")
		assert.NilError(t, err)
		// Names and what may be left out are left out here.
		body := string(raw)
		for {
			before, rest, ok := strings.Cut(body, "<<[>>")
			if !ok {
				break
			}
			_, after, _ := strings.Cut(rest, "<<]>>")
			body = before + " " + after
		}
		all := words(strings.ReplaceAll(body, "<<holder>>", "acme"))
		assert.Equal(t, says(t, strings.Join(all, " ")), l.id)
		step := max(1, len(all)/60) // by sample, another one for each text
		for i := 0; i < len(all); i += step {
			if all[i] == "acme" || i > 0 && all[i-1] == "acme" || i+1 < len(all) && all[i+1] == "acme" {
				continue
			}
			without := strings.Join(all[:i], " ") + " " + strings.Join(all[i+1:], " ")
			assert.Equal(t, says(t, without), NoAssertion, "%s without word %d, %s", l.id, i, all[i])
			with := strings.Join(all[:i], " ") + " not " + strings.Join(all[i:], " ")
			assert.Equal(t, says(t, with), NoAssertion, "%s with a word before %d, %s", l.id, i, all[i])
		}
	}
}

func TestNearMissesAreNotGuessed(t *testing.T) {
	t.Parallel()
	mit, isc, bsd2, bsd3, apache := text(t, "MIT"), text(t, "ISC"), text(t, "BSD-2-Clause"), text(t, "BSD-3-Clause"), text(t, "Apache-2.0")
	for name, text := range map[string]string{
		"empty":                        "",
		"only a name":                  "MIT",
		"only a title":                 "MIT License\n\nCopyright 2026 Acme\n",
		"a reference":                  "Licensed under the MIT license, see https://opensource.org/licenses/MIT",
		"JSON":                         strings.Replace(mit, "THE SOFTWARE IS PROVIDED", "The Software shall be used for Good, not Evil.\n\nTHE SOFTWARE IS PROVIDED", 1),
		"X11":                          mit + "\nExcept as contained in this notice, the name of Acme shall not be used in advertising.\n",
		"MIT-0":                        strings.Replace(mit, mit[strings.Index(mit, ", subject to"):strings.Index(mit, "THE SOFTWARE IS")], ".\n\n", 1),
		"0BSD":                         strings.Replace(isc, isc[strings.Index(isc, ", provided"):strings.Index(isc, "THE SOFTWARE IS")], ".\n\n", 1),
		"BSD-4-Clause":                 strings.Replace(bsd3, "3. Neither", "3. All advertising materials mentioning features or use of this software must display an acknowledgement.\n4. Neither", 1),
		"BSD-2-Clause-Views":           bsd2 + "\nThe views and conclusions contained in the software are those of the authors.\n",
		"BSD-2-Patent":                 strings.Replace(bsd2, "THIS SOFTWARE", "Subject to the terms and conditions of this license, each copyright holder grants a patent license.\n\nTHIS SOFTWARE", 1),
		"two licences":                 mit + "\n" + apache,
		"commons clause":               "\"Commons Clause\" License Condition v1.0\n\n" + apache,
		"third parties":                apache + "\nThis product bundles code under other licenses.\n",
		"LLVM exception":               apache + "\n---- LLVM Exceptions to the Apache 2.0 License ----\n",
		"wrong title":                  "Apache License\n\n" + mit,
		"two titles":                   "MIT License\nISC License\n" + mit,
		"terms in a line of copyright": "Copyright 2026 Acme. Commercial use is prohibited.\n\n" + mit,
		"terms in a name":              strings.Replace(bsd3, "SHALL Acme and its friends", "SHALL Acme except when used commercially", 1),
		"a name without end":           strings.Replace(bsd3, "Acme and its friends nor", strings.Repeat("word ", 17)+"nor", 1),
		"many lines of copyright":      strings.Repeat("Copyright 2026 Acme\n", maxHead+1) + mit,
		"in a comment":                 "// " + strings.ReplaceAll(mit, "\n", "\n// x "),
	} {
		assert.Equal(t, says(t, text), NoAssertion, name)
	}
}

func FuzzLicence(f *testing.F) {
	for _, l := range licences {
		f.Add(text(f, l.id))
	}
	f.Add("Copyright\n(c)\n©\n\ufeff* - 1. (a)\xff\x00")
	f.Fuzz(func(t *testing.T, raw string) {
		id := says(t, raw)
		if id == NoAssertion {
			return
		}
		// What is known stays known however it is wrapped, and not with more.
		assert.Equal(t, says(t, "Copyright 2026 A\n"+strings.TrimPrefix(raw, "\ufeff")), id)
		assert.Equal(t, says(t, raw+"\nOther terms hold in Elbonia.\n"), NoAssertion)
	})
}

func BenchmarkIdentify(b *testing.B) {
	apache := text(b, "Apache-2.0")
	b.SetBytes(int64(len(apache)))
	for b.Loop() {
		if says(b, apache) != "Apache-2.0" {
			b.Fatal("not known")
		}
	}
}
