package junit

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"
)

// document is what a reader finds, read without the types of the writer.
type document struct {
	XMLName  xml.Name `xml:"testsuites"`
	Name     string   `xml:"name,attr"`
	Tests    int      `xml:"tests,attr"`
	Failures int      `xml:"failures,attr"`
	Errors   int      `xml:"errors,attr"`
	Time     float64  `xml:"time,attr"`
	Suites   []struct {
		Name       string  `xml:"name,attr"`
		Package    string  `xml:"package,attr"`
		Tests      int     `xml:"tests,attr"`
		Failures   int     `xml:"failures,attr"`
		Errors     int     `xml:"errors,attr"`
		Skipped    int     `xml:"skipped,attr"`
		Time       float64 `xml:"time,attr"`
		Timestamp  string  `xml:"timestamp,attr"`
		Properties []struct {
			Name  string `xml:"name,attr"`
			Value string `xml:"value,attr"`
		} `xml:"properties>property"`
		Cases []struct {
			Name      string      `xml:"name,attr"`
			Classname string      `xml:"classname,attr"`
			File      string      `xml:"file,attr"`
			Line      int         `xml:"line,attr"`
			Failure   *readDetail `xml:"failure"`
			Error     *readDetail `xml:"error"`
			Skipped   *readDetail `xml:"skipped"`
			SystemOut string      `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

type readDetail struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Body    string `xml:",chardata"`
}

func write(t *testing.T, s Suites) string {
	t.Helper()
	var b bytes.Buffer
	assert.NilError(t, Write(&b, s))
	return b.String()
}

func read(t *testing.T, text string) document {
	t.Helper()
	var d document
	decoder := xml.NewDecoder(strings.NewReader(text))
	decoder.Strict = true
	assert.NilError(t, decoder.Decode(&d), text)
	return d
}

func example() Suites {
	return Suites{
		Name: "unit",
		Suites: []Suite{
			{
				Name:      "example.com/m/a",
				Package:   "example.com/m/a",
				Time:      1234567 * time.Microsecond,
				Timestamp: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("east", 3600)),
				Properties: []Property{
					{"go.version", "go1.26"},
					{"quote", `"<&>'` + "\t\n"},
				},
				Cases: []Case{
					{Name: "TestPass", Classname: "example.com/m/a", Time: 40 * time.Microsecond},
					{
						Name: "TestFail/sub", Classname: "example.com/m/a", File: "a/a_test.go", Line: 12, Time: time.Second,
						Failure:   &Detail{Message: "got 1,\nwant 2", Type: "fail", Body: "line 1\n\tline 2 & <more>\r\n"},
						SystemOut: "printed",
					},
					{Name: "TestPanic", Error: &Detail{Message: "panic: boom", Type: "panic"}},
					{Name: "TestSkip", Skipped: &Detail{Message: "needs a database"}},
					{Name: "TestSilentSkip", Skipped: &Detail{}},
				},
			},
			{Name: "nothing", Time: -time.Second},
		},
	}
}

func TestGolden(t *testing.T) {
	golden.Assert(t, write(t, example()), "example.xml")
	golden.Assert(t, write(t, Suites{}), "empty.xml")
}

func TestCounts(t *testing.T) {
	d := read(t, write(t, example()))
	assert.DeepEqual(t, []int{d.Tests, d.Failures, d.Errors}, []int{5, 1, 1})
	a := d.Suites[0]
	assert.DeepEqual(t, []int{a.Tests, a.Failures, a.Errors, a.Skipped}, []int{5, 1, 1, 2})
	assert.Equal(t, d.Time, 1.235)
	assert.Equal(t, d.Suites[1].Time, 0.0)
}

func TestUnreadableTexts(t *testing.T) {
	text := "nul \x00 esc \x1b[31m bad \xff\xc3 nonchar \ufffe\uffff cdata ]]> end ü \U0001F600 \u0085"
	want := `nul \x00 esc \x1b[31m bad \xff\xc3 nonchar \ufffe\uffff cdata ]]> end ü ` + "\U0001F600 \u0085"
	out := write(t, Suites{Name: text, Suites: []Suite{{
		Name: text, Package: text, Properties: []Property{{text, text}},
		Cases: []Case{{
			Name: text, Classname: text, File: text, SystemOut: text,
			Error: &Detail{Message: text, Type: text, Body: text},
		}},
	}}})
	golden.Assert(t, out, "unreadable.xml")
	d := read(t, out)
	s := d.Suites[0]
	c := s.Cases[0]
	for _, got := range []string{
		d.Name, s.Name, s.Package, s.Properties[0].Name, s.Properties[0].Value,
		c.Name, c.Classname, c.File, c.SystemOut, c.Error.Message, c.Error.Type, c.Error.Body,
	} {
		assert.Equal(t, got, want)
	}
}

