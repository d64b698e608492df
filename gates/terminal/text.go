package terminal

import (
	"strings"
	"unicode"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/render"
	"github.com/dpone/dpone/gates/proc"
)

// maxLine bounds one line of text from outside, in columns; the record has all of it.
const maxLine = 1000

// style is what differs between the forms for people.
type style struct {
	separator, arrow, ellipsis string
	marks                      [4]string // by verdict
	markWidth                  int
}

var (
	glyphs = style{
		separator: " · ", arrow: "→ ", ellipsis: "…", markWidth: 1,
		marks: [...]string{evidence.Pass: "✓", evidence.Fail: "✗", evidence.Unverified: "!", evidence.Skip: "–"},
	}
	words = style{
		separator: " - ", arrow: "-> ", ellipsis: "...", markWidth: 4,
		marks: [...]string{evidence.Pass: "ok", evidence.Fail: "FAIL", evidence.Unverified: "ERR", evidence.Skip: "skip"},
	}
)

func (s style) mark(v evidence.Verdict) string {
	if int(v) >= len(s.marks) {
		v = evidence.Unverified
	}
	return s.marks[v]
}

// The colours are Select Graphic Rendition sequences (ECMA-48, 8.3.117).
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (p *Printer) paint(colour, text string) string {
	if !p.opts.Colour || text == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

func colourOf(v evidence.Verdict) string {
	switch v {
	case evidence.Pass:
		return green
	case evidence.Fail:
		return red
	case evidence.Skip:
		return dim
	}
	return yellow
}

// oneLine makes text from outside safe to show in a line of ours: nothing that
// a terminal obeys, no line breaks, not without end.
func (p *Printer) oneLine(text string) string {
	if len(text) > 8*maxLine {
		text = text[:8*maxLine] // more than will be shown; the rest need not be worked on
	}
	return cut(strings.Join(strings.Fields(proc.Printable(text)), " "), maxLine, p.style.ellipsis)
}

// finding is a check as a line. Its parts are folded one by one, so that the
// gaps between them stay.
func (p *Printer) finding(c evidence.Check) string {
	for _, f := range p.run.finished {
		c = render.Measured(c, f.Step.ID, f.Measurements)
	}
	for _, part := range []*string{&c.Subject, &c.Observed, &c.Expected, &c.Reason, &c.Code} {
		*part = p.oneLine(*part)
	}
	return render.Finding(c)
}

// cut shortens text to so many columns.
func cut(text string, room int, ellipsis string) string {
	if columns(text) <= room {
		return text
	}
	room -= columns(ellipsis)
	if room < 0 {
		return ""
	}
	used := 0
	for i, r := range text {
		if used += runeColumns(r); used > room {
			return text[:i] + ellipsis
		}
	}
	return text
}

func columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

// wide are the runes that may take two columns: East Asian Wide and Fullwidth
// (Unicode Standard Annex 11), and the blocks in which emoji lie. Where
// terminals differ it says two: a line that is too short does no harm, one
// that wraps cannot be cleared.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1},
		{Lo: 0x231a, Hi: 0x23ff, Stride: 1},
		{Lo: 0x25fb, Hi: 0x25fe, Stride: 1},
		{Lo: 0x2600, Hi: 0x2712, Stride: 1},
		{Lo: 0x2714, Hi: 0x2716, Stride: 1},
		{Lo: 0x2718, Hi: 0x27bf, Stride: 1},
		{Lo: 0x2b00, Hi: 0x2bff, Stride: 1},
		{Lo: 0x2e80, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7ff, Stride: 1},
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe10, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1},
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x16fe0, Hi: 0x18dff, Stride: 1}, {Lo: 0x1aff0, Hi: 0x1b2ff, Stride: 1}, {Lo: 0x1f000, Hi: 0x3ffff, Stride: 1}},
}

func runeColumns(r rune) int {
	if unicode.Is(wide, r) {
		return 2
	}
	return 1
}

// padded is text with spaces up to so many columns.
func padded(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}
