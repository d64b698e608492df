// Package redact removes secrets from everything the project writes: JSON
// records, step logs, JUnit XML, Markdown and terminal output.
//
// # What is caught
//
// Values. The values of environment variables that bear secrets, by the name of
// the variable (see [New]) or because the caller named it; for a connection
// string also the password inside it. A value is found as it is and as base64
// (standard and URL alphabet, with or without padding, also in the middle of a
// longer encoded text), URL-escaped (query, path and user-info, hex digits of
// either case), JSON-escaped (with and without HTML escapes, \/ for a slash, \u
// escapes for non-ASCII), quoted as in Go, and XML- or HTML-escaped. A value of
// several lines is found as a whole and line by line.
//
// Shapes. What looks like a secret whatever its value: passwords and tokens in
// the user-info of a URL (RFC 3986, section 3.2.1), key=value passwords of
// connection strings (libpq, ODBC, ADO.NET, Go MySQL), credentials of HTTP
// headers (RFC 9110, RFC 6750, RFC 7617), blocks of private keys (RFC 7468, RFC
// 1421 headers, OpenPGP armor), and the tokens of well-known services by their
// documented prefixes (GitHub, GitLab, AWS, Slack, Google, JWT, npm, PyPI,
// Stripe, OpenAI-style sk- keys, age and a few more; the table is in tokens.go).
//
// A secret becomes [redacted:NAME], where NAME is the name of the variable, or
// [redacted:kind] for a shape. The replacement has no quote, backslash, angle
// bracket or line break, so that it fits JSON and XML. A JSON document is to be
// redacted with [Redactor.JSON], which alone can promise that it stays valid: in
// plain text a secret may begin or end anywhere. Redacting redacted text changes
// nothing.
//
// # What is not caught
//
// Redaction is the last net, not permission to print secrets:
//
//   - a secret with a line break, a terminal escape or other text in its middle
//     (wrapped base64, one character per line);
//   - other encodings: hex, gzip, encryption, UTF-16, reversed or upper-cased
//     text, base64 of base64, an escaped text escaped once more;
//   - a part of a value that is not one of its lines or its password, such as a
//     field of a JSON value or the first half of a token;
//   - values shorter than the limits of [New], common words and small integers;
//   - a secret that is in no variable and has no known shape, among them
//     "password: x" of YAML, cookies, a user-info with an unescaped slash in it, the
//     fields of Digest and AWS request signatures, and shell references such as
//     ${PASSWORD} in place of a password;
//   - private-key blocks whose lines carry differing prefixes (time stamps), and
//     the tail of a block whose BEGIN line is not in the text;
//   - numbers in a JSON document, when it goes through [Redactor.JSON].
package redact

import (
	"slices"
	"strings"
)

// maxPasses bounds the search for a fixed point: a replacement can uncover a
// token that stood glued to the replaced text, rarely more than once.
const maxPasses = 4

// Redactor replaces secrets. It is immutable and safe for concurrent use.
type Redactor struct {
	names  []string
	index  *index
	labels map[string]bool
}

// New returns a redactor for the variables in environ (as [os.Environ] gives
// them) and for all known shapes; New(nil) knows shapes only.
//
// A variable bears a secret when its name, in upper case, contains TOKEN,
// SECRET, PASSWORD, API_KEY, CREDENTIAL, COOKIE, DATABASE_URL and the like, or
// AUTH that is not part of AUTHOR or AUTHORITY; when it ends in _DSN, _PASS, PWD
// and the like; when it is one of names (compared without case); or when its
// value is a URL with a password, in which case the password alone is the
// secret. PWD, OLDPWD and names that end in _FILE, _PATH, _DIR, _SOCK, _NAME,
// _TYPE, _MODE and other words for a mere description are no secrets unless the
// caller names them.
//
// So that common text is not shredded, a value is not searched for when it is
// shorter than 6 bytes (4 for names), is a word such as true, none, default or
// password (for names only the words that mean true, false or nothing), is an
// integer of less than 8 digits (6 for names), or is one punctuation character
// repeated. The lines of a longer value count from 8 bytes on.
func New(environ []string, names ...string) *Redactor {
	r := &Redactor{names: []string{}, index: newIndex(), labels: make(map[string]bool)}
	for i := range shapes {
		r.index.addShape(&shapes[i])
		r.labels[shapes[i].kind] = true
	}
	sorted := slices.Clone(environ)
	slices.Sort(sorted) // of two variables with one value the same always gives the label
	type secret struct{ label, value string }
	var secrets []secret
	for _, entry := range sorted {
		name, value, ok := strings.Cut(entry, "=")
		if !ok || name == "" || value == "" {
			continue
		}
		explicit := slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		parts := secretParts(r.index, name, value, explicit)
		if len(parts) == 0 && !explicit {
			continue
		}
		r.names = append(r.names, name)
		label := labelOf(name)
		r.labels[label] = true
		for _, part := range parts {
			secrets = append(secrets, secret{label, part})
		}
	}
	// Only now, for secretParts wants an index of nothing but shapes.
	for _, s := range secrets {
		for _, v := range variants(s.value) {
			r.index.addLiteral(v, s.label)
		}
	}
	slices.Sort(r.names)
	r.names = slices.Compact(r.names)
	return r
}

// Names returns the sorted names, never the values, of the variables that are
// set and bear secrets. It lists a variable the caller named even when its value
// is too short to be searched for. The result is not nil and belongs to the
// caller.
func (r *Redactor) Names() []string {
	return append([]string{}, r.names...)
}

// String returns s without secrets.
func (r *Redactor) String(s string) string {
	for range maxPasses {
		spans, _ := r.find(s)
		if len(spans) == 0 {
			return s
		}
		s = replace(s, spans)
	}
	return s
}

// Bytes returns b without secrets; b itself, when it has none. It does not
// change b.
func (r *Redactor) Bytes(b []byte) []byte {
	s := string(b)
	if out := r.String(s); out != s {
		return []byte(out)
	}
	return b
}

// labelOf makes the name of a variable fit for a marker: a name from a foreign
// environment may contain any byte but = and NUL.
func labelOf(name string) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && (isAlnum(byte(c)) || strings.ContainsRune("_-.", c)) {
			return c
		}
		return '_'
	}, name)
}