func TestLimits(t *testing.T) {
	huge := "begin " + strings.Repeat("ä", MaxBody) + " end"
	d := read(t, write(t, Suites{Suites: []Suite{{
		Properties: []Property{{"p", huge}},
		Cases:      []Case{{SystemOut: huge, Failure: &Detail{Message: huge, Body: huge}}},
	}}}))
	c := d.Suites[0].Cases[0]
	for _, tc := range []struct {
		got   string
		limit int
	}{
		{c.SystemOut, MaxBody},
		{c.Failure.Body, MaxBody},
		{c.Failure.Message, MaxMessage},
		{d.Suites[0].Properties[0].Value, MaxMessage},
	} {
		assert.Assert(t, strings.HasPrefix(tc.got, "begin ä"))
		assert.Assert(t, strings.HasSuffix(tc.got, "ä end"))
		assert.Assert(t, strings.Contains(tc.got, " bytes cut ...]"))
		assert.Assert(t, utf8.ValidString(tc.got) && !strings.Contains(tc.got, `\x`))
		assert.Assert(t, len(tc.got) <= tc.limit+len("\n[... 1234567890 bytes cut ...]\n"))
	}
	exact := strings.Repeat("x", MaxBody)
	assert.Equal(t, cut(exact, MaxBody), exact)
}

func TestContradictingCase(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, Suites{Suites: []Suite{{
		Name:  "s",
		Cases: []Case{{Name: "c", Failure: &Detail{}, Skipped: &Detail{}}},
	}}})
	assert.Error(t, err, `junit suite "s", case "c": 2 of Failure, Error and Skipped are set, at most one can be`)
	assert.Equal(t, b.Len(), 0)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

func TestWriteError(t *testing.T) {
	full := errors.New("disk full")
	err := Write(brokenWriter{full}, example())
	assert.ErrorIs(t, err, full)
	assert.ErrorContains(t, err, `junit report "unit"`)
}

// plain texts are those that XML carries as they are.
func plain(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
	}) < 0
}

func FuzzWrite(f *testing.F) {
	f.Add("name", "message", "body", "out", uint8(1), 12)
	f.Add("\x00\xff]]>", "a\r\nb\tc", "&lt;<![CDATA[", "\ufffe", uint8(2), -1)
	f.Add(strings.Repeat("ü", MaxMessage), strings.Repeat("\xc3", MaxMessage+1), strings.Repeat("漢", MaxBody/2), `"'`, uint8(3), 0)
	f.Fuzz(func(t *testing.T, name, message, body, out string, kind uint8, line int) {
		c := Case{Name: name, Classname: name, Line: line, SystemOut: out}
		detail := &Detail{Message: message, Body: body, Type: name}
		switch kind % 4 {
		case 1:
			c.Failure = detail
		case 2:
			c.Error = detail
		case 3:
			c.Skipped = detail
		}
		text := write(t, Suites{Name: name, Suites: []Suite{
			{Name: name, Properties: []Property{{name, message}}, Cases: []Case{c, {Name: "other"}}},
			{Name: "second", Cases: []Case{c}},
		}})
		d := read(t, text)

		carried := func(got, original string, limit int) {
			t.Helper()
			assert.Assert(t, utf8.ValidString(got))
			if plain(original) && len(original) <= limit {
				assert.Equal(t, got, original)
			}
			if original != "" {
				assert.Assert(t, got != "")
			}
		}
		assert.Equal(t, len(d.Suites), 2)
		assert.Equal(t, d.Tests, 3)
		failures, failed, skipped := 0, 0, 0
		for i, s := range d.Suites {
			assert.Equal(t, s.Tests, 2-i)
			assert.Equal(t, len(s.Cases), 2-i)
			got := s.Cases[0]
			carried(got.Name, name, len(name))
			carried(got.Classname, name, len(name))
			carried(got.SystemOut, out, MaxBody)
			assert.Equal(t, got.Line, max(0, line))
			for want, d := range map[uint8]*readDetail{1: got.Failure, 2: got.Error, 3: got.Skipped} {
				assert.Equal(t, d != nil, kind%4 == want)
				if d != nil {
					carried(d.Message, message, MaxMessage)
					carried(d.Body, cmp.Or(body, message), MaxBody)
				}
			}
			failures += s.Failures
			failed += s.Errors
			skipped += s.Skipped
		}
		assert.Equal(t, d.Failures, failures)
		assert.Equal(t, d.Errors, failed)
		assert.DeepEqual(t, []bool{failures == 2, failed == 2, skipped == 2}, []bool{kind%4 == 1, kind%4 == 2, kind%4 == 3})
	})
}
