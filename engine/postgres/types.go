package postgres

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
)

// builtin is the first object id that a server gives to what users make; those
// below are the same on every server of every version (PostgreSQL manual, System Catalog Initial Data).
const builtin = 10000

// scalar gives the logical kinds of the types that have one of their own.
func scalar(oid uint32) logical.Kind {
	switch oid {
	case pgtype.BoolOID:
		return logical.Bool
	case pgtype.Int2OID:
		return logical.Int16
	case pgtype.Int4OID:
		return logical.Int32
	case pgtype.Int8OID:
		return logical.Int64
	case pgtype.Float4OID:
		return logical.Float32
	case pgtype.Float8OID:
		return logical.Float64
	case pgtype.NumericOID:
		return logical.Numeric
	case pgtype.TextOID, pgtype.VarcharOID, pgtype.NameOID:
		return logical.Text
	case pgtype.ByteaOID:
		return logical.Bytes
	case pgtype.DateOID:
		return logical.Date
	case pgtype.TimeOID:
		return logical.Time
	case pgtype.TimestampOID:
		return logical.Timestamp
	case pgtype.TimestamptzOID:
		return logical.TimestampTZ
	case pgtype.IntervalOID:
		return logical.Interval
	case pgtype.UUIDOID:
		return logical.UUID
	case pgtype.JSONOID:
		return logical.JSON
	case pgtype.JSONBOID:
		return logical.JSONB
	}
	return logical.Invalid
}

// alias is true for types whose binary form is an object id, which means something else on another server.
func alias(oid uint32) bool {
	switch oid {
	case 24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
		1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090, 4097, 4192,
		32, 194, 3361, 3402, 4600, 4601, 5017: // and internal node and statistics types
		return true
	}
	return false
}

// pgType is what the catalog tells of a column's type, domains resolved.
type pgType struct {
	OID     uint32
	Mod     int32
	Kind    byte   // typtype: b base, c composite, e enum, r range, m multirange
	Element uint32 // of an array
	Name    string // format_type
	Domain  bool
}

// classify gives the logical type of a column, the type in which it travels to
// other families, and whether its bytes are read as text.
func classify(t pgType) (own, portable logical.Type, asText bool) {
	text := logical.Type{Kind: logical.Text}
	if kind := scalar(t.OID); kind != logical.Invalid {
		own = logical.Type{Kind: kind}
		switch {
		case t.OID == pgtype.VarcharOID && t.Mod >= 4:
			own.Length = int(t.Mod) - 4
		case kind == logical.Numeric && t.Mod >= 4:
			own.Precision = int(t.Mod-4) >> 16 & 0xffff
			// The scale has 11 bits and a sign (numeric.c of PostgreSQL 15).
			own.Scale = int((t.Mod-4)&0x7ff^1024) - 1024
		}
		return own, own, false
	}
	switch {
	case t.Kind == 'e':
		return text, text, false // the binary form of an enum is its label
	case alias(t.OID):
		return text, text, true
	case t.OID < builtin && (t.Kind == 'b' || t.Kind == 'r' || t.Kind == 'm') && t.Element < builtin && !alias(t.Element):
		own = logical.Type{Kind: logical.Native, Name: "postgres:" + t.Name, Tag: t.OID}
		if t.OID == 790 || t.OID == 791 {
			return own, logical.Type{}, false // money prints in the server's currency
		}
		return own, text, false
	}
	return text, text, true
}

