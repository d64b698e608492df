package contract

import "strings"

// command is one command of a script: its words without quotes.
type command struct {
	line  int // within the text, from 0
	words []string
}

// parseShell splits a script of a POSIX shell into its commands. It knows
// quotes, comments, operators, here-documents and commands within words, which
// come before the command that they are in. It never fails: what it cannot read is words.
func parseShell(text string) []command {
	s := &script{text: text}
	s.run(false)
	return s.found
}

type script struct {
	text  string
	at    int
	line  int
	depth int
	found []command
	// heredocs are the words that end the here-documents that begin behind this line.
	heredocs []string
}

// run reads commands up to the end, or to the bracket that closes them.
func (s *script) run(nested bool) {
	var words []string
	var word strings.Builder
	inWord, start := false, s.line
	endWord := func() {
		if inWord {
			if len(words) == 0 {
				start = s.line
			}
			words = append(words, word.String())
			word.Reset()
		}
		inWord = false
	}
	end := func() {
		endWord()
		if len(words) > 0 {
			s.found = append(s.found, command{start, words})
			words = nil
		}
	}
	defer end()
	for s.at < len(s.text) {
		c := s.text[s.at]
		rest := s.text[s.at:]
		switch {
		case strings.HasPrefix(rest, "\\\n"):
			s.at, s.line = s.at+2, s.line+1
		case c == '\\' && len(rest) > 1:
			word.WriteByte(rest[1])
			inWord = true
			s.at += 2
		case c == '\n':
			end()
			s.at, s.line = s.at+1, s.line+1
			s.skipHeredocs()
		case c == ' ' || c == '\t' || c == '\r':
			endWord()
			s.at++
		case c == '#' && !inWord:
			if to := strings.IndexByte(rest, '\n'); to >= 0 {
				s.at += to
			} else {
				s.at = len(s.text)
			}
		case c == '\'':
			inWord = true
			to := strings.IndexByte(rest[1:], '\'')
			if to < 0 {
				to = len(rest) - 1
			}
			word.WriteString(rest[1 : 1+to])
			s.line += strings.Count(rest[1:1+to], "\n")
			s.at = min(s.at+to+2, len(s.text))
		case c == '"':
			inWord = true
			s.at++
			s.quoted(&word)
		case strings.HasPrefix(rest, "$("):
			inWord = true
			word.WriteByte('$')
			s.at += 2
			s.nested()
		case strings.HasPrefix(rest, "<<") && !strings.HasPrefix(rest, "<<<"):
			endWord()
			s.at += 2
			s.heredoc()
		case c == '(' || c == '|' || c == '&' || c == ';':
			end()
			s.at++
		case c == ')':
			if nested {
				s.at++
				return
			}
			end()
			s.at++
		case c == '<' || c == '>':
			// A redirection: what follows is a file, not an argument. <word> is a placeholder, as in the documents.
			if to := placeholder(rest); to > 0 {
				word.WriteString(rest[:to])
				inWord = true
				s.at += to
				continue
			}
			if strings.Trim(word.String(), "0123456789") == "" {
				word.Reset() // the number of a file, as in 2>&1
				inWord = false
			}
			endWord()
			s.at++
			s.skipFile()
		default:
			word.WriteByte(c)
			inWord = true
			s.at++
		}
	}
}

// quoted reads what stands in double quotes.
func (s *script) quoted(word *strings.Builder) {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return
		case c == '\\' && s.at+1 < len(s.text):
			word.WriteByte(s.text[s.at+1])
			if s.text[s.at+1] == '\n' {
				s.line++
			}
			s.at += 2
		case strings.HasPrefix(s.text[s.at:], "$("):
			word.WriteByte('$')
			s.at += 2
			s.nested()
		default:
			if c == '\n' {
				s.line++
			}
			word.WriteByte(c)
			s.at++
		}
	}
}

// maxDepth bounds the commands within commands.
const maxDepth = 50

func (s *script) nested() {
	if s.depth++; s.depth > maxDepth {
		s.at = len(s.text)
		return
	}
	s.run(true)
	s.depth--
}

// placeholder is the length of a word in angle brackets, or 0.
func placeholder(rest string) int {
	if rest[0] != '<' {
		return 0
	}
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '>' && i > 1:
			return i + 1
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.':
		default:
			return 0
		}
	}
	return 0
}

// skipFile steps over the rest of a redirection, such as &1 or a name.
func (s *script) skipFile() {
	for s.at < len(s.text) && strings.IndexByte("<>&| \t", s.text[s.at]) >= 0 {
		s.at++
	}
	for s.at < len(s.text) && strings.IndexByte(" \t\n;|&<>()", s.text[s.at]) < 0 {
		s.at++
	}
}

func (s *script) heredoc() {
	rest := strings.TrimLeft(s.text[s.at:], "- \t")
	s.at = len(s.text) - len(rest)
	to := strings.IndexAny(rest, " \t\n;|&<>()")
	if to < 0 {
		to = len(rest)
	}
	s.at += to
	if end := strings.Trim(rest[:to], `'"\`); end != "" {
		s.heredocs = append(s.heredocs, end)
	}
}

func (s *script) skipHeredocs() {
	for _, end := range s.heredocs {
		for s.at < len(s.text) {
			line, _, more := strings.Cut(s.text[s.at:], "\n")
			s.at += len(line)
			if more {
				s.at, s.line = s.at+1, s.line+1
			}
			if strings.TrimSpace(line) == end {
				break
			}
		}
	}
	s.heredocs = nil
}
