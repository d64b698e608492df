package sqlite

import (
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"

	"zombiezen.com/go/sqlite"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/sqlsink"
)

// dialect is SQLite's SQL; with a transaction it can change the target's columns.
func dialect(t *tx) *sqlsink.Dialect {
	d := &sqlsink.Dialect{
		Quote:   quote,
		Param:   func(int) string { return "?" },
		Literal: value,
		Differs: differs,
		RowHash: func(alias string, _ batch.Schema) string { return alias + "." + quote(hashColumn) },
		// A staged column has the declared type of the target's, so that both keep a value alike.
		Staged:  func(alias string, c batch.Column) string { return alias + "." + quote(c.Name) },
		RowID:   "rowid",
		True:    "1",
		False:   "0",
		Analyze: func(table string, _ []string) string { return "ANALYZE " + table },
		Compared: func(expr string, t logical.Type, equality bool) string {
			switch {
			case t.Kind == logical.Text:
				return expr + " COLLATE BINARY"
			case natural(t.Kind), equality && unique(t.Kind):
				return expr
			}
			return expr + " COLLATE " + collationOf(t.Kind)
		},
		Text: func(expr string, t logical.Type) string {
			return textFunction + "(" + expr + ", " + literal(t.String()) + ")"
		},
	}
	if t != nil {
		d.Alter = t.alter
	}
	return d
}

// value writes a canonical value as SQLite keeps it.
func value(c batch.Column, v []byte) (string, error) {
	if v == nil {
		return "NULL", nil
	}
	kept, err := encode(c.Type, affinityBlob, v)
	if err != nil {
		return "", fmt.Errorf("column %q: %w", c.Name, err)
	}
	switch kept.class {
	case sqlite.TypeInteger:
		return strconv.FormatInt(kept.n, 10), nil
	case sqlite.TypeFloat:
		return number(kept.f), nil
	case sqlite.TypeBlob:
		return "X'" + hex.EncodeToString(kept.bytes) + "'", nil
	case sqlite.TypeText:
		return literal(string(kept.bytes)), nil
	}
	return "", fmt.Errorf("column %q: %s cannot bound a load", c.Name, c.Type)
}

// number writes a real number that SQLite reads as the same one.
func number(x float64) string {
	switch {
	case math.IsInf(x, 1):
		return "9e999"
	case math.IsInf(x, -1):
		return "-9e999"
	}
	return strconv.FormatFloat(x, 'e', -1, 64)
}

// differs compares what is kept. Equality of SQLite does not tell -0 from 0.
func differs(a, b string, columns batch.Schema) string {
	if len(columns) == 0 {
		return "0"
	}
	parts := make([]string, len(columns))
	for i, c := range columns {
		left, right := a+"."+quote(c.Name), b+"."+quote(c.Name)
		parts[i] = left + " COLLATE BINARY IS NOT " + right
		if c.Type.Kind == logical.Float32 || c.Type.Kind == logical.Float64 {
			parts[i] += " OR (" + left + " = 0 AND " + negativeFunction + "(" + left + ") <> " + negativeFunction + "(" + right + "))"
		}
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// alter gives the statements of a change.
func (t *tx) alter(target string, change connector.Change) ([]string, error) {
	switch change.Kind {
	case "create":
		statement, err := create(target, change)
		return []string{statement}, err
	case "add":
		var statements []string
		for _, c := range change.Columns {
			native, err := declare(c.Type)
			if err != nil {
				return nil, fmt.Errorf("column %q: %w", c.Name, err)
			}
			statements = append(statements, "ALTER TABLE "+target+" ADD COLUMN "+quote(c.Name)+" "+native)
		}
		return statements, nil
	case "widen":
		return t.widen(change.Columns)
	case "index":
		// The name of an index is not the name of a table, so both have to be free.
		name := "dpone_" + t.name + "_" + strings.Join(change.Key, "_")
		where := ""
		if change.Flag != "" {
			name += "_" + change.Flag
			where = " WHERE " + quote(change.Flag)
		}
		return []string{"CREATE UNIQUE INDEX main." + quote(name) + " ON " + quote(t.name) + " (" + quoteAll(change.Key) + ")" + where}, nil
	}
	return nil, fmt.Errorf("change %q is not known", change.Kind)
}

// create declares the columns. A key of one int64 is the row's own number in
// SQLite, which needs no index beside the table.
func create(target string, change connector.Change) (string, error) {
	parts := make([]string, 0, len(change.Columns)+1)
	seen := map[string]string{}
	for _, c := range change.Columns {
		if other, ok := seen[strings.ToLower(c.Name)]; ok {
			return "", &connector.Error{
				Code: "column.case", Msg: fmt.Sprintf("columns %q and %q differ by case alone, which SQLite does not tell apart", other, c.Name),
				Fix: "rename one of them in a query, or leave it out with source.options.columns",
			}
		}
		seen[strings.ToLower(c.Name)] = c.Name
		native, err := declare(c.Type)
		if err != nil {
			return "", fmt.Errorf("column %q: %w", c.Name, err)
		}
		if len(change.Key) == 1 && change.Key[0] == c.Name {
			c.NotNull = true
			if c.Type.Kind == logical.Int64 {
				native = "INTEGER"
			}
		}
		d := quote(c.Name) + " " + native
		for _, k := range change.Key {
			c.NotNull = c.NotNull || k == c.Name // SQLite takes NULL in a key
		}
		if c.NotNull {
			d += " NOT NULL"
		}
		parts = append(parts, d)
	}
	if len(change.Key) > 0 {
		parts = append(parts, "PRIMARY KEY ("+quoteAll(change.Key)+")")
	}
	return "CREATE TABLE " + target + " (" + strings.Join(parts, ", ") + ")", nil
}
