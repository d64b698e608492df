// Package junit writes test reports in the JUnit XML dialect that Jenkins,
// GitLab, GitHub actions and most other readers take.
//
// There is no standard. The elements and attributes are those of junit-10.xsd
// of the Jenkins xUnit plugin
// (https://github.com/jenkinsci/xunit-plugin/blob/master/src/main/resources/org/jenkinsci/plugins/xunit/types/model/xsd/junit-10.xsd),
// which covers Ant and Maven Surefire, plus the attributes "file" and "line" of
// a test case, which that schema lacks and which https://github.com/testmoapp/junitxml
// lists as common. GitLab, for one, reads "file"
// (https://docs.gitlab.com/ci/testing/unit_test_reports/).
//
// Whatever the texts hold, the document is well-formed XML 1.0: a character
// that XML does not allow, and a byte that is not UTF-8, is written as visible
// text (\x00, \xff, \ufffe). Texts beyond the limits [MaxBody] and [MaxMessage]
// lose their middle and say so. The same values give the same bytes.
package junit

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	// MaxBody is the number of bytes kept of Detail.Body and Case.SystemOut.
	MaxBody = 64 << 10
	// MaxMessage is the number of bytes kept of Detail.Message and Property.Value.
	MaxMessage = 4 << 10
)

// Suites is a whole document, element "testsuites". Its counts and its time
// are sums over the suites.
type Suites struct {
	Name   string
	Suites []Suite
}

// Suite is a group of cases, element "testsuite". Its counts are taken from
// the cases.
type Suite struct {
	Name       string
	Package    string        // left out when empty
	Time       time.Duration // written in seconds
	Timestamp  time.Time     // start, written in UTC; left out when zero
	Properties []Property
	Cases      []Case
}

// Property is one name and value, element "property".
type Property struct {
	Name, Value string
}

// Case is one test, element "testcase". At most one of Failure, Error and
// Skipped is set; none means that the test passed.
//
// GitLab identifies a case by Classname and Name and drops all but the first of
// a kind, so the pair had better be unique in a document.
type Case struct {
	Name      string
	Classname string        // left out when empty
	File      string        // left out when empty
	Line      int           // left out when not positive
	Time      time.Duration // written in seconds
	Failure   *Detail       // an assertion did not hold
	Error     *Detail       // the test could not be carried out, or crashed
	Skipped   *Detail
	SystemOut string // left out when empty
}

// Detail explains a case that did not pass. An empty Body is written as the
// message, because GitLab shows bodies only.
type Detail struct {
	Message string // one line, as a rule
	Type    string // kind of failure, left out when empty
	Body    string
}

// counts are the numbers that readers want repeated in attributes.
type counts struct {
	tests, failures, errors, skipped int
	time                             time.Duration
}

// Write writes the document to w. It fails, before it writes anything, when a
// case has more than one of Failure, Error and Skipped, and otherwise only when
// w does.
func Write(w io.Writer, s Suites) error {
	var total counts
	perSuite := make([]counts, len(s.Suites))
	for i, suite := range s.Suites {
		c, err := count(suite)
		if err != nil {
			return err
		}
		perSuite[i] = c
		total.tests += c.tests
		total.failures += c.failures
		total.errors += c.errors
		total.time += c.time
	}

	p := printer{w: bufio.NewWriter(w)}
	p.raw(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	p.raw("<testsuites")
	p.attr("name", s.Name)
	p.number("tests", total.tests)
	p.number("failures", total.failures)
	p.number("errors", total.errors)
	p.seconds(total.time)
	p.raw(">\n")
	for i, suite := range s.Suites {
		p.suite(suite, perSuite[i])
	}
	p.raw("</testsuites>\n")
	// The bufio.Writer keeps the first error and returns it here.
	if err := p.w.Flush(); err != nil {
		return fmt.Errorf("junit report %q: %w", s.Name, err)
	}
	return nil
}

func count(s Suite) (counts, error) {
	c := counts{tests: len(s.Cases), time: max(0, s.Time)}
	for _, k := range s.Cases {
		set := 0
		for _, o := range []struct {
			detail *Detail
			number *int
		}{{k.Failure, &c.failures}, {k.Error, &c.errors}, {k.Skipped, &c.skipped}} {
			if o.detail != nil {
				set++
				*o.number++
			}
		}
		if set > 1 {
			return counts{}, fmt.Errorf("junit suite %q, case %q: %d of Failure, Error and Skipped are set, at most one can be",
				s.Name, k.Name, set)
		}
	}
	return c, nil
}

// printer writes XML; errors stay in the bufio.Writer.
type printer struct {
	w *bufio.Writer
}

func (p printer) suite(s Suite, c counts) {
	p.raw("  <testsuite")
	p.attr("name", s.Name)
	p.optional("package", s.Package)
	p.number("tests", c.tests)
	p.number("failures", c.failures)
	p.number("errors", c.errors)
	p.number("skipped", c.skipped)
	p.seconds(s.Time)
	if !s.Timestamp.IsZero() {
		// Without a zone: some schemas allow none, and readers take it for UTC.
		p.attr("timestamp", s.Timestamp.UTC().Format("2006-01-02T15:04:05"))
	}
	p.raw(">\n")
	if len(s.Properties) > 0 {
		p.raw("    <properties>\n")
		for _, property := range s.Properties {
			p.raw("      <property")
			p.attr("name", property.Name)
			p.attr("value", cut(property.Value, MaxMessage))
			p.raw("/>\n")
		}
		p.raw("    </properties>\n")
	}
	for _, k := range s.Cases {
		p.testcase(k)
	}
	p.raw("  </testsuite>\n")
}

func (p printer) testcase(k Case) {
	p.raw("    <testcase")
	p.attr("name", k.Name)
	p.optional("classname", k.Classname)
	p.optional("file", k.File)
	if k.Line > 0 {
		p.number("line", k.Line)
	}
	p.seconds(k.Time)
	if k.Failure == nil && k.Error == nil && k.Skipped == nil && k.SystemOut == "" {
		p.raw("/>\n")
		return
	}
	p.raw(">\n")
	p.detail("failure", k.Failure)
	p.detail("error", k.Error)
	p.detail("skipped", k.Skipped)
	if k.SystemOut != "" {
		p.raw("      <system-out>")
		p.text(cut(k.SystemOut, MaxBody))
		p.raw("</system-out>\n")
	}
	p.raw("    </testcase>\n")
}

func (p printer) detail(element string, d *Detail) {
	if d == nil {
		return
	}
	body := d.Body
	if body == "" {
		body = d.Message
	}
	p.raw("      <" + element)
	p.optional("message", cut(d.Message, MaxMessage))
	p.optional("type", d.Type)
	p.raw(">")
	p.text(cut(body, MaxBody))
	p.raw("</" + element + ">\n")
}

func (p printer) raw(s string) {
	_, _ = p.w.WriteString(s)
}

func (p printer) attr(name, value string) {
	p.raw(" " + name + `="`)
	p.raw(escape(value, true))
	p.raw(`"`)
}

func (p printer) optional(name, value string) {
	if value != "" {
		p.attr(name, value)
	}
}

func (p printer) number(name string, n int) {
	p.attr(name, strconv.Itoa(n))
}

// seconds writes attribute time with three decimals, as many as the schema of
// Surefire allows.
func (p printer) seconds(d time.Duration) {
	p.attr("time", strconv.FormatFloat(max(0, d).Seconds(), 'f', 3, 64))
}

func (p printer) text(s string) {
	p.raw(escape(s, false))
}
