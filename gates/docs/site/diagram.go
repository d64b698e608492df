package site

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"io/fs"
	"math"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/yuin/goldmark/ast"
)

// Diagram is a Mermaid block of a page.
type Diagram struct {
	Path   string `json:"path"` // of the page, relative to the root
	Line   int    `json:"line"`
	Source string `json:"source"`
	// Picture is the file, relative to the root, that shows it; Missing says
	// that it is not there.
	Picture string `json:"picture"`
	Missing bool   `json:"missing"`
}

// Name is how the picture of a block is called: the first 16 hex digits of the
// SHA-256 of its text, so that a changed block has no picture.
func Name(source string) string {
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:8])
}

// Draw is the command that a finding about a diagram names.
const Draw = "mage docs:diagrams"

// accTitle is the line of a block that says what the diagram shows.
var accTitle = regexp.MustCompile(`(?m)^\s*accTitle\s*:\s*(\S.*?)\s*$`)

func caption(source string) string {
	if m := accTitle.FindStringSubmatch(source); m != nil {
		return m[1]
	}
	return ""
}

func (p *page) diagram(n *ast.FencedCodeBlock, line int) {
	source := segments(n.Lines(), p.source)
	if caption(source) == "" {
		p.find(CodeAlt, line, "add a line \"accTitle: what it shows\" below the first line of the block", "the diagram has no text for those who cannot see it")
	}
	p.diagrams = append(p.diagrams, Diagram{Path: p.path, Line: line, Source: source})
}

// picture is a drawn diagram.
type picture struct {
	svg           []byte
	width, height int
}

// drawn is the picture of a diagram as it was found.
type drawn struct {
	picture
	missing bool
	err     error
}

// draw reads the pictures of the page's diagrams.
func (p *page) draw(fsys fs.FS, docs string) {
	for i := range p.diagrams {
		d := &p.diagrams[i]
		d.Picture = docs + "/" + Diagrams + "/" + Name(d.Source) + ".svg"
		var found drawn
		raw, err := fs.ReadFile(fsys, d.Picture)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			found.missing = true
		case err != nil:
			found.err = err
		default:
			found.picture, found.err = readPicture(raw)
		}
		p.drawn = append(p.drawn, found)
	}
}

// pictures takes over the drawn diagrams, and finds the missing and the unused.
func (b *builder) pictures() {
	used := map[string]bool{}
	for _, p := range b.pages {
		for i, found := range p.drawn {
			d := p.diagrams[i]
			first := !used[d.Picture]
			used[d.Picture] = true
			switch {
			case found.missing || !b.files[d.Picture]:
				d.Missing = true
				b.find(CodeMermaid, d.Path, d.Line, Draw, "the diagram has no picture %s", d.Picture)
			case !first:
			case found.err != nil:
				b.find(CodeDiagram, d.Picture, 0, "remove it, then "+Draw, "%v", found.err)
			default:
				b.drawn[d.Picture] = found.picture
				b.add(strings.TrimPrefix(d.Picture, b.Docs+"/"), found.svg)
			}
			b.out.Diagrams = append(b.out.Diagrams, d)
		}
	}
	folder := b.Docs + "/" + Diagrams
	for name := range b.files {
		if path.Ext(name) == ".svg" && path.Dir(name) == folder && !used[name] && b.exists(name) && !b.referenced(name) {
			b.out.Unused = append(b.out.Unused, name)
			b.find(CodeDiagram, name, 0, Draw, "no diagram of a page has this picture")
		}
	}
	slices.Sort(b.out.Unused)
}

// referenced says whether a page shows the picture as one of its own.
func (b *builder) referenced(name string) bool {
	for _, f := range b.out.Files {
		if f.Path == strings.TrimPrefix(name, b.Docs+"/") {
			return true
		}
	}
	return false
}

// figure is a diagram as HTML: the picture, and its text for who cannot see it.
func (b *builder) figure(p *page, source string) string {
	name := b.Docs + "/" + Diagrams + "/" + Name(source) + ".svg"
	pic, ok := b.drawn[name]
	alt := html.EscapeString(caption(source))
	var out strings.Builder
	out.WriteString(`<figure class="diagram">`)
	if ok {
		fmt.Fprintf(&out, `<div class="scroll" tabindex="0" role="group" aria-label="%s"><img src="%s" alt="%s" width="%d" height="%d" loading="lazy"></div>`,
			alt, relative(p.out, strings.TrimPrefix(name, b.Docs+"/")), alt, pic.width, pic.height)
	}
	fmt.Fprintf(&out, `<figcaption><details><summary>%s, as text</summary><pre tabindex="0"><code>%s</code></pre></details></figcaption></figure>`+"\n",
		alt, html.EscapeString(source))
	return out.String()
}

