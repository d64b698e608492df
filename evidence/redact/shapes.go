package redact

import "strings"

const (
	kindURLPassword = "url-password"
	kindPassword    = "password"
)

// shape is a kind of secret that is known by how it looks.
type shape struct {
	trigger string // what it begins with, at least keyLen bytes; lower case with fold
	fold    bool   // the trigger has no case
	kind    string
	// find returns the secret whose trigger stands at s[at:].
	find func(sh *shape, sc *scan, at int) (span, bool)

	// For tokens only; see findToken.
	more  string // bytes of the token besides letters and digits
	least int    // least length after the trigger
	exact bool   // least is the length
	alone bool   // not within a word
	block int    // least length of the longest row of letters and digits
}

func (sh *shape) triggered(s string) bool {
	if !sh.fold {
		return s == sh.trigger
	}
	for i := range len(s) {
		if lower(s[i]) != sh.trigger[i] {
			return false
		}
	}
	return true
}

// findURL finds the password in scheme://user:password@host, or the token in
// https://token@host (RFC 3986, section 3.2.1). A user without a password stays
// for other schemes: git in ssh://git@host is no secret. The user-info may hold
// an unescaped @, as people write it, but no slash: that would take paths with
// versions (host:443/module/@v/list) for passwords.
func findURL(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	from := at
	for from > 0 && (isAlnum(s[from-1]) || strings.IndexByte("+-.", s[from-1]) >= 0) {
		from--
	}
	scheme := strings.ToLower(s[max(from, at-len("https")):at])
	start := at + len(sh.trigger)
	last := -1
	for i := start; i < len(s); i++ {
		c := s[i]
		if c == '@' {
			last = i
		}
		if c == '\\' && strings.HasPrefix(s[i:], `\u00`) {
			continue // JSON-escaped &, < or >
		}
		if c <= ' ' || strings.IndexByte("/?#\"'`<>\\", c) >= 0 {
			break
		}
	}
	if from == at || last < 0 {
		return span{}, false
	}
	user, password, ok := cutUser(s[start:last])
	switch {
	case ok && password != "":
		if placeholder(password) {
			return span{}, false
		}
		return span{from: from, start: start + len(user) + 1, end: last}, true
	case (strings.HasSuffix(scheme, "http") || strings.HasSuffix(scheme, "https")) && user != "" && !placeholder(user):
		return span{from: from, start: start, end: start + len(user)}, true
	}
	return span{}, false
}

// cutUser cuts a user-info at its first colon that is not in a marker.
func cutUser(info string) (user, password string, ok bool) {
	for i := 0; i < len(info); i++ {
		if info[i] != ':' {
			continue
		}
		if strings.HasSuffix(info[:i+1], markerOpen) {
			if n := strings.Index(info[i:], markerClose); n > 0 {
				i += n
				continue
			}
		}
		return info[:i], info[i+1:], true
	}
	return info, "", false
}

// findMySQL finds the password in user:password@tcp(host)/name, the form of the
// Go MySQL driver, which is no URL.
func findMySQL(_ *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	const maxInfo = 1 << 10 // keeps the scan linear
	from := at
	for from > max(0, at-maxInfo) && s[from-1] > ' ' && strings.IndexByte("\"'`<>\\=", s[from-1]) < 0 {
		from--
	}
	user, password, ok := cutUser(s[from:at])
	if !ok || placeholder(password) {
		return span{}, false
	}
	return span{from: from, start: from + len(user) + 1, end: at}, true
}

