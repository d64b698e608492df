package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
)

// minCore is the least length of base64 text that is searched for at an
// alignment of its own; shorter text occurs by chance.
const minCore = 5

// variant is a value in one encoding.
type variant struct {
	text string
	tail bool
}

// variants returns value and its encodings, without those that equal value. The
// same text may be in the result twice.
func variants(value string) []variant {
	out := []variant{{text: value}}
	add := func(texts ...string) {
		for _, t := range texts {
			if t != value {
				out = append(out, variant{text: t})
			}
		}
	}
	if strings.ContainsFunc(value, func(c rune) bool { return c >= 0x80 || !isAlnum(byte(c)) }) {
		add(jsonEscapes(value)...)
		add(urlEscapes(value)...)
		add(xmlEscapes(value)...)
	}
	for align := range 3 {
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			core, tail := base64Core(enc, value, align)
			if len(core) < minCore {
				continue
			}
			out = append(out, variant{core, tail})
			if esc := url.QueryEscape(core); esc != core {
				out = append(out, variant{esc, tail}, variant{lowerHex(esc), tail})
			}
			if esc := strings.ReplaceAll(core, "/", `\/`); esc != core {
				out = append(out, variant{esc, tail})
			}
		}
	}
	return out
}

// base64Core encodes value as it appears in the encoding of a text that has
// align (modulo three) bytes before it: only those characters that depend on
// value alone. With tail set, the character that follows holds its last bits.
func base64Core(enc *base64.Encoding, value string, align int) (core string, tail bool) {
	first := []int{0, 2, 3}[align] // characters that hold bits of what stands before
	bits := 8 * (align + len(value))
	text := enc.EncodeToString(append(make([]byte, align), value...))
	return text[min(first, bits/6) : bits/6], bits%6 != 0
}

// jsonEscapes returns value as the inside of a JSON string (RFC 8259, section 7)
// in the styles of common encoders, and of a Go string.
func jsonEscapes(value string) []string {
	quoted := strconv.Quote(value)
	out := []string{quoted[1 : len(quoted)-1]}
	for _, escapeHTML := range []bool{true, false} {
		esc, err := jsonString(value, escapeHTML)
		if err != nil {
			continue // no string value fails
		}
		esc = esc[1 : len(esc)-1]
		out = append(out, esc, upperUnicode(esc), strings.ReplaceAll(esc, "/", `\/`))
		if ascii := asciiOnly(esc); ascii != esc {
			out = append(out, ascii, upperUnicode(ascii), strings.ReplaceAll(ascii, "/", `\/`))
		}
	}
	return out
}

// jsonString returns value as a JSON string with its quotes.
func jsonString(value string, escapeHTML bool) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(value); err != nil {
		return "", fmt.Errorf("encode JSON string: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

func asciiOnly(s string) string {
	var b strings.Builder
	for _, c := range s {
		switch {
		case c < 0x80:
			b.WriteRune(c)
		case c < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			hi, lo := utf16.EncodeRune(c)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		}
	}
	return b.String()
}

// upperUnicode writes the hex digits of \u escapes in upper case.
func upperUnicode(s string) string {
	return upperAfter(s, `\u`, 4)
}

func upperAfter(s, mark string, n int) string {
	parts := strings.Split(s, mark)
	for i, p := range parts[1:] {
		k := min(n, len(p))
		parts[i+1] = strings.ToUpper(p[:k]) + p[k:]
	}
	return strings.Join(parts, mark)
}

// urlEscapes returns value as in a query, a path segment and a user-info, and as
// JavaScript's encodeURIComponent writes it, with hex digits of either case (RFC
// 3986, section 2.1).
func urlEscapes(value string) []string {
	query := url.QueryEscape(value)
	out := []string{
		query,
		url.PathEscape(value),
		url.User(value).String(),
		strings.ReplaceAll(query, "+", "%20"),
		strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(query),
	}
	for _, s := range out {
		out = append(out, lowerHex(s))
	}
	return out
}

// lowerHex writes the hex digits of percent escapes in lower case.
func lowerHex(s string) string {
	parts := strings.Split(s, "%")
	for i, p := range parts[1:] {
		k := min(2, len(p))
		parts[i+1] = strings.ToLower(p[:k]) + p[k:]
	}
	return strings.Join(parts, "%")
}

// xmlEscapes returns value as XML and HTML text in the styles of common encoders.
func xmlEscapes(value string) []string {
	out := []string{html.EscapeString(value)}
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(value)); err == nil {
		out = append(out, b.String())
	}
	for _, s := range out {
		named := strings.ReplaceAll(s, "&#34;", "&quot;")
		out = append(out, named, strings.ReplaceAll(named, "&#39;", "&apos;"), strings.ReplaceAll(named, "&#39;", "&#x27;"))
	}
	// Text, unlike an attribute, needs no escape of quotes and closing brackets.
	text := strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(value)
	return append(out, text, strings.ReplaceAll(text, ">", "&gt;"))
}
