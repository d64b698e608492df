package proc

import (
	"fmt"
	"strings"
)

// Words takes a command line apart that was put together by [Quote] with single
// spaces, and refuses every other: what it returns says nothing but what the
// line says to a shell. There is no shell in it, and nothing is expanded.
func Words(line string) ([]string, error) {
	var words []string
	for rest := line; ; {
		word, after, err := firstWord(rest)
		if err != nil {
			return nil, fmt.Errorf("command line %q: %w", line, err)
		}
		words = append(words, word)
		if after == "" {
			break
		}
		rest = after[1:]
	}
	again := make([]string, len(words))
	for i, word := range words {
		again[i] = Quote(word)
	}
	if strings.Join(again, " ") != line {
		return nil, fmt.Errorf("command line %q: not written as words with single quotes where they need them", line)
	}
	return words, nil
}

// firstWord is the first word of a line, and what follows it: nothing, or a
// space and more.
func firstWord(line string) (word, after string, err error) {
	var b strings.Builder
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			return b.String(), line[i:], nil
		case '\'':
			end := strings.IndexByte(line[i+1:], '\'')
			if end < 0 {
				return "", "", fmt.Errorf("a quote is not closed")
			}
			b.WriteString(line[i+1 : i+1+end])
			i += end + 1
		case '\\':
			if i+1 == len(line) {
				return "", "", fmt.Errorf("nothing follows the last backslash")
			}
			i++
			b.WriteByte(line[i])
		default:
			b.WriteByte(line[i])
		}
	}
	return b.String(), "", nil
}
