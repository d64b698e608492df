package cobertura

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

// document is what a reader finds, with the attributes that the DTD requires.
type document struct {
	XMLName         xml.Name `xml:"coverage"`
	LineRate        float64  `xml:"line-rate,attr"`
	BranchRate      string   `xml:"branch-rate,attr"`
	LinesCovered    int      `xml:"lines-covered,attr"`
	LinesValid      int      `xml:"lines-valid,attr"`
	BranchesCovered string   `xml:"branches-covered,attr"`
	BranchesValid   string   `xml:"branches-valid,attr"`
	Complexity      string   `xml:"complexity,attr"`
	Version         string   `xml:"version,attr"`
	Timestamp       string   `xml:"timestamp,attr"`
	Comment         string   `xml:",comment"`
	Sources         []string `xml:"sources>source"`
	Packages        []struct {
		Name       string  `xml:"name,attr"`
		LineRate   float64 `xml:"line-rate,attr"`
		BranchRate string  `xml:"branch-rate,attr"`
		Complexity string  `xml:"complexity,attr"`
		Classes    []struct {
			Name       string    `xml:"name,attr"`
			Filename   string    `xml:"filename,attr"`
			LineRate   float64   `xml:"line-rate,attr"`
			BranchRate string    `xml:"branch-rate,attr"`
			Complexity string    `xml:"complexity,attr"`
			Methods    *struct{} `xml:"methods"`
			Lines      []struct {
				Number int `xml:"number,attr"`
				Hits   int `xml:"hits,attr"`
			} `xml:"lines>line"`
		} `xml:"classes>class"`
	} `xml:"packages>package"`
}

func read(t *testing.T, text string) document {
	t.Helper()
	var d document
	assert.NilError(t, xml.Unmarshal([]byte(text), &d), text)
	return d
}

func parseText(t *testing.T, text string) Profile {
	t.Helper()
	p, err := Parse(strings.NewReader(text))
	assert.NilError(t, err)
	return p
}

func render(t *testing.T, p Profile, opts Options) string {
	t.Helper()
	var b bytes.Buffer
	assert.NilError(t, Write(&b, p, opts))
	return b.String()
}

func options() Options {
	return Options{ModulePath: "example.com/m", Timestamp: time.UnixMilli(1767323045006)}
}

func TestGolden(t *testing.T) {
	p := parseText(t, string(golden.Get(t, "coverpkg.cov")))
	assert.Equal(t, p.Mode(), "count")
	out := render(t, p, options())
	golden.Assert(t, out, "coverpkg.xml")

	d := read(t, out)
	assert.Equal(t, d.LinesValid, 18)
	assert.Equal(t, d.LinesCovered, 11)
	assert.Equal(t, d.LineRate, 11.0/18)
	assert.DeepEqual(t, d.Sources, []string{"."})
}

func TestPackages(t *testing.T) {
	p := parseText(t, string(golden.Get(t, "coverpkg.cov")))
	assert.DeepEqual(t, p.Packages(), []PackageCoverage{
		{"example.com/m", Statements{Covered: 2, Total: 9}},
		{"example.com/m/sub", Statements{Covered: 3, Total: 3}},
	})
	assert.Equal(t, p.Total(), Statements{Covered: 5, Total: 12})
	assert.Equal(t, fmt.Sprintf("%.1f", p.Total().Percent()), "41.7")
	assert.Equal(t, Profile{}.Total().Percent(), 0.0)
}

// The total must be the number of go tool cover, for a profile with each block
// once and for one with -coverpkg, where each binary lists every block.
func TestTotalAgreesWithGoToolCover(t *testing.T) {
	dir := t.TempDir()
	assert.NilError(t, os.CopyFS(dir, os.DirFS("testdata/module")))
	// The module is in files that the go command does not take for a module
	// inside this one.
	for _, name := range []string{"go.mod", "a.go", "a_test.go", "sub/s.go", "sub/s_test.go"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		assert.NilError(t, os.Rename(file+".txt", file))
	}
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
		out, err := cmd.CombinedOutput()
		assert.NilError(t, err, string(out))
		return string(out)
	}
	for _, args := range [][]string{
		{"-covermode=set"},
		{"-covermode=count", "-coverpkg=./..."},
		{"-covermode=atomic", "-coverpkg=./..."},
		{"-run=NoSuch"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			run(append(append([]string{"test", "-coverprofile=cover.out"}, args...), "./...")...)
			text, err := os.ReadFile(filepath.Join(dir, "cover.out"))
			assert.NilError(t, err)
			p := parseText(t, string(text))
			fields := strings.Fields(run("tool", "cover", "-func=cover.out"))
			assert.Equal(t, fmt.Sprintf("%.1f%%", p.Total().Percent()), fields[len(fields)-1])
		})
	}
}

