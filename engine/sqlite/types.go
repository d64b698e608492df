package sqlite

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
)

// affinity is what SQLite tries to make of a value in a column (sqlite.org/datatype3.html, 3).
type affinity byte

const (
	affinityNumeric affinity = iota
	affinityInteger
	affinityReal
	affinityText
	affinityBlob
)

// affinityOf follows the rules of section 3.1 of that page.
func affinityOf(declared string) affinity {
	u := strings.ToUpper(declared)
	switch {
	case strings.Contains(u, "INT"):
		return affinityInteger
	case strings.Contains(u, "CHAR"), strings.Contains(u, "CLOB"), strings.Contains(u, "TEXT"):
		return affinityText
	case strings.Contains(u, "BLOB"), u == "":
		return affinityBlob
	case strings.Contains(u, "REAL"), strings.Contains(u, "FLOA"), strings.Contains(u, "DOUB"): //nolint:misspell // as SQLite has it
		return affinityReal
	}
	return affinityNumeric
}

// named are the declared types that mean more than their affinity does.
func named(name string) logical.Kind {
	switch name {
	case "BOOLEAN", "BOOL":
		return logical.Bool
	case "INT16", "SMALLINT", "INT2":
		return logical.Int16
	case "INT32", "INT4":
		return logical.Int32
	case "FLOAT32", "FLOAT32_BLOB":
		return logical.Float32
	case "FLOAT64_BLOB":
		return logical.Float64
	case "NUMERIC", "DECIMAL", "DEC", "NUMBER", "NUMERIC_TEXT":
		return logical.Numeric
	case "BYTEA", "BINARY", "VARBINARY":
		return logical.Bytes
	case "DATE":
		return logical.Date
	case "TIME", "TIME WITHOUT TIME ZONE":
		return logical.Time
	case "TIMESTAMP", "DATETIME", "TIMESTAMP WITHOUT TIME ZONE":
		return logical.Timestamp
	case "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE":
		return logical.TimestampTZ
	case "INTERVAL":
		return logical.Interval
	case "UUID":
		return logical.UUID
	case "JSON", "JSON_TEXT", "JSONB":
		return logical.JSON
	case "JSONB_TEXT":
		return logical.JSONB
	}
	return logical.Invalid
}

// typeOf gives the logical type that a declared type stands for; ok is false when it stands for none.
func typeOf(declared string) (t logical.Type, ok bool) {
	name, args, hasArgs := strings.Cut(strings.ToUpper(declared), "(")
	name = strings.Join(strings.Fields(name), " ")
	args, _ = strings.CutSuffix(strings.TrimSpace(args), ")")
	kind := named(name)
	if kind == logical.Invalid {
		switch affinityOf(declared) {
		case affinityInteger:
			kind = logical.Int64
		case affinityText:
			kind = logical.Text
		case affinityBlob:
			kind = logical.Bytes
		case affinityReal:
			kind = logical.Float64
		case affinityNumeric:
			return logical.Type{}, false
		}
	}
	if hasArgs && (kind == logical.Numeric || kind == logical.Text) {
		if t, err := logical.Parse(kind.String() + "(" + strings.ReplaceAll(args, " ", "") + ")"); err == nil {
			return t, true
		}
		if kind == logical.Numeric {
			return logical.Type{}, false
		}
	}
	return logical.Type{Kind: kind}, true
}

// declare gives the type with which a column keeps a logical type. [typeOf] reads it back.
func declare(t logical.Type) (string, error) {
	switch t.Kind {
	case logical.Bool:
		return "BOOLEAN", nil
	case logical.Int16:
		return "INT16", nil
	case logical.Int32:
		return "INT32", nil
	case logical.Int64:
		return "INT64", nil
	case logical.Float32:
		return "FLOAT32_BLOB", nil
	case logical.Float64:
		return "FLOAT64_BLOB", nil
	case logical.Numeric:
		if t.Precision > 0 {
			return fmt.Sprintf("NUMERIC_TEXT(%d,%d)", t.Precision, t.Scale), nil
		}
		return "NUMERIC_TEXT", nil
	case logical.Text:
		if t.Length > 0 {
			return "VARCHAR(" + strconv.Itoa(t.Length) + ")", nil
		}
		return "TEXT", nil
	case logical.Bytes:
		return "BLOB", nil
	case logical.Date:
		return "DATE", nil
	case logical.Time:
		return "TIME", nil
	case logical.Timestamp:
		return "TIMESTAMP", nil
	case logical.TimestampTZ:
		return "TIMESTAMPTZ", nil
	case logical.Interval:
		return "INTERVAL", nil
	case logical.UUID:
		return "UUID", nil
	case logical.JSON:
		return "JSON_TEXT", nil
	case logical.JSONB:
		return "JSONB_TEXT", nil
	}
	return "", &connector.Error{
		Code: "type.refused", Msg: fmt.Sprintf("SQLite has no type for %s", t), Fix: "turn it into text in the source",
	}
}

