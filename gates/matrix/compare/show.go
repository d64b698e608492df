package compare

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dpone/dpone/gates/matrix/fixture"
)

// maxShown is how many bytes of a value are shown.
const maxShown = 120

// show writes a value so that it cannot be taken for another one: NULL for none, and
// in quotes whatever is empty, reads like NULL, or is not plain printable ASCII.
func show(v fixture.Value) string {
	if v.Null {
		return "NULL"
	}
	return excerpt(v.Text, 0)
}

// showBoth writes two values that differ, from shortly before the place where they begin to.
func showBoth(a, b fixture.Value) (string, string) {
	if a.Null || b.Null {
		return show(a), show(b)
	}
	same := 0
	for same < len(a.Text) && same < len(b.Text) && a.Text[same] == b.Text[same] {
		same++
	}
	start := 0
	if same > maxShown/2 {
		for start = same - maxShown/4; !utf8.RuneStart(a.Text[start]); start-- {
		}
	}
	return excerpt(a.Text, start), excerpt(b.Text, start)
}

func excerpt(s string, start int) string {
	part := s[start:]
	if len(part) > maxShown {
		end := maxShown
		for end > maxShown-utf8.UTFMax && !utf8.RuneStart(part[end]) {
			end--
		}
		part = part[:end]
	}
	whole := len(part) == len(s)
	if part == "" || part == "NULL" || part != strings.TrimSpace(part) || strconv.QuoteToASCII(part) != `"`+part+`"` {
		part = strconv.QuoteToASCII(part)
	}
	if !whole {
		part = fmt.Sprintf("%s (bytes %d.. of %d)", part, start, len(s))
	}
	return part
}
