package workflows

import (
	"regexp"
	"slices"
	"strings"
)

// A word of a command line, as a POSIX shell would split it.
type word struct {
	text      string   // without quotes; a variable stands in it as written
	variables []string // names of the variables in it
	first     int      // where what only a run knows begins in text, -1 for nowhere
}

// construct is something in a line that makes it more than one command with its arguments.
type construct struct{ code, what string }

// script is what a run step asks a shell to do.
type script struct {
	words      []word // of the first command
	constructs []construct
}

func (s *script) note(code, what string) {
	if c := (construct{code, what}); !slices.Contains(s.constructs, c) {
		s.constructs = append(s.constructs, c)
	}
}

var variable = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})`)

// scan reads the text of a run step. It knows just enough of the shell to tell a single command with quoted variables
// from everything else, which it names. What follows a here-document is data and is not looked at.
func scan(text string) script {
	var s script
	var current word
	inWord, firstCommand := false, true
	reset := func() { current, inWord = word{first: -1}, false }
	reset()
	end := func() {
		if inWord && firstCommand {
			s.words = append(s.words, current)
		}
		reset()
	}
	text = strings.TrimSpace(text)
	for i := 0; i < len(text); {
		rest := text[i:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, "<<"):
			s.note(codeHeredoc, "a here-document")
			end()
			return s.judged()
		case strings.HasPrefix(rest, "||"):
			s.note(codeMasked, "|| "+after(rest[2:]))
			end()
			firstCommand, i = false, i+2
		case strings.HasPrefix(rest, "&&"):
			s.note(codeScript, "&&")
			end()
			firstCommand, i = false, i+2
		case c == '|':
			behind := strings.TrimPrefix(rest[1:], "&")
			s.note(codePipe, "| "+after(behind))
			end()
			firstCommand, i = false, len(text)-len(behind)
		case c == '\n' || c == ';' || c == '&':
			what := map[byte]string{'\n': "more than one line", ';': ";", '&': "&"}[c]
			s.note(codeScript, what)
			end()
			firstCommand, i = false, i+1
		case c == ' ' || c == '\t' || c == '\r':
			end()
			i++
		case c == '\'':
			inWord = true
			n := strings.IndexByte(rest[1:], '\'')
			if n < 0 {
				s.note(codeScript, "a quote that is not closed")
				return s.judged()
			}
			current.text += rest[1 : 1+n]
			i += n + 2
		case c == '"':
			inWord = true
			n := s.quoted(rest[1:], &current)
			if n < 0 {
				s.note(codeScript, "a quote that is not closed")
				return s.judged()
			}
			i += n + 2
		case c == '\\':
			inWord = true
			if len(rest) > 1 && rest[1] != '\n' {
				current.text += rest[1:2]
			}
			s.note(codeScript, "\\")
			i += min(2, len(rest))
		case c == '$':
			inWord = true
			i += s.dollar(rest, &current, false)
		case strings.IndexByte("`()<>", c) >= 0:
			s.note(codeScript, string(c))
			end()
			firstCommand, i = false, i+1
		case c == '!' && !inWord && len(s.words) == 0:
			s.note(codeMasked, "!")
			i++
		case c == '#' && !inWord:
			s.note(codeScript, "#")
			return s.judged()
		case strings.IndexByte("*?[", c) >= 0, !inWord && strings.IndexByte("{}~", c) >= 0:
			s.note(codeScript, string(c))
			inWord = true
			current.text += string(c)
			i++
		default:
			inWord = true
			if rest[:1] == pasted && current.first < 0 {
				current.first = len(current.text)
			}
			current.text += rest[:1]
			i++
		}
	}
	end()
	return s.judged()
}

// quoted reads up to the closing double quote and returns its offset, or -1.
func (s *script) quoted(text string, w *word) int {
	for i := 0; i < len(text); {
		switch text[i] {
		case '"':
			return i
		case '\\':
			if i+1 == len(text) {
				return -1
			}
			w.text += text[i+1 : i+2]
			i += 2
		case '$':
			i += s.dollar(text[i:], w, true)
		case '`':
			s.note(codeScript, "`")
			i++
		default:
			w.text += text[i : i+1]
			i++
		}
	}
	return -1
}

// dollar reads what begins with a dollar and returns its length.
func (s *script) dollar(text string, w *word, inQuotes bool) int {
	if w.first < 0 {
		w.first = len(w.text)
	}
	m := variable.FindStringSubmatch(text)
	if m == nil {
		n := 1
		if strings.HasPrefix(text, "$(") || strings.HasPrefix(text, "${") {
			n = 2
		}
		s.note(codeScript, text[:n])
		w.text += "$"
		return n
	}
	if !inQuotes {
		s.note(codeScript, m[0]+" without quotes, which is split into arguments")
	}
	w.text += m[0]
	w.variables = append(w.variables, m[1]+m[2])
	return len(m[0])
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

// judged adds what only the first command as a whole shows.
func (s *script) judged() script {
	if len(s.words) == 0 {
		return *s
	}
	switch first := s.words[0].text; {
	case assignment.MatchString(first):
		s.note(codeScript, "a variable that is set in the line")
	case first == "set" && len(s.words) > 1 && strings.HasPrefix(s.words[1].text, "+"):
		s.note(codeMasked, "set "+s.words[1].text)
	}
	return *s
}

// after is the first word behind an operator, to be quoted in a finding.
func after(text string) string {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return ""
	}
	return fields[0]
}
