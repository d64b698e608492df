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

// scalarType is a type of PostgreSQL that has a logical kind of its own.
type scalarType struct {
	oid    uint32
	kind   logical.Kind
	native string // as a table declares it
	kept   bool   // whether a logical type of the kind is kept in this one
}

// scalars is the one table of them: reading, declaring and the documents follow it.
func scalars() []scalarType {
	return []scalarType{
		{pgtype.BoolOID, logical.Bool, "boolean", true},
		{pgtype.Int2OID, logical.Int16, "smallint", true},
		{pgtype.Int4OID, logical.Int32, "integer", true},
		{pgtype.Int8OID, logical.Int64, "bigint", true},
		{pgtype.Float4OID, logical.Float32, "real", true},
		{pgtype.Float8OID, logical.Float64, "double precision", true},
		{pgtype.NumericOID, logical.Numeric, "numeric", true},
		{pgtype.TextOID, logical.Text, "text", true},
		{pgtype.VarcharOID, logical.Text, "character varying", false},
		{pgtype.NameOID, logical.Text, "name", false},
		{pgtype.ByteaOID, logical.Bytes, "bytea", true},
		{pgtype.DateOID, logical.Date, "date", true},
		{pgtype.TimeOID, logical.Time, "time without time zone", true},
		{pgtype.TimestampOID, logical.Timestamp, "timestamp without time zone", true},
		{pgtype.TimestamptzOID, logical.TimestampTZ, "timestamp with time zone", true},
		{pgtype.IntervalOID, logical.Interval, "interval", true},
		{pgtype.UUIDOID, logical.UUID, "uuid", true},
		{pgtype.JSONOID, logical.JSON, "json", true},
		{pgtype.JSONBOID, logical.JSONB, "jsonb", true},
	}
}

// scalar gives the logical kind of a type that has one of its own.
func scalar(oid uint32) logical.Kind {
	for _, s := range scalars() {
		if s.oid == oid {
			return s.kind
		}
	}
	return logical.Invalid
}

// textOnly is true for types whose binary form does not come back as the same value.
func textOnly(oid uint32) bool {
	switch oid {
	case 24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191,
		1008, 2207, 2208, 2209, 2210, 2211, 3735, 3770, 4090, 4097, 4192, // reg*: an object id, which means something else on another server
		22, 1006, 30, 1013, 3615, 3645, // int2vector, oidvector, tsquery: an empty value is sent and not received
		1033, 1034, 3642, 3644, // aclitem, gtsvector: there is no binary form
		32, 194, 3361, 3402, 4600, 4601, 5017: // internal nodes and statistics: nothing reads them
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
	case textOnly(t.OID):
		return text, text, true
	case t.OID < builtin && (t.Kind == 'b' || t.Kind == 'r' || t.Kind == 'm') && t.Element < builtin && !textOnly(t.Element):
		own = logical.Type{Kind: logical.Native, Name: "postgres:" + t.Name, Tag: t.OID}
		if t.OID == 790 || t.OID == 791 {
			return own, logical.Type{}, false // money prints in the server's currency
		}
		return own, text, false
	}
	return text, text, true
}

// rounds is true for types that cut what their logical type holds without an error:
// times with fewer digits, intervals of some fields, and names, which end after 63 bytes.
func rounds(t pgType) bool {
	switch t.OID {
	case pgtype.TimeOID, pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.IntervalOID:
		return t.Mod >= 0
	case pgtype.NameOID:
		return true
	}
	return false
}

// declare gives the type in which a table keeps a logical type.
func declare(t logical.Type) (string, error) {
	switch {
	case t.Kind == logical.Numeric && t.Precision > 0:
		return fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale), nil
	case t.Kind == logical.Text && t.Length > 0:
		return "character varying(" + strconv.Itoa(t.Length) + ")", nil
	case t.Kind == logical.Native:
		if name, ok := strings.CutPrefix(t.Name, "postgres:"); ok {
			return name, nil
		}
	default:
		for _, s := range scalars() {
			if s.kept && s.kind == t.Kind {
				return s.native, nil
			}
		}
	}
	return "", &connector.Error{Code: "type.refused", Msg: fmt.Sprintf("PostgreSQL has no type for %s", t)}
}

// readRules says how PostgreSQL's types are read; the table in the documents is made of it.
func readRules() []connector.ReadRule {
	e := connector.Exact
	var rules []connector.ReadRule
	for _, s := range scalars() {
		rule := connector.ReadRule{Native: s.native, Logical: logical.Type{Kind: s.kind}.String(), Rule: e}
		switch s.oid {
		case pgtype.NumericOID:
			rule.Note = "precision and scale go with it"
		case pgtype.VarcharOID:
			rule.Note = "the length goes with it"
		}
		rules = append(rules, rule)
	}
	return append(rules, []connector.ReadRule{
		{Native: "enum", Logical: "text", Rule: connector.AsText, Note: "the label"},
		{Native: "domain", Logical: "as its base type", Rule: connector.Widened, Note: "over an array or a composite: text"},
		{Native: "arrays, ranges, inet, cidr, macaddr, bit, geometric, tsvector, xml, timetz, character(n) and other built-in types", Logical: "native", Portable: "text", Rule: e},
		{Native: "composite, types of extensions, arrays of types that users made, reg* types", Logical: "text", Rule: connector.AsText},
		{Native: "money", Logical: "native", Portable: "none", Rule: e, Note: "its text depends on the server's locale"},
	}...)
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