// ruleOf says how a kind is kept.
func ruleOf(k logical.Kind) (connector.Rule, string) {
	switch k {
	case logical.Bool:
		return connector.Widened, "0 and 1"
	case logical.Int16, logical.Int32:
		return connector.Widened, "SQLite has one integer type; reading back holds values to the declared one"
	case logical.Float32:
		return connector.Widened, "as a double; NaN is the text NaN"
	case logical.Float64:
		return connector.Exact, "NaN is the text NaN"
	case logical.Int64, logical.Text, logical.Bytes:
		return connector.Exact, ""
	}
	return connector.AsText, ""
}

// readRules says how SQLite's types are read; the table in the documents is made of it.
func readRules() []connector.ReadRule {
	e, w, a := connector.Exact, connector.Widened, connector.AsText
	return []connector.ReadRule{
		{Native: "BOOLEAN, BOOL", Logical: "bool", Rule: e, Note: "0 and 1"},
		{Native: "INT16, SMALLINT, INT2", Logical: "int16", Rule: e},
		{Native: "INT32, INT4", Logical: "int32", Rule: e},
		{Native: "INTEGER, INT, BIGINT, INT64 and every other name with INT", Logical: "int64", Rule: e},
		{Native: "FLOAT32, FLOAT32_BLOB", Logical: "float32", Rule: e},
		{Native: "REAL, DOUBLE, FLOAT, FLOAT64_BLOB and every other name that SQLite takes for one", Logical: "float64", Rule: e},
		{Native: "NUMERIC_TEXT(p,s)", Logical: "numeric", Rule: e},
		{Native: "NUMERIC(p,s), DECIMAL(p,s), NUMBER(p,s)", Logical: "numeric", Rule: w, Note: "SQLite keeps these as integer or double; a double with more than 15 digits is refused, because it was rounded"},
		{Native: "TEXT, CLOB, VARCHAR(n), CHAR(n) and every other name with CHAR, CLOB or TEXT", Logical: "text", Rule: e, Note: "the length goes with it, and a longer value is refused"},
		{Native: "BLOB, BYTEA, BINARY, no type", Logical: "bytes", Rule: e},
		{Native: "DATE", Logical: "date", Rule: e, Note: "text, ISO 8601"},
		{Native: "TIME", Logical: "time", Rule: e, Note: "text, ISO 8601"},
		{Native: "TIMESTAMP, DATETIME", Logical: "timestamp", Rule: e, Note: "text, ISO 8601 without a zone"},
		{Native: "TIMESTAMPTZ", Logical: "timestamptz", Rule: e, Note: "text, ISO 8601 with a zone"},
		{Native: "INTERVAL", Logical: "interval", Rule: e, Note: "text"},
		{Native: "UUID", Logical: "uuid", Rule: e, Note: "text, or 16 bytes"},
		{Native: "JSON, JSON_TEXT, JSONB", Logical: "json", Rule: e, Note: "text; the binary form is refused"},
		{Native: "JSONB_TEXT", Logical: "jsonb", Rule: e},
		{Native: "the result of an expression", Logical: "the type in source.options.types", Rule: a, Note: "refused without one"},
		{Native: "every other name", Logical: "the type in source.options.types", Rule: connector.Refused, Note: "refused without one"},
	}
}

// writeRules says how logical types are kept.
func writeRules() []connector.WriteRule {
	var rules []connector.WriteRule
	for k := logical.Bool; k < logical.Native; k++ {
		native, err := declare(logical.Type{Kind: k})
		if err != nil {
			continue
		}
		rule, note := ruleOf(k)
		rules = append(rules, connector.WriteRule{Logical: k.String(), Native: native, Rule: rule, Note: note})
	}
	return append(rules, connector.WriteRule{Logical: "native", Native: "none", Rule: connector.Refused})
}