// active are elements of SVG that do something, or fetch something.
var active = map[string]bool{
	"script": true, "foreignObject": true, "iframe": true, "image": true, "feImage": true, "a": true,
	"animate": true, "set": true, "animateMotion": true, "animateTransform": true, "handler": true,
}

// elsewhere says whether a text refers to what is not in the picture itself.
func elsewhere(text string) bool {
	if !strings.ContainsAny(text, "(:@") {
		return false
	}
	text = strings.ToLower(text)
	for _, word := range []string{"@import", "javascript:", "expression("} {
		if strings.Contains(text, word) {
			return true
		}
	}
	for {
		_, rest, found := strings.Cut(text, "url(")
		if !found {
			return false
		}
		if text = strings.TrimLeft(rest, " \t\n\r\f\"'"); !strings.HasPrefix(text, "#") {
			return true
		}
	}
}

// readPicture reads an SVG as if somebody else had drawn it: it does nothing,
// fetches nothing and says how large it is. Its colours get a counterpart for
// a dark page.
func readPicture(raw []byte) (picture, error) {
	var pic picture
	var out bytes.Buffer
	decoder := xml.NewDecoder(bytes.NewReader(raw))
	depth, style := 0, false
	for {
		tok, err := decoder.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return pic, fmt.Errorf("it is no SVG: %w", err)
		}
		switch t := tok.(type) {
		case xml.StartElement:
			if active[t.Name.Local] || t.Name.Space != "" {
				return pic, fmt.Errorf("the element <%s> is not allowed in a picture", qualified(t.Name))
			}
			if depth == 0 {
				if t.Name.Local != "svg" || pic.width > 0 {
					return pic, errors.New("it is no SVG: it has more than one root, or another one")
				}
				if pic.width, pic.height, err = size(t.Attr); err != nil {
					return pic, err
				}
				t.Attr = onBothGrounds(t.Attr)
			}
			depth++
			style = t.Name.Local == "style"
			out.WriteString("<" + t.Name.Local)
			for _, a := range t.Attr {
				if err := harmless(a); err != nil {
					return pic, err
				}
				switch a.Name.Local {
				case "style":
					a.Value = recolour(a.Value + ";")
				case "fill", "stroke", "stop-color", "flood-color", "color":
					a.Value = darkened(a.Value)
				}
				fmt.Fprintf(&out, ` %s="%s"`, qualified(a.Name), attributeEscaper.Replace(a.Value))
			}
			out.WriteString(">")
		case xml.EndElement:
			depth--
			style = false
			out.WriteString("</" + qualified(t.Name) + ">")
		case xml.CharData:
			text := string(t)
			if style {
				if elsewhere(text) || strings.Contains(text, `\`) {
					return pic, errors.New("its style fetches something from elsewhere")
				}
				text = recolour(text)
			}
			if depth > 0 {
				if err := xml.EscapeText(&out, []byte(text)); err != nil {
					return pic, err
				}
			}
		case xml.Directive:
			return pic, errors.New("a document type is not allowed in a picture")
		}
	}
	if depth != 0 || pic.width == 0 {
		return pic, errors.New("it is no SVG: it is not whole")
	}
	out.WriteByte('\n')
	pic.svg = out.Bytes()
	return pic, nil
}

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

var attributeEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "\n", "&#10;")

func harmless(a xml.Attr) error {
	name := a.Name.Local
	switch {
	case strings.HasPrefix(strings.ToLower(name), "on"):
		return fmt.Errorf("the attribute %s does something", name)
	case name == "href" && !strings.HasPrefix(a.Value, "#"), elsewhere(a.Value):
		return fmt.Errorf("the attribute %s leads elsewhere", name)
	}
	return nil
}

// size is how large the picture wants to be, in pixels.
func size(attrs []xml.Attr) (int, int, error) {
	for _, a := range attrs {
		if a.Name.Local != "viewBox" {
			continue
		}
		fields := strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' })
		if len(fields) == 4 {
			w, errW := strconv.ParseFloat(fields[2], 64)
			h, errH := strconv.ParseFloat(fields[3], 64)
			if errW == nil && errH == nil && w > 0 && h > 0 && w < 1e5 && h < 1e5 {
				return int(math.Ceil(w)), int(math.Ceil(h)), nil
			}
		}
	}
	return 0, 0, errors.New("it does not say how large it is: no viewBox")
}

// onBothGrounds lets the picture follow the page that shows it, and gives it a
// ground of its own for browsers that do not pass the page's scheme on.
func onBothGrounds(attrs []xml.Attr) []xml.Attr {
	const ours = "color-scheme:light dark;background-color:#ffffff"
	kept := make([]xml.Attr, 0, len(attrs)+1)
	for _, a := range attrs {
		if a.Name.Local != "style" {
			kept = append(kept, a)
		}
	}
	return append(kept, xml.Attr{Name: xml.Name{Local: "style"}, Value: ours})
}

var (
	declaration = regexp.MustCompile(`:([^:;{}]*)([;}])`)
	colour      = regexp.MustCompile(`#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3,4})\b|\b(?:rgba?|hsla?)\([^()]*\)|\b(?:white|black|gray|grey|lightgrey|lightgray|darkgrey|darkgray|red|green|blue)\b`)
	number      = regexp.MustCompile(`-?[0-9.]+%?`)
)

// recolour gives each colour of a style its counterpart. References such as
// url(#arrow) are no colours.
func recolour(css string) string {
	return declaration.ReplaceAllStringFunc(css, func(d string) string {
		if strings.Contains(d, "url(") {
			return d
		}
		return darkened(d)
	})
}

func darkened(value string) string {
	if strings.Contains(value, "url(") {
		return value
	}
	return colour.ReplaceAllStringFunc(value, func(c string) string {
		h, s, l, alpha, ok := hsl(c)
		if !ok {
			return c
		}
		// White becomes the ground of a dark page, black its text; the hue stays.
		dark := fmt.Sprintf("hsl(%.0f %.0f%% %.0f%%", h, s*100, (0.93-0.84*l)*100)
		if alpha < 1 {
			dark += fmt.Sprintf(" / %.2f", alpha)
		}
		return "light-dark(" + c + "," + dark + "))"
	})
}

var named = map[string]string{
	"white": "#ffffff", "black": "#000000", "gray": "#808080", "grey": "#808080", "lightgrey": "#d3d3d3", "lightgray": "#d3d3d3",
	"darkgrey": "#a9a9a9", "darkgray": "#a9a9a9", "red": "#ff0000", "green": "#008000", "blue": "#0000ff",
}

// hsl reads a colour: hue in degrees, the others from 0 to 1.
func hsl(c string) (h, s, l, alpha float64, ok bool) {
	if hexadecimal, known := named[strings.ToLower(c)]; known {
		c = hexadecimal
	}
	if digits, is := strings.CutPrefix(c, "#"); is {
		if len(digits) < 6 {
			long := ""
			for _, d := range digits {
				long += string(d) + string(d)
			}
			digits = long
		}
		v, err := strconv.ParseUint(digits+"ff"[:8-len(digits)], 16, 32)
		if err != nil {
			return 0, 0, 0, 0, false
		}
		h, s, l = fromRGB(float64(v>>24)/255, float64(v>>16&255)/255, float64(v>>8&255)/255)
		return h, s, l, float64(v&255) / 255, true
	}
	parts := number.FindAllString(c[strings.IndexByte(c, '(')+1:], -1)
	if len(parts) < 3 {
		return 0, 0, 0, 0, false
	}
	values := [4]float64{3: 1}
	for i, part := range parts[:min(4, len(parts))] {
		digits, percent := strings.CutSuffix(part, "%")
		v, err := strconv.ParseFloat(digits, 64)
		if err != nil {
			return 0, 0, 0, 0, false
		}
		if percent {
			v /= 100
		} else if i < 3 && strings.HasPrefix(c, "rgb") {
			v /= 255
		}
		values[i] = v
	}
	if strings.HasPrefix(c, "rgb") {
		h, s, l = fromRGB(values[0], values[1], values[2])
		return h, s, l, values[3], true
	}
	return math.Mod(values[0]+360, 360), values[1], values[2], values[3], true
}

func fromRGB(r, g, b float64) (h, s, l float64) {
	most, least := max(r, g, b), min(r, g, b)
	l = (most + least) / 2
	d := most - least
	if d == 0 {
		return 0, 0, l
	}
	s = d / (1 - math.Abs(2*l-1))
	switch most {
	case r:
		h = math.Mod((g-b)/d+6, 6)
	case g:
		h = (b-r)/d + 2
	default:
		h = (r-g)/d + 4
	}
	return h * 60, s, l
}

// CheckPicture says why a drawn diagram may not be part of the site.
func CheckPicture(svg []byte) error {
	_, err := readPicture(svg)
	return err
}
