package sqlite

import (
	"context"
	"fmt"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
)

// widen gives columns wider types. SQLite keeps values of both types alike, so that
// only the declaration in the schema changes, as sqlite.org/lang_altertable.html,
// section 8, describes it: rows, indexes, triggers and views are not touched. A change
// that would give the column another affinity, and with it other values, is refused.
func (t *tx) widen(columns batch.Schema) ([]string, error) {
	ctx := context.WithoutCancel(t.ctx)
	if _, err := t.Describe(ctx); err != nil { // another change may come before
		return nil, err
	}
	if t.table == nil {
		return nil, fmt.Errorf("%s does not exist", t.target)
	}
	statement := t.table.sql
	expected := make([]string, len(t.table.Columns)) // declared types after the change
	for i, c := range t.table.Columns {
		expected[i] = c.Native
	}
	for _, c := range columns {
		has := t.table.column(c.Name)
		if has == nil {
			return nil, fmt.Errorf("%s has no column %q to widen", t.target, c.Name)
		}
		native, err := wider(has.Native, c)
		if err != nil {
			return nil, err
		}
		if statement, err = redeclare(statement, has.Name, native); err != nil {
			return nil, connector.Fail("target.alter", err, "widen column %q of %s", c.Name, t.target)
		}
		expected[t.table.Index(has.Name)] = native
	}
	t.expected = expected
	var version int64
	if err := t.one(ctx, &version, "PRAGMA main.schema_version"); err != nil {
		return nil, err
	}
	return []string{
		"PRAGMA writable_schema = ON",
		"UPDATE main.sqlite_schema SET sql = " + literal(statement) + " WHERE type = 'table' AND name = " + literal(t.name),
		fmt.Sprintf("PRAGMA main.schema_version = %d", version+1),
		"PRAGMA writable_schema = RESET", // read the schema again
	}, nil
}

// verify holds the schema that SQLite reads after a change against the one that was meant.
func (t *tx) verify() error {
	if t.expected == nil {
		return nil
	}
	same := t.table != nil && len(t.table.Columns) == len(t.expected)
	for i := 0; same && i < len(t.expected); i++ {
		same = t.table.Columns[i].Native == t.expected[i]
	}
	if !same {
		return &connector.Error{
			Code: "target.alter", Msg: fmt.Sprintf("the definition of %s could not be changed to wider types", t.target), Fix: "make the table anew with the wider types",
		}
	}
	t.expected = nil
	return nil
}

// wider gives the declared type for a column of the target that has to hold more.
func wider(has string, c batch.Column) (string, error) {
	native, err := declare(c.Type)
	if err != nil {
		return "", err
	}
	if affinityOf(native) == affinityOf(has) {
		return native, nil
	}
	// DECIMAL(10,2) of another maker becomes DECIMAL(18,2).
	if name, _, ok := strings.Cut(has, "("); ok {
		if _, args, ok := strings.Cut(native, "("); ok {
			if t, ok := typeOf(name + "(" + args); ok && t == c.Type {
				return name + "(" + args, nil
			}
		}
	}
	return "", &connector.Error{
		Code: "target.widen", Msg: fmt.Sprintf("column %q is declared %s, and SQLite would keep the values of %s in another way", c.Name, has, native),
		Fix: "make the table anew with the wider type",
	}
}

// token is a piece of SQL text.
type token struct {
	start, end int
	word       string // a name or keyword without its quotes, empty for other pieces
	quoted     bool
}

// tokens cuts SQL text into pieces, without white space and comments (sqlite.org/lang.html).
func tokens(sql string) ([]token, error) {
	var all []token
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case strings.IndexByte(" \t\r\n\f", c) >= 0:
			i++
		case strings.HasPrefix(sql[i:], "--"):
			n := strings.IndexByte(sql[i:], '\n')
			if n < 0 {
				return all, nil
			}
			i += n
		case strings.HasPrefix(sql[i:], "/*"):
			n := strings.Index(sql[i+2:], "*/")
			if n < 0 {
				return all, nil
			}
			i += n + 4
		case c == '"' || c == '`' || c == '\'' || c == '[':
			word, n, err := quotedWord(sql[i:])
			if err != nil {
				return nil, err
			}
			all = append(all, token{start: i, end: i + n, word: word, quoted: true})
			i += n
		case wordByte(c):
			start := i
			for i < len(sql) && wordByte(sql[i]) {
				i++
			}
			all = append(all, token{start: start, end: i, word: sql[start:i]})
		default:
			all = append(all, token{start: i, end: i + 1})
			i++
		}
	}
	return all, nil
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quotedWord reads a quoted name or a string at the beginning of the text.
func quotedWord(sql string) (word string, n int, err error) {
	end := sql[0]
	if end == '[' {
		end = ']'
	}
	var b strings.Builder
	for i := 1; i < len(sql); i++ {
		if sql[i] != end {
			b.WriteByte(sql[i])
			continue
		}
		if end == ']' || i+1 == len(sql) || sql[i+1] != end {
			return b.String(), i + 1, nil
		}
		b.WriteByte(end)
		i++
	}
	return "", 0, fmt.Errorf("the quote %c has no end", sql[0])
}

// constraints are the words that end a column's type.
func constraint(word string) bool {
	switch strings.ToUpper(word) {
	case "CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS":
		return true
	}
	return false
}

// redeclare gives a CREATE TABLE statement in which the column has another type.
func redeclare(sql, column, native string) (string, error) {
	all, err := tokens(sql)
	if err != nil {
		return "", err
	}
	depth := 0
	begin := true // of a column's definition
	for i, t := range all {
		text := sql[t.start:t.end]
		switch {
		case text == "(" && !t.quoted:
			depth++
			begin = begin && depth == 1
			continue
		case text == ")" && !t.quoted:
			depth--
		case text == "," && depth == 1:
			begin = true
			continue
		}
		if depth != 1 || !begin {
			continue
		}
		begin = false
		if !strings.EqualFold(t.word, column) || (!t.quoted && constraint(t.word)) {
			continue
		}
		end := t.end
		inner := 0
		for _, next := range all[i+1:] {
			piece := sql[next.start:next.end]
			if inner == 0 && !next.quoted && (piece == "," || piece == ")" || constraint(next.word)) {
				break
			}
			switch piece {
			case "(":
				inner++
			case ")":
				inner--
			}
			end = next.end
		}
		return sql[:t.end] + " " + native + sql[end:], nil
	}
	return "", fmt.Errorf("the definition of column %q was not found", column)
}