func TestMerging(t *testing.T) {
	// The middle block has the start of its neighbours and another end, which
	// the parser of x/tools does not keep apart in order.
	p := parseText(t, "mode: count\n"+
		"m/a.go:1.1,5.2 2 0\n"+
		"m/a.go:1.1,6.2 3 0\n"+
		"m/a.go:1.1,5.2 2 7\n"+
		"m/a.go:1.1,6.2 3 0\n")
	assert.Equal(t, p.Total(), Statements{Covered: 2, Total: 5})

	p = parseText(t, "mode: set\nm/a.go:1.1,1.9 1 1\nm/a.go:1.1,1.8 1 0\nm/a.go:1.1,1.9 1 1\n")
	assert.Equal(t, p.Total(), Statements{Covered: 1, Total: 2})
	assert.Equal(t, read(t, render(t, p, Options{})).Packages[0].Classes[0].Lines[0].Hits, 1)
}

func TestNames(t *testing.T) {
	text := "mode: set\n" +
		"example.com/m/a.go:1.1,1.2 1 1\n" +
		"example.com/mother/b.go:1.1,1.2 1 1\n" +
		"/abs/<c>\x01.go:1.1,1.2 1 1\n"
	names := func(opts Options) []string {
		var names []string
		for _, p := range read(t, render(t, parseText(t, text), opts)).Packages {
			names = append(names, p.Classes[0].Filename)
		}
		return names
	}
	assert.DeepEqual(t, names(options()), []string{"/abs/<c>\uFFFD.go", "a.go", "example.com/mother/b.go"})
	assert.DeepEqual(t, names(Options{}), []string{"/abs/<c>\uFFFD.go", "example.com/m/a.go", "example.com/mother/b.go"})
	d := read(t, render(t, Profile{}, Options{Sources: []string{"/src/a&b", "/src/c"}}))
	assert.DeepEqual(t, d.Sources, []string{"/src/a&b", "/src/c"})
	assert.Equal(t, d.Timestamp, "0")
}

// A rate of 1 must mean every line, and huge counts must stay readable.
func TestRateIsNotRounded(t *testing.T) {
	p := parseText(t, "mode: count\nm/a.go:1.1,99999.1 1 99999999999\nm/a.go:100000.1,100000.2 1 0\n")
	d := read(t, render(t, p, Options{}))
	assert.Equal(t, d.LineRate, 0.99999)
	assert.Equal(t, d.Packages[0].Classes[0].Lines[0].Hits, 1<<31-1)
}

func TestNothingCovered(t *testing.T) {
	p := parseText(t, "mode: set\n")
	assert.Equal(t, p.Total(), Statements{})
	assert.Equal(t, len(p.Packages()), 0)
	golden.Assert(t, render(t, p, options()), "nothing.xml")
}

func TestWriteEmpty(t *testing.T) {
	var b bytes.Buffer
	assert.NilError(t, WriteEmpty(&b, "the build --failed-->\n<x>&\x00\r\xff -", options()))
	golden.Assert(t, b.String(), "empty.xml")
	assert.Equal(t, read(t, b.String()).LineRate, 0.0)

	b.Reset()
	assert.NilError(t, WriteEmpty(&b, strings.Repeat("-ä", maxReason), options()))
	assert.Assert(t, strings.Contains(read(t, b.String()).Comment, "[cut]"))

	assert.ErrorContains(t, WriteEmpty(&b, " \n", options()), "the reason is empty")
}

func TestMalformed(t *testing.T) {
	good := "mode: set\nm/a.go:1.1,2.2 1 1\n"
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "cover profile: empty"},
		{"no mode", "m/a.go:1.1,2.2 1 1\n", "line 1: bad mode line"},
		{"unknown mode", "mode: sometimes\n", `line 1: mode "sometimes" is not one of set, count, atomic`},
		{"cut off", good + "m/a.go:3.1,4", `line 3: line "m/a.go:3.1,4" doesn't match`},
		{"blank line", good + "\n" + good, `line 3: line "" doesn't match`},
		{"two profiles", good + good, `line 3: line "mode: set" doesn't match`},
		{"long line", good + strings.Repeat("x", 1<<17) + "\n" + good, "line 3: bufio.Scanner: token too long"},
		{"negative", good + "m/a.go:3.1,4.1 1 -1\n", "line 3: line"},
		{"line 0", good + "m/a.go:0.1,4.1 1 1\n" + "junk\n", `line 3: file "m/a.go", block 0.1,4.1: not a range of lines`},
		{"backwards", good + "m/a.go:4.1,3.1 1 1\n", `line 3: file "m/a.go", block 4.1,3.1: not a range of lines`},
		{"far", good + "m/a.go:4.1,99999999.1 1 1\n", `line 3: file "m/a.go", block 4.1,99999999.1: not a range of lines`},
		{"many statements", good + "m/a.go:4.1,5.1 99999999 1\n", `line 3: file "m/a.go", block 4.1,5.1: 99999999 statements`},
		{
			"many lines", good + strings.Repeat("m/a.go:1.1,16000000.1 1 1\n", 2) + "m/b.go:1.1,16000000.1 1 1\n",
			`line 5: file "m/b.go", block 1.1,16000000.1: the profile spans more than 16777216 lines`,
		},
		{"contradiction", good + "m/a.go:1.1,2.2 2 1\n", "line 3: inconsistent NumStmt: changed from "},
		{"hidden contradiction", good + "m/a.go:1.1,3.2 1 1\nm/a.go:1.1,2.2 2 1\n", "line 4: "},
		{
			"overflow", "mode: count\n" + strings.Repeat("m/a.go:1.1,2.2 1 9223372036854775807\n", 2),
			`line 3: file "m/a.go", block 1.1,2.2: the sum of its counts overflows`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse(strings.NewReader(tc.text))
			assert.ErrorContains(t, err, tc.want)
		})
	}
}

