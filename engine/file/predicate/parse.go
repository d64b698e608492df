// Package predicate reads and evaluates conditions on the rows of files, which
// have no database that could do it.
//
// The language is a small part of SQL: comparisons of one column with literals,
// joined by AND.
//
//	predicate  = condition { AND condition }
//	condition  = "(" predicate ")"
//	           | column ( "=" | "<>" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//	           | column [ NOT ] IN "(" literal { "," literal } ")"
//	           | column BETWEEN literal AND literal
//	           | column IS [ NOT ] NULL
//	column     = name without quotes, in any case, for a lower-case name | "name"
//	literal    = [ DATE | TIMESTAMP | TIMESTAMPTZ ] 'text' | number | TRUE | FALSE
//
// As in SQL a comparison with NULL is not true. Texts are compared by their bytes.
package predicate

import (
	"fmt"
	"slices"
	"strings"
)

// Limits of what is read.
const (
	maxText  = 1 << 20 // bytes
	maxDepth = 100     // parentheses
)

type op uint8

const (
	eq op = iota
	ne
	lt
	le
	gt
	ge
	in
	notIn
	isNull
	isNotNull
)

type condition struct {
	column   string
	op       op
	literals []string
}

// Predicate is a condition whose literals have no type yet.
type Predicate struct {
	conditions []condition
}

// Parse reads a predicate. The error names the place and what was expected.
func Parse(text string) (*Predicate, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("the condition is longer than %d bytes", maxText)
	}
	p := parser{in: text}
	if err := p.next(); err != nil {
		return nil, err
	}
	if err := p.all(0); err != nil {
		return nil, err
	}
	if p.kind != end {
		return nil, p.expected("AND or the end")
	}
	return &p.out, nil
}

// Columns names the columns that the predicate looks at, each once.
func (p *Predicate) Columns() []string {
	var names []string
	for _, c := range p.conditions {
		if !slices.Contains(names, c.column) {
			names = append(names, c.column)
		}
	}
	return names
}

type token uint8

const (
	end token = iota
	word
	name // in double quotes
	text
	number
	sign
)

type parser struct {
	in   string
	i    int // behind the token
	at   int // where the token begins
	kind token
	val  string
	out  Predicate
}

func (p *parser) expected(what string) error {
	have := "the end"
	if p.kind != end {
		have = fmt.Sprintf("%.80q", p.in[p.at:p.i])
	}
	return fmt.Errorf("at byte %d of the condition: %s is expected, not %s; files know comparisons of a column with literals, IN, BETWEEN and IS NULL, joined by AND", p.at, what, have)
}

func (p *parser) next() error {
	for p.i < len(p.in) && strings.IndexByte(" \t\r\n", p.in[p.i]) >= 0 {
		p.i++
	}
	p.at = p.i
	if p.i == len(p.in) {
		p.kind, p.val = end, ""
		return nil
	}
	switch c := p.in[p.i]; {
	case c == '\'' || c == '"':
		return p.quoted(c)
	case letter(c):
		p.run(func(c byte) bool { return letter(c) || digit(c) })
		p.kind, p.val = word, p.in[p.at:p.i]
	case digit(c) || strings.IndexByte("+-.", c) >= 0:
		p.i++
		exponent := false
		p.run(func(c byte) bool {
			ok := digit(c) || c == '.' || c|0x20 == 'e' || exponent && (c == '+' || c == '-')
			exponent = c|0x20 == 'e'
			return ok
		})
		p.kind, p.val = number, p.in[p.at:p.i]
	default:
		p.i++
		if p.i < len(p.in) && slices.Contains([]string{"<>", "!=", "<=", ">="}, p.in[p.at:p.i+1]) {
			p.i++
		}
		p.kind, p.val = sign, p.in[p.at:p.i]
	}
	return nil
}

func (p *parser) run(in func(byte) bool) {
	for p.i < len(p.in) && in(p.in[p.i]) {
		p.i++
	}
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c >= 0x80 }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

func (p *parser) quoted(q byte) error {
	var b strings.Builder
	for i := p.i + 1; i < len(p.in); i++ {
		if p.in[i] != q {
			b.WriteByte(p.in[i])
			continue
		}
		if i+1 < len(p.in) && p.in[i+1] == q {
			b.WriteByte(q)
			i++
			continue
		}
		p.i = i + 1
		p.kind, p.val = text, b.String()
		if q == '"' {
			p.kind = name
		}
		return nil
	}
	return fmt.Errorf("at byte %d of the condition: the quote is not closed", p.at)
}