// findKeyValue finds the value in key=value, key="value" and key = "value" (and
// with single or escaped quotes). With blanks around the equals sign it wants
// quotes: x.password = y is source text. A value in quotes ends at the closing
// quote, another one at white space, a quote, a semicolon or an ampersand.
func findKeyValue(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	i := at + len(sh.trigger)
	eq := i + blanks(s[i:])
	if eq >= len(s) || s[eq] != '=' || strings.HasPrefix(s[eq:], "==") {
		return span{}, false
	}
	start := eq + 1 + blanks(s[eq+1:])
	quote := openingQuote(s[start:])
	if quote == "" && (start != eq+1 || eq != i) {
		return span{}, false
	}
	end := 0
	if quote != "" {
		start += len(quote)
		// A quote before such a character closes a string that ends in key=.
		if start >= len(s) || strings.IndexByte(",:;}])+ \t\r\n", s[start]) >= 0 {
			return span{}, false
		}
		end = quotedEnd(s, start, quote)
	}
	if end == 0 {
		if start < sc.runEnd {
			return span{}, false // within a value that is found already
		}
		end = sc.valueEnd(start)
		end = start + len(strings.TrimRight(s[start:end], ",.)]}"))
	}
	value := s[start:end]
	if placeholder(value) || strings.Contains(" true false nil null none ", " "+strings.ToLower(value)+" ") {
		return span{}, false
	}
	// The working directory has the name that ODBC gives to the password.
	if sh.trigger == "pwd" && (strings.HasPrefix(value, "/") || len(value) > 2 && (value[1:3] == `:\` || value[1:3] == ":/")) {
		return span{}, false
	}
	return span{from: at, start: start, end: end}, true
}

// findHeader finds the credentials in "Name: value", "Name: scheme value", also
// with quotes or a bracket around each part, as dumps of headers have them.
func findHeader(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	const between = "\"'\\ \t"
	i := at + len(sh.trigger)
	i += prefixOf(s[i:], between)
	if i >= len(s) || s[i] != ':' && s[i] != '=' || strings.HasPrefix(s[i:], ":=") || strings.HasPrefix(s[i:], "==") {
		return span{}, false
	}
	i++
	i += prefixOf(s[i:], between+"[")
	start, end := i, sc.valueEnd(i)
	known := false
	if n := blanks(s[end:]); n > 0 && end-start < 16 && sh.trigger == "authorization" {
		switch strings.ToLower(s[start:end]) {
		case "bearer", "basic", "token", "negotiate", "ntlm", "apikey":
			known = true
			start = end + n
			end = sc.valueEnd(start)
		}
	}
	end = start + len(strings.TrimRight(s[start:end], ",.)]}"))
	value := s[start:end]
	if placeholder(value) || !known && (len(value) < 8 || !strings.ContainsAny(value[:min(len(value), 128)], "0123456789")) {
		return span{}, false
	}
	return span{from: at, start: start, end: end}, true
}

// findBearer finds a bearer token (token68 of RFC 9110, section 11.2) outside a
// header. It wants a digit, for "bearer authentication" is prose.
func findBearer(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	start := at + len(sh.trigger)
	end := start
	for end < len(s) && (isAlnum(s[end]) || strings.IndexByte("-._~+/=", s[end]) >= 0) {
		end++
	}
	end = start + len(strings.TrimRight(s[start:end], "."))
	if end-start < 16 || !strings.ContainsAny(s[start:end], "0123456789") || !wordStart(s, at) {
		return span{}, false
	}
	return span{from: at, start: start, end: end}, true
}

// findAWSSecret finds the 40 characters that follow the name of an AWS secret
// access key.
func findAWSSecret(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	const between = "\"'\\ \t"
	i := at + len(sh.trigger)
	i += prefixOf(s[i:], between)
	if i >= len(s) || s[i] != ':' && s[i] != '=' {
		return span{}, false
	}
	i++
	i += prefixOf(s[i:], between)
	end := i
	for end < len(s) && (isAlnum(s[end]) || s[end] == '/' || s[end] == '+') {
		end++
	}
	return span{from: at, start: i, end: end}, end-i == 40
}

// findJWT finds a JSON Web Token in compact form (RFC 7519; RFC 7515: three
// parts, RFC 7516: five). The header and the claims are JSON objects, so both
// begin with the base64 of {".
func findJWT(_ *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	if !wordStart(s, at) {
		return span{}, false
	}
	parts, end := 0, at
	claims := false
	for {
		start := end
		for end < len(s) && (isAlnum(s[end]) || s[end] == '-' || s[end] == '_') {
			end++
		}
		parts++
		if parts <= 2 && end-start < 10 {
			return span{}, false
		}
		if parts == 2 {
			claims = strings.HasPrefix(s[start:], "eyJ")
		}
		if parts == 5 || end >= len(s) || s[end] != '.' {
			break
		}
		end++
	}
	end = at + len(strings.TrimRight(s[at:end], "."))
	return span{from: at, start: at, end: end}, claims && parts >= 3 || parts == 5
}

// findToken finds a token: the trigger and a row of certain characters.
func findToken(sh *shape, sc *scan, at int) (span, bool) {
	s := sc.s
	if sh.alone && !wordStart(s, at) || at < sc.tokenEnd && strings.Trim(sh.more, sc.tokenMore) == "" {
		return span{}, false
	}
	start := at + len(sh.trigger)
	end, block, longest := start, 0, 0
	for ; end < len(s); end++ {
		if isAlnum(s[end]) {
			block++
			longest = max(longest, block)
			continue
		}
		if strings.IndexByte(sh.more, s[end]) < 0 {
			break
		}
		block = 0
	}
	end = start + len(strings.TrimRight(s[start:end], ".-"))
	n := end - start
	ok := n >= sh.least && (!sh.exact || n == sh.least) && longest >= sh.block
	if ok {
		sc.tokenEnd, sc.tokenMore = end, sh.more
	}
	return span{from: at, start: at, end: end}, ok
}

// wordStart says that no word runs into s[at:]. Escape sequences that end in a
// letter or digit are no part of a word: \n and \u003c of JSON, %3D of a URL, and
// the colors of a terminal (ESC [ 31 m).
func wordStart(s string, at int) bool {
	if at == 0 {
		return true
	}
	c := s[at-1]
	if !isAlnum(c) && c != '_' && c != '-' {
		return true
	}
	before := s[:at]
	switch {
	case at >= 2 && s[at-2] == '\\' && strings.IndexByte("nrtbfv", c) >= 0,
		at >= 6 && s[at-6:at-4] == `\u`,
		at >= 3 && s[at-3] == '%' && isHex(s[at-2]) && isHex(c):
		return true
	case c == 'm':
		seq := strings.TrimRight(before[max(0, at-16):at-1], "0123456789;")
		return strings.HasSuffix(seq, "[")
	}
	return false
}

// placeholder says that value stands for a secret that is not in the text: a
// shell variable ($NAME, ${...}, $(...)), a template ({{...}}), a verb of fmt, or
// a mask.
func placeholder(value string) bool {
	switch {
	case value == "", value == "%s", value == "%v", value == "%q", strings.Trim(value, "*") == "":
		return true
	case strings.HasPrefix(value, "${{") || strings.HasPrefix(value, "{{"):
		return strings.IndexByte(value, '}') < 0 || strings.HasSuffix(value, "}}")
	case strings.HasPrefix(value, "${"):
		return strings.IndexByte(value, '}') < 0 || strings.IndexByte(value, '}') == len(value)-1
	case strings.HasPrefix(value, "$("):
		return true
	}
	name, ok := strings.CutPrefix(value, "$")
	return ok && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") == ""
}

// openingQuote returns the quote s begins with, as it is or JSON-escaped.
func openingQuote(s string) string {
	for _, q := range []string{`"`, `'`, `\"`, `\'`} {
		if strings.HasPrefix(s, q) {
			return q
		}
	}
	return ""
}

// quotedEnd returns the index of the closing quote on the same line, or 0.
func quotedEnd(s string, start int, quote string) int {
	for i := start; i < len(s) && s[i] != '\n'; i++ {
		if strings.HasPrefix(s[i:], quote) {
			return i
		}
		if len(quote) == 2 && s[i] == '"' {
			return 0 // the string around the escaped quote ends
		}
		if s[i] == '\\' && len(quote) == 1 {
			i++
		}
	}
	return 0
}

// valueEnd returns the end of the unquoted value that begins at s[start:].
func (sc *scan) valueEnd(start int) int {
	if start >= sc.runEnd {
		sc.runEnd = valueEnd(sc.s, start)
	}
	return sc.runEnd
}

func valueEnd(s string, start int) int {
	for i := start; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || strings.IndexByte("\"'`<>;&", c) >= 0 {
			return i
		}
		if c == '\\' && i+1 < len(s) {
			if strings.IndexByte(`"'nrt`, s[i+1]) >= 0 {
				return i
			}
			if s[i+1] == '\\' {
				i++
			}
		}
	}
	return len(s)
}

// blanks returns the number of blanks s begins with.
func blanks(s string) int { return prefixOf(s, " \t") }

// prefixOf returns the length of the prefix of s that consists of set.
func prefixOf(s, set string) int {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return i
		}
	}
	return len(s)
}

func isHex(c byte) bool { return isDigit(c) || 'a' <= lower(c) && lower(c) <= 'f' }