func TestLimit(t *testing.T) {
	text := "mode: set\nm/a.go:1.1,2.2 1 1\n"
	_, err := ParseLimit(strings.NewReader(text), int64(len(text)))
	assert.NilError(t, err)
	_, err = ParseLimit(strings.NewReader(text), int64(len(text))-1)
	assert.Error(t, err, "cover profile: larger than the limit of 28 bytes")
}

func TestReadAndWriteErrors(t *testing.T) {
	broken := errors.New("broken")
	_, err := Parse(iotest.ErrReader(broken))
	assert.ErrorIs(t, err, broken)
	assert.ErrorIs(t, Write(brokenWriter{broken}, Profile{}, Options{}), broken)
	assert.ErrorIs(t, WriteEmpty(brokenWriter{broken}, "reason", Options{}), broken)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// naive adds up a profile by the regular expression in the documentation of
// x/tools/cover, a block of one text being one block.
func naive(text string) Statements {
	block := regexp.MustCompile(`^(.+:\d+\.\d+,\d+\.\d+) (\d+) (\d+)\r?$`)
	statements, covered := map[string]int{}, map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		m := block.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		number, _ := strconv.Atoi(m[2])
		count, _ := strconv.Atoi(m[3])
		statements[m[1]] = number
		covered[m[1]] = covered[m[1]] || count > 0
	}
	var sum Statements
	for b, n := range statements {
		sum.Total += n
		if covered[b] {
			sum.Covered += n
		}
	}
	return sum
}

func FuzzParse(f *testing.F) {
	data, err := os.ReadFile("testdata/coverpkg.cov")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data), "reason")
	f.Add("mode: set\r\nm/a.go:1.1,2.2 1 1\r\n", "--")
	f.Add("mode: count\nm/a.go:1.1,5.2 2 0\nm/a.go:1.1,6.2 3 0\nm/a.go:1.1,5.2 2 7", "-\x00")
	f.Fuzz(func(t *testing.T, text, reason string) {
		if strings.TrimSpace(reason) != "" {
			var b bytes.Buffer
			assert.NilError(t, WriteEmpty(&b, reason, options()))
			assert.Equal(t, read(t, b.String()).LinesValid, 0)
		}
		p, err := ParseLimit(strings.NewReader(text), 1<<16)
		if err != nil {
			assert.Assert(t, strings.HasPrefix(err.Error(), "cover profile"))
			return
		}
		// Numbers with leading zeros or signs are the same block in two texts.
		if !regexp.MustCompile(`[:.,]\+?0|\+`).MatchString(text) {
			assert.Equal(t, p.Total(), naive(text))
		}
		var sum Statements
		for _, c := range p.Packages() {
			sum.Covered += c.Covered
			sum.Total += c.Total
		}
		assert.Equal(t, sum, p.Total())
		assert.Assert(t, sum.Covered <= sum.Total)
		if spanned(p) > 1<<12 {
			return // correct, and slow
		}
		checkDocument(t, read(t, render(t, p, options())))
	})
}

func spanned(p Profile) int {
	lines := 0
	for _, f := range p.files {
		for _, b := range f.Blocks {
			lines += b.EndLine - b.StartLine
		}
	}
	return lines
}

func checkDocument(t *testing.T, d document) {
	t.Helper()
	valid, covered := 0, 0
	for _, pkg := range d.Packages {
		for _, class := range pkg.Classes {
			for _, line := range class.Lines {
				valid++
				if line.Hits > 0 {
					covered++
				}
			}
		}
	}
	assert.Equal(t, d.LinesValid, valid)
	assert.Equal(t, d.LinesCovered, covered)
	assert.Equal(t, d.LineRate == 1, valid > 0 && covered == valid)
}
