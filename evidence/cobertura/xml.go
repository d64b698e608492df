package cobertura

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/cover"
)

// maxReason is the number of bytes of a reason that WriteEmpty keeps.
const maxReason = 4 << 10

// Options are the parts of a document that do not come from the profile.
type Options struct {
	// ModulePath is taken off the names of files, so that they are relative to
	// the root of the module. Files of other modules keep their whole name.
	ModulePath string
	// Sources are the directories the names are relative to; "." when empty,
	// because some readers want at least one.
	Sources []string
	// Timestamp is when the coverage was measured, written in milliseconds
	// since 1970; 0 when zero. The package never looks at a clock.
	Timestamp time.Time
}

// Write writes the profile as one document: a package for each Go package, a
// class for each source file, a line for each line that a block with
// statements touches. A line in several blocks has the hits of the one hit
// most, as the condition of an "if" runs even when its body does not. Rates are
// 0 where there is nothing to cover. Branches are not measured by Go.
//
// There is no document type declaration: its address is dead
// (cobertura/cobertura#437), and some readers refuse any.
//
// The only errors are those of w. The same values give the same bytes.
func Write(w io.Writer, p Profile, opts Options) error {
	return write(w, p, opts, "")
}

// WriteEmpty writes a valid document that says that nothing was measured: no
// packages, rate 0, and the reason in a comment. The reason is mandatory.
func WriteEmpty(w io.Writer, reason string, opts Options) error {
	if strings.TrimSpace(reason) == "" {
		return errors.New("cobertura report without coverage: the reason is empty")
	}
	return write(w, Profile{}, opts, "nothing was measured: "+reason)
}

func write(w io.Writer, p Profile, opts Options, comment string) error {
	packages, total := elements(p)
	out := printer{bufio.NewWriter(w)}
	out.raw(xml.Header)
	out.raw("<coverage")
	out.rate(total)
	out.attr("lines-covered", strconv.Itoa(total.covered))
	out.attr("lines-valid", strconv.Itoa(total.valid))
	out.attr("branches-covered", "0")
	out.attr("branches-valid", "0")
	out.attr("version", "0")
	out.attr("timestamp", strconv.FormatInt(millis(opts.Timestamp), 10))
	out.raw(">\n")
	if comment != "" {
		out.raw("  <!-- " + commentText(comment) + " -->\n")
	}
	out.raw("  <sources>\n")
	sources := opts.Sources
	if len(sources) == 0 {
		sources = []string{"."}
	}
	for _, s := range sources {
		out.raw("    <source>" + escape(s) + "</source>\n")
	}
	out.raw("  </sources>\n  <packages>\n")
	for _, e := range packages {
		out.pkg(e, opts.ModulePath)
	}
	out.raw("  </packages>\n</coverage>\n")
	// The bufio.Writer keeps the first error and returns it here.
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("cobertura report: %w", err)
	}
	return nil
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// lineRate is a number of lines.
type lineRate struct {
	covered, valid int
}

// String returns the rate, 0 to 1, without rounding: 1 means every line.
func (r lineRate) String() string {
	if r.valid == 0 {
		return "0"
	}
	return strconv.FormatFloat(float64(r.covered)/float64(r.valid), 'f', -1, 64)
}

func (r *lineRate) add(other lineRate) {
	r.covered += other.covered
	r.valid += other.valid
}

// packageElement and classElement are what becomes of a package and a file.
type packageElement struct {
	importPath string
	rate       lineRate
	classes    []classElement
}

type classElement struct {
	file  string
	rate  lineRate
	lines []line
}

type line struct {
	number, hits int
}

func elements(p Profile) (packages []packageElement, total lineRate) {
	for _, g := range p.groups() {
		e := packageElement{importPath: g.importPath}
		for _, f := range g.files {
			c := classElement{file: f.FileName, lines: lines(f)}
			c.rate.valid = len(c.lines)
			for _, l := range c.lines {
				if l.hits > 0 {
					c.rate.covered++
				}
			}
			e.rate.add(c.rate)
			e.classes = append(e.classes, c)
		}
		total.add(e.rate)
		packages = append(packages, e)
	}
	return packages, total
}

// lines returns the lines with statements in order. Hits end at the largest
// 32-bit integer, which is what readers parse.
func lines(f *cover.Profile) []line {
	hits := map[int]int{}
	for _, b := range f.Blocks {
		if b.NumStmt == 0 {
			continue // an empty function has nothing to cover
		}
		for n := b.StartLine; n <= b.EndLine; n++ {
			hits[n] = max(hits[n], min(b.Count, math.MaxInt32))
		}
	}
	list := make([]line, 0, len(hits))
	for _, n := range slices.Sorted(maps.Keys(hits)) {
		list = append(list, line{n, hits[n]})
	}
	return list
}

// printer writes XML; errors stay in the bufio.Writer.
type printer struct {
	w *bufio.Writer
}

func (p printer) pkg(e packageElement, modulePath string) {
	p.raw("    <package")
	p.attr("name", e.importPath)
	p.rate(e.rate)
	p.raw(">\n      <classes>\n")
	for _, c := range e.classes {
		p.class(c, modulePath)
	}
	p.raw("      </classes>\n    </package>\n")
}

func (p printer) class(c classElement, modulePath string) {
	filename := c.file
	if modulePath != "" {
		filename = strings.TrimPrefix(filename, modulePath+"/")
	}
	p.raw("        <class")
	p.attr("name", path.Base(c.file))
	p.attr("filename", filename)
	p.rate(c.rate)
	p.raw(">\n          <methods></methods>\n          <lines>\n")
	for _, l := range c.lines {
		p.raw("            <line")
		p.attr("number", strconv.Itoa(l.number))
		p.attr("hits", strconv.Itoa(l.hits))
		p.raw("/>\n")
	}
	p.raw("          </lines>\n        </class>\n")
}

func (p printer) rate(r lineRate) {
	p.attr("line-rate", r.String())
	p.attr("branch-rate", "0")
	p.attr("complexity", "0")
}

func (p printer) attr(name, value string) {
	p.raw(" " + name + `="` + escape(value) + `"`)
}

func (p printer) raw(s string) {
	_, _ = p.w.WriteString(s)
}

// escape makes s text or the value of an attribute; what XML cannot carry
// becomes U+FFFD.
func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

// commentText makes s the inside of a comment, where nothing can be escaped
// and two hyphens in a row are not allowed.
func commentText(s string) string {
	if len(s) > maxReason {
		s = s[:maxReason] + " [cut]"
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r < ' ' && r != '\t' && r != '\n', r == 0xFFFE, r == 0xFFFF:
			return '\uFFFD'
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for strings.Contains(s, "--") {
		s = strings.ReplaceAll(s, "--", "- -")
	}
	return s
}
