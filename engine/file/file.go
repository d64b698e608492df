// Package file is the connector of files: CSV, JSON Lines and Parquet, alone or
// in gzip and zstd, read from a file, a folder or a pattern, and published into a
// folder as a data set.
//
// # Source
//
// The path is a file, a folder or a pattern of filepath.Glob; ** is not known.
// Files come in the order of their names. A link that leads out of the folder is
// refused, unless it is the one file that the path names. The list of files is fixed
// with sizes, times and inodes when the snapshot opens, and a file that is another
// one when it is opened or read to its end fails the run. A folder with a manifest.json is
// a data set: exactly the files that it names are read, and their sizes and SHA-256 must be right.
//
// # Sink
//
// The folder holds data/ with the files, and manifest.json, which names the current
// ones with their columns, state and receipts ([github.com/dpone/dpone/engine/file/dataset]).
// A load writes its files into .staging/, and publishes in this order: intent.json,
// the files into data/, manifest.json under its name in one rename, which is the
// commit, and then the removal of what is not current any more. Everything is flushed
// to disk before the step after it. The next load cleans up what a crash left:
// whether the load of the intent is the one in the manifest tells which side of the commit it was on.
// One writer at a time holds .lock; readers take no lock. A reader that opened a file
// before its removal reads it to the end; one that comes later gets an error that
// tells to run again.
//
// A load without rows publishes a manifest without files.
package file