// declare gives the type in which a table keeps a logical type.
func declare(t logical.Type) (string, error) {
	switch t.Kind {
	case logical.Bool:
		return "boolean", nil
	case logical.Int16:
		return "smallint", nil
	case logical.Int32:
		return "integer", nil
	case logical.Int64:
		return "bigint", nil
	case logical.Float32:
		return "real", nil
	case logical.Float64:
		return "double precision", nil
	case logical.Numeric:
		if t.Precision > 0 {
			return fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale), nil
		}
		return "numeric", nil
	case logical.Text:
		if t.Length > 0 {
			return "character varying(" + strconv.Itoa(t.Length) + ")", nil
		}
		return "text", nil
	case logical.Bytes:
		return "bytea", nil
	case logical.Date:
		return "date", nil
	case logical.Time:
		return "time without time zone", nil
	case logical.Timestamp:
		return "timestamp without time zone", nil
	case logical.TimestampTZ:
		return "timestamp with time zone", nil
	case logical.Interval:
		return "interval", nil
	case logical.UUID:
		return "uuid", nil
	case logical.JSON:
		return "json", nil
	case logical.JSONB:
		return "jsonb", nil
	case logical.Native:
		if name, ok := strings.CutPrefix(t.Name, "postgres:"); ok {
			return name, nil
		}
	}
	return "", &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("PostgreSQL has no type for %s", t)}
}

// readRules says how PostgreSQL's types are read; the table in the documents is made of it.
func readRules() []connector.ReadRule {
	e := connector.Exact
	return []connector.ReadRule{
		{Native: "boolean", Logical: "bool", Rule: e},
		{Native: "smallint", Logical: "int16", Rule: e},
		{Native: "integer", Logical: "int32", Rule: e},
		{Native: "bigint", Logical: "int64", Rule: e},
		{Native: "real", Logical: "float32", Rule: e},
		{Native: "double precision", Logical: "float64", Rule: e},
		{Native: "numeric, numeric(p,s)", Logical: "numeric", Rule: e},
		{Native: "text, name", Logical: "text", Rule: e},
		{Native: "character varying(n)", Logical: "text", Rule: e, Note: "the length goes with it"},
		{Native: "bytea", Logical: "bytes", Rule: e},
		{Native: "date", Logical: "date", Rule: e},
		{Native: "time", Logical: "time", Rule: e},
		{Native: "timestamp", Logical: "timestamp", Rule: e},
		{Native: "timestamptz", Logical: "timestamptz", Rule: e},
		{Native: "interval", Logical: "interval", Rule: e},
		{Native: "uuid", Logical: "uuid", Rule: e},
		{Native: "json", Logical: "json", Rule: e},
		{Native: "jsonb", Logical: "jsonb", Rule: e},
		{Native: "enum", Logical: "text", Rule: connector.AsText, Note: "the label"},
		{Native: "domain", Logical: "text", Rule: connector.Widened, Note: "as its base type, whatever that is"},
		{Native: "arrays, ranges, inet, cidr, macaddr, bit, geometric, tsvector, xml, timetz, character(n) and other built-in types", Logical: "native", Rule: e, Note: "to another family: as text"},
		{Native: "composite, types of extensions, arrays of types that users made, reg* types", Logical: "text", Rule: connector.AsText},
		{Native: "money", Logical: "native", Rule: e, Note: "refused to another family: its text depends on the server's locale"},
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
		rules = append(rules, connector.WriteRule{Logical: logical.Type{Kind: k}.String(), Native: native, Rule: connector.Exact})
	}
	return append(rules, connector.WriteRule{Logical: "native", Native: "the same type", Rule: connector.Exact, Note: "from PostgreSQL only"})
}

// digestExpr is a column as the type whose send function gives the canonical bytes.
func digestExpr(alias string, c batch.Column) string {
	q := alias + quote(c.Name)
	switch c.Type.Kind {
	case logical.Text:
		return q + "::text"
	case logical.Float32:
		return "CASE WHEN " + q + " = 'NaN' THEN 'NaN'::real ELSE " + q + "::real END"
	case logical.Float64:
		return "CASE WHEN " + q + " = 'NaN' THEN 'NaN'::double precision ELSE " + q + "::double precision END"
	case logical.Numeric:
		return q + "::numeric"
	}
	if native, err := declare(logical.Type{Kind: c.Type.Kind, Name: c.Type.Name}); err == nil && c.Type.Kind != logical.Native {
		return q + "::" + native
	}
	return q
}
