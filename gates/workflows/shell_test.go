package workflows

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

func TestScan(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ words, found string }{
		"exec mage ci":                          {"exec|mage|ci", ""},
		"  mage ci \n":                          {"mage|ci", ""},
		`mage x -a="$A" -b='two words' "c d"`:   {"mage|x|-a=$A|-b=two words|c d", ""},
		`mage x "-a=${A}b"`:                     {"mage|x|-a=${A}b", ""},
		`mage x -a="a\"b"`:                      {`mage|x|-a=a"b`, ""},
		"mage x -run='A|B' -pkg=./...":          {"mage|x|-run=A|B|-pkg=./...", ""},
		"mage x -a=$A":                          {"mage|x|-a=$A", codeScript},
		"mage ci | tee log":                     {"mage|ci", codePipe},
		"mage ci |& tee log":                    {"mage|ci", codePipe},
		"mage ci || :":                          {"mage|ci", codeMasked},
		"set +e; mage ci":                       {"set|+e", codeScript + " " + codeMasked},
		"! mage ci":                             {"mage|ci", codeMasked},
		"mage ci; true":                         {"mage|ci", codeScript},
		"mage ci &":                             {"mage|ci", codeScript},
		"mage ci > log":                         {"mage|ci", codeScript},
		"mage ci 2>&1":                          {"mage|ci|2", codeScript},
		"(mage ci)":                             {"", codeScript},
		"mage `x`":                              {"mage", codeScript},
		"mage $(x)":                             {"mage|$x", codeScript},
		"mage \"$(x)\"":                         {"mage|$x)", codeScript},
		"mage \"`x`\"":                          {"mage|x", codeScript},
		"A=1 mage ci":                           {"A=1|mage|ci", codeScript},
		"mage x -pkg=*":                         {"mage|x|-pkg=*", codeScript},
		"mage ci # twice":                       {"mage|ci", codeScript},
		"mage 'ci":                              {"mage", codeScript},
		"mage \"ci":                             {"mage", codeScript},
		"mage \"ci\\":                           {"mage", codeScript},
		"mage ci \\\n -v":                       {"mage|ci||-v", codeScript},
		"cat > x <<EOF\n{\"a\": \"$(b)\"}\nEOF": {"cat", codeScript + " " + codeHeredoc},
		"":                                      {"", ""},
	} {
		s := scan(text)
		var words, found []string
		for _, w := range s.words {
			words = append(words, w.text)
		}
		for _, c := range s.constructs {
			if len(found) == 0 || found[len(found)-1] != c.code {
				found = append(found, c.code)
			}
		}
		assert.Equal(t, strings.Join(words, "|"), want.words, text)
		assert.Equal(t, strings.Join(found, " "), want.found, text)
	}
	s := scan(`mage x -a=b"$A${B}"`)
	assert.DeepEqual(t, s.words[2].variables, []string{"A", "B"})
	assert.Equal(t, s.words[2].first, 4)
}

func FuzzScan(f *testing.F) {
	for _, seed := range []string{`exec mage ci -a="$A"`, "a | b || c && d; e", "x <<EOF\nEOF", `"\`, "'", "$", "${", "$(", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range scan(text).constructs {
			if c.code == "" || c.what == "" {
				t.Fatalf("%q: %v", text, c)
			}
		}
	})
}

// Whatever somebody puts into the folder, it is told and does not end the run.
func FuzzWorkflow(f *testing.F) {
	archive := good(f)
	for _, part := range strings.Split(archive, "\n-- .github/workflows/")[1:] {
		_, body, _ := strings.Cut(part, " --\n")
		f.Add([]byte(body))
	}
	for _, seed := range []string{"", "a", "[]", "jobs:\n  x:\n", "on: push\njobs: {a: {steps: [null, {run: x}, {uses: a/b@c}, {uses: 1}]}}", "a: &a [*a]", "on:\n  schedule:\n  - {}\n", "on: {workflow_dispatch: {inputs: {a: }}}", "on: push\njobs: {a: {runs-on: x, steps: [{uses: ''}, {run: ''}]}}", "permissions: {a: }\njobs: {a: {permissions: {b: }}}"} {
		f.Add([]byte(seed))
	}
	root := tree(f, archive)
	ready := lookAt(f, root, project())
	f.Fuzz(func(t *testing.T, source []byte) {
		l := &looker{inventory: project().withDefaults(), commands: ready.commands, pins: map[string]pin{}}
		file := &file{name: "ci.yml", path: dir + "/ci.yml", entry: l.inventory.find("ci.yml")}
		l.files = append(l.files, file)
		l.parse(file, source)
		l.all()
		known := map[string]bool{}
		for _, rule := range Rules() {
			known[rule.Code] = true
		}
		for _, finding := range l.findings {
			if !known[finding.code] || finding.path == "" || finding.line < 0 || finding.observed == "" {
				t.Fatalf("%+v", finding)
			}
		}
	})
}