import (
	"fmt"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file/parquet"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Connector is the family.
func Connector() connector.Connector {
	return connector.Connector{
		Name: "file",
		Doc:  "CSV, JSON Lines and Parquet files, read from a file, folder or pattern and published atomically into a folder.",
		Source: &connector.SourceCapabilities{
			Modes: []manifest.Mode{
				manifest.FullRefresh, manifest.IncrementalAppend, manifest.IncrementalMerge, manifest.Replace,
				manifest.PartitionReplace, manifest.SnapshotDiff, manifest.SCD2, manifest.Backfill,
			},
			Types: readRules(),
		},
		Sink: &connector.SinkCapabilities{
			Modes: []manifest.Mode{
				manifest.FullRefresh, manifest.IncrementalAppend, manifest.Replace,
				manifest.PartitionReplace, manifest.Backfill,
			},
			Gates: []string{
				"row_count_reconciliation", "min_rows", "typed_hash_reconciliation", "not_null",
				"unique", "accepted_values", "freshness",
			},
			Commit: "publication",
			Bulk:   "file",
			Types:  writeRules(),
		},
		OpenSource: openSource,
		OpenSink:   openSink,
	}
}

func readRules() []connector.ReadRule {
	exact := func(native, logical, note string) connector.ReadRule {
		return connector.ReadRule{Native: native, Logical: logical, Rule: connector.Exact, Note: note}
	}
	refused := func(native, note string) connector.ReadRule {
		return connector.ReadRule{Native: native, Rule: connector.Refused, Note: note}
	}
	const orDeclared = "or the type that options.types declares, in its text form"
	return []connector.ReadRule{
		exact("csv field", "text", orDeclared),
		exact("jsonl string", "text", orDeclared),
		exact("jsonl boolean", "bool", ""),
		exact("jsonl whole number of 64 bits", "int64", "when the key shows nothing else in the first 1000 rows, or as declared"),
		exact("jsonl number", "numeric", "with the digits as they are written"),
		exact("jsonl object, array", "json", "as it is written"),
		exact("parquet BOOLEAN", "bool", ""),
		{Native: "parquet INT(8)", Logical: "int16", Rule: connector.Widened},
		exact("parquet INT(16)", "int16", ""),
		exact("parquet INT32", "int32", ""),
		exact("parquet INT64", "int64", ""),
		{Native: "parquet UINT(8)", Logical: "int16", Rule: connector.Widened},
		{Native: "parquet UINT(16)", Logical: "int32", Rule: connector.Widened},
		{Native: "parquet UINT(32)", Logical: "int64", Rule: connector.Widened},
		{Native: "parquet UINT(64)", Logical: "numeric(20,0)", Rule: connector.Widened},
		exact("parquet FLOAT", "float32", ""),
		exact("parquet DOUBLE", "float64", ""),
		exact("parquet DECIMAL(p,s)", "numeric(p,s)", ""),
		exact("parquet STRING, ENUM", "text", "a NUL in it makes a bad row"),
		exact("parquet JSON", "json", ""),
		exact("parquet BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY", "bytes", ""),
		exact("parquet UUID", "uuid", ""),
		exact("parquet DATE", "date", ""),
		exact("parquet TIME", "time", "nanoseconds make a bad row unless they are whole microseconds"),
		exact("parquet TIMESTAMP", "timestamp", "timestamptz when adjusted to UTC; nanoseconds as above"),
		refused("parquet INT96", "it does not say whether it is a clock or an instant"),
		refused("parquet group, list, map, repeated", "no flat column"),
		refused("parquet BSON, INTERVAL, FLOAT16, VARIANT, GEOMETRY, GEOGRAPHY, UNKNOWN", ""),
	}
}

// kinds are examples of every logical type, for the table of rules.
func kinds() []logical.Type {
	var out []logical.Type
	for k := logical.Bool; k <= logical.Native; k++ {
		t := logical.Type{Kind: k}
		if k == logical.Native {
			t.Name = "any:type"
		}
		out = append(out, t)
		if k == logical.Numeric {
			out = append(out, logical.Type{Kind: k, Precision: 18, Scale: 2})
		}
	}
	return out
}

func writeRules() []connector.WriteRule {
	var rules []connector.WriteRule
	for _, format := range []string{formatCSV, formatJSONL, formatParquet} {
		for _, t := range kinds() {
			rule, err := native(format, t)
			if err != nil {
				rule = connector.WriteRule{Logical: t.String(), Native: format, Rule: connector.Refused, Note: "only its own system knows it"}
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

// native says how a format keeps a type. The manifest keeps the type beside it, so
// that a reader of the data set has the same type again.
func native(format string, t logical.Type) (connector.WriteRule, error) {
	r := connector.WriteRule{Logical: t.String(), Rule: connector.Exact}
	if t.Kind == logical.Native || t.Kind == logical.Invalid {
		return r, connector.Fail("sink.type", nil, "files do not keep the type %s; read the column as text", t)
	}
	switch format {
	case formatCSV:
		r.Native = "csv field"
		if t.Kind != logical.Text {
			r.Rule = connector.AsText
		}
	case formatJSONL:
		switch t.Kind {
		case logical.Bool:
			r.Native = "jsonl boolean"
		case logical.Int16, logical.Int32, logical.Int64:
			r.Native = "jsonl number"
		case logical.Float32, logical.Float64, logical.Numeric:
			r.Native, r.Note = "jsonl number", "NaN and infinities as strings"
		case logical.JSON, logical.JSONB:
			r.Native, r.Note = "jsonl value", "null, and text with line ends or spaces around it, wrapped"
		case logical.Text:
			r.Native = "jsonl string"
		default:
			r.Native, r.Rule = "jsonl string", connector.AsText
		}
	case formatParquet:
		name, rendered, err := parquet.Native(t)
		if err != nil {
			return r, connector.Fail("sink.type", err, "Parquet does not keep the type %s", t)
		}
		r.Native = "parquet " + name
		switch {
		case rendered:
			r.Rule, r.Note = connector.AsText, "Parquet has no such type"
			if t.Kind == logical.Numeric {
				r.Note = "a decimal needs a precision of 1 to 38"
			}
		case t.Kind == logical.Numeric:
			r.Note = "NaN and infinities are refused at the value"
		case t.Kind == logical.Date, t.Kind == logical.Timestamp, t.Kind == logical.TimestampTZ:
			r.Note = "infinities are refused at the value"
		}
	default:
		return r, fmt.Errorf("the format %q is none of csv, jsonl and parquet", format)
	}
	return r, nil
}