// keyword takes the next token when it is the word.
func (p *parser) keyword(w string) (bool, error) {
	if p.kind != word || !strings.EqualFold(p.val, w) {
		return false, nil
	}
	return true, p.next()
}

func (p *parser) take(s string) (bool, error) {
	if p.kind != sign || p.val != s {
		return false, nil
	}
	return true, p.next()
}

func (p *parser) all(depth int) error {
	if depth > maxDepth {
		return p.expected("fewer parentheses")
	}
	for {
		open, err := p.take("(")
		if err != nil {
			return err
		}
		if open {
			if err := p.all(depth + 1); err != nil {
				return err
			}
			if ok, err := p.take(")"); err != nil || !ok {
				return first(err, p.expected("a closing parenthesis"))
			}
		} else if err := p.one(); err != nil {
			return err
		}
		if ok, err := p.keyword("and"); err != nil || !ok {
			return err
		}
	}
}

// first gives the error that came first.
func first(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (p *parser) one() error {
	c := condition{column: p.val}
	switch {
	case p.kind == word && !reserved(p.val):
		c.column = strings.ToLower(p.val)
	case p.kind == name && p.val != "":
	default:
		return p.expected("a column")
	}
	if err := p.next(); err != nil {
		return err
	}
	add := func(op op, literals ...string) {
		p.out.conditions = append(p.out.conditions, condition{c.column, op, literals})
	}
	if p.kind == sign {
		ops := map[string]op{"=": eq, "<>": ne, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
		o, ok := ops[p.val]
		if !ok {
			return p.expected("a comparison")
		}
		if err := p.next(); err != nil {
			return err
		}
		l, err := p.literal()
		if err != nil {
			return err
		}
		add(o, l)
		return nil
	}
	if ok, err := p.keyword("between"); err != nil {
		return err
	} else if ok {
		low, err := p.literal()
		if err != nil {
			return err
		}
		if ok, err := p.keyword("and"); err != nil || !ok {
			return first(err, p.expected("AND"))
		}
		high, err := p.literal()
		if err != nil {
			return err
		}
		add(ge, low)
		add(le, high)
		return nil
	}
	if ok, err := p.keyword("is"); err != nil {
		return err
	} else if ok {
		o := isNull
		if ok, err := p.keyword("not"); err != nil {
			return err
		} else if ok {
			o = isNotNull
		}
		if ok, err := p.keyword("null"); err != nil || !ok {
			return first(err, p.expected("NULL"))
		}
		add(o)
		return nil
	}
	o := in
	if ok, err := p.keyword("not"); err != nil {
		return err
	} else if ok {
		o = notIn
	}
	if ok, err := p.keyword("in"); err != nil || !ok {
		return first(err, p.expected("a comparison, IN, BETWEEN or IS"))
	}
	if ok, err := p.take("("); err != nil || !ok {
		return first(err, p.expected("an opening parenthesis"))
	}
	var list []string
	for {
		l, err := p.literal()
		if err != nil {
			return err
		}
		list = append(list, l)
		if ok, err := p.take(","); err != nil {
			return err
		} else if ok {
			continue
		}
		if ok, err := p.take(")"); err != nil || !ok {
			return first(err, p.expected("a comma or a closing parenthesis"))
		}
		add(o, list...)
		return nil
	}
}

func reserved(w string) bool {
	return slices.Contains([]string{"and", "or", "not", "in", "is", "null", "between", "true", "false", "like", "exists"}, strings.ToLower(w))
}

func (p *parser) literal() (string, error) {
	for _, w := range []string{"date", "timestamp", "timestamptz"} {
		if ok, err := p.keyword(w); err != nil {
			return "", err
		} else if ok {
			if p.kind != text {
				return "", p.expected("a text in single quotes")
			}
			break
		}
	}
	v := p.val
	switch {
	case p.kind == text || p.kind == number:
	case p.kind == word && (strings.EqualFold(v, "true") || strings.EqualFold(v, "false")):
		v = strings.ToLower(v)
	default:
		return "", p.expected("a literal")
	}
	return v, p.next()
}
