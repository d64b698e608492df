package manifest

import (
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// maxItems is how many items a list may have.
const maxItems = 10000

// rule is what a value must be beyond its Go type. The reader, the validation, the
// JSON Schema and the table of the documents all take it from here.
type rule struct {
	enum    []string
	pattern *regexp.Regexp
	maxLen  int // in characters
	// lo and hi bound a number when hi is not 0.
	lo, hi float64
	// text takes a plain number or date as the text that stands in the file.
	text bool
	// empty allows the empty string.
	empty bool
	// ident is true for a name that the system must be able to have.
	ident bool
	// logical is true for the name of a logical type.
	logical bool
}

var (
	namePattern = regexp.MustCompile(`^[a-z0-9_]{3,64}$`)
	slotPattern = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9_.:,-]{1,200}$`)
	runPattern  = regexp.MustCompile(`^[A-Za-z0-9_.:/+-]{1,200}$`)
	// The form of a reference to a secret.
	secretPattern = regexp.MustCompile(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:[^\x00]+)$`)
)

const maxInt = 1 << 53 // what a float64 holds exactly

// rules are keyed by Go type and YAML key.
var rules = map[string]rule{
	"Manifest.name":                             {pattern: namePattern},
	"Manifest.description":                      {maxLen: 500},
	"Connection.port":                           {lo: 1, hi: 65535},
	"Connection.sslmode":                        {enum: []string{"disable", "allow", "prefer", "require", "verify-ca", "verify-full"}},
	"Connection.connect_timeout":                {lo: 1, hi: 3600},
	"Table.schema":                              {ident: true},
	"Table.name":                                {ident: true},
	"SourceOptions.columns":                     {ident: true},
	"SourceOptions.incremental_column":          {ident: true},
	"SourceOptions.batch_rows":                  {lo: 1, hi: 1000000},
	"SourceOptions.workers":                     {lo: 1, hi: 64},
	"SourceOptions.format":                      {enum: []string{"csv", "jsonl", "parquet"}},
	"SourceOptions.compression":                 {enum: []string{"none", "gzip", "zstd"}},
	"SourceOptions.on_bad_row":                  {enum: []string{"fail", "quarantine"}},
	"CSV.null":                                  {empty: true},
	"Typed.column":                              {ident: true},
	"Typed.type":                                {logical: true},
	"Quarantine.max_rows":                       {lo: 1, hi: maxInt},
	"CDCSource.slot":                            {pattern: slotPattern},
	"CDCSource.publication":                     {ident: true},
	"SinkOptions.format":                        {enum: []string{"csv", "jsonl", "parquet"}},
	"SinkOptions.compression":                   {enum: []string{"none", "gzip", "zstd", "snappy"}},
	"SinkOptions.file_rows":                     {lo: 1, hi: 1e9},
	"SinkOptions.lock_timeout":                  {lo: 1, hi: 86400},
	"SinkOptions.digest":                        {enum: []string{"none", "count", "key", "full"}},
	"SchemaEvolution.mode":                      {enum: []string{"strict", "additive", "widening"}},
	"SchemaContract.extra":                      {enum: []string{"allow", "fail"}},
	"ContractColumn.name":                       {ident: true},
	"ContractColumn.type":                       {logical: true},
	"Strategy.mode":                             {enum: words(Modes())},
	"Strategy.unique_key":                       {ident: true},
	"Strategy.overwrite_type":                   {enum: []string{"in_place", "shadow_swap"}},
	"Strategy.soft_delete_column":               {ident: true},
	"Partition.column":                          {ident: true},
	"Partition.values":                          {text: true, empty: true},
	"Partition.max_partitions_per_run":          {lo: 1, hi: maxItems},
	"Diff.delete_policy":                        {enum: []string{"hard_delete", "soft_delete", "ignore"}},
	"SCD2Options.valid_from_column":             {ident: true},
	"SCD2Options.valid_to_column":               {ident: true},
	"SCD2Options.current_flag_column":           {ident: true},
	"SCD2Options.row_hash_column":               {ident: true},
	"SCD2Options.delete_policy":                 {enum: []string{"expire", "ignore"}},
	"BackfillOptions.column":                    {ident: true},
	"BackfillOptions.from":                      {text: true},
	"BackfillOptions.to":                        {text: true},
	"BackfillOptions.chunk_size":                {text: true},
	"BackfillOptions.inner_mode":                {enum: words([]Mode{Replace, IncrementalMerge})},
	"BackfillOptions.run_key":                   {pattern: runPattern},
	"XMinOptions.rebaseline":                    {enum: []string{"never", "allow"}},
	"XMinOptions.max_replay_amplification_xids": {lo: 1, hi: maxInt},
	"CDCOptions.truncate":                       {enum: []string{"stop", "apply"}},
	"CDCOptions.delete_policy":                  {enum: []string{"hard_delete", "soft_delete", "ignore"}},
	"State.schema":                              {ident: true},
	"State.window":                              {pattern: runPattern},
	"Reconciliation.delete_policy":              {enum: []string{"hard_delete", "soft_delete"}},
	"Reconciliation.empty_snapshot":             {enum: []string{"fail", "allow"}},
	"Guards.max_delete_ratio":                   {lo: 0, hi: 1},
	"Guards.max_delete_rows":                    {lo: 0, hi: maxInt},
	"Gate.id":                                   {pattern: idPattern},
	"Gate.type":                                 {enum: gateTypes()},
	"Gate.severity":                             {enum: []string{"error", "warning"}},
	"Gate.side":                                 {enum: []string{"load", "target"}},
	"Gate.columns":                              {ident: true},
	"Gate.values":                               {text: true, empty: true},
	"Gate.threshold":                            {lo: -maxInt, hi: maxInt},
	"Tolerance.mode":                            {enum: []string{"absolute", "pct"}},
	"Tolerance.value":                           {lo: 0, hi: maxInt},
}

func words(modes []Mode) []string {
	w := make([]string, len(modes))
	for i, m := range modes {
		w[i] = string(m)
	}
	return w
}

// field is one field of a struct of the manifest.
type field struct {
	index int
	key   string
	rule  rule
	// required fields are those that JSON never leaves out.
	required bool
	doc      string
}

// structs are the fields of each struct of a manifest.
var structs = structsIn(reflect.TypeFor[Manifest](), map[reflect.Type][]field{})

// fieldsOf lists the fields of a struct in the order of the type.
func fieldsOf(t reflect.Type) []field { return structs[t] }

// structsIn adds the fields of a struct, and of all that are under it.
func structsIn(t reflect.Type, found map[reflect.Type][]field) map[reflect.Type][]field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if !f.IsExported() || key == "-" {
			continue
		}
		list = append(list, field{
			index: i, key: key, rule: rules[t.Name()+"."+key], doc: f.Tag.Get("jsonschema"),
			required: !strings.Contains(f.Tag.Get("json"), ",omit"),
		})
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			structsIn(inner, found)
		}
	}
	found[t] = list
	return found
}

// homes gives the paths at which a key of this name has its place, for hints.
func homes(key string) []string {
	var found []string
	var walk func(t reflect.Type, at string)
	walk = func(t reflect.Type, at string) {
		for _, f := range fieldsOf(t) {
			here := join(at, f.key)
			if f.key == key {
				found = append(found, here)
			}
			if ft := t.Field(f.index).Type; ft.Kind() == reflect.Struct {
				walk(ft, here)
			}
		}
	}
	walk(reflect.TypeFor[Manifest](), "")
	return found
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

// family says what a family of connectors needs in a manifest. Needed fields must
// be given, used fields may be, and any other that stands in the lists is refused.
type family struct {
	name string
	// connection, table and path are needed, or not used.
	connection, table, path bool
	// unused are further fields that it would ignore, of a source or a sink.
	unused []string
	// idents is the length to which the system cuts identifiers, in bytes; 0 for none.
	idents int
	// schema is what an empty table.schema stands for.
	schema string
}

// badRowFields belong to families whose values may not fit their columns' types.
var badRowFields = []string{"source.options.on_bad_row", "source.options.quarantine"}

var fileFields = []string{
	"source.options.format", "source.options.compression", "source.options.csv",
	"sink.options.format", "sink.options.compression", "sink.options.csv", "sink.options.file_rows",
}

var families = []family{
	{
		name: "postgres", connection: true, table: true, idents: 63, schema: "public",
		unused: slices.Concat([]string{"source.options.types"}, badRowFields, fileFields),
	},
	{
		name: "sqlite", table: true, path: true, schema: "main",
		unused: append([]string{"state.schema"}, fileFields...),
	},
	{
		name: "file", path: true,
		unused: []string{
			"source.options.query", "source.options.custom_predicate",
			"sink.options.lock_timeout", "state.schema",
		},
	},
}

// familyOf gives the rules of a family; ok is false for one that is not in the list.
func familyOf(name string) (f family, ok bool) {
	i := slices.IndexFunc(families, func(f family) bool { return f.name == name })
	if i < 0 {
		return family{}, false
	}
	return families[i], true
}

// Families lists the families whose fields this package knows.
func Families() []string {
	names := make([]string, len(families))
	for i, f := range families {
		names[i] = f.name
	}
	return names
}

// gateRule says which fields a type of gate takes, besides id, type and severity.
type gateRule struct {
	name              string
	required, allowed []string
}

var gateRules = []gateRule{
	{"row_count_reconciliation", nil, []string{"side", "tolerance"}},
	{"min_rows", []string{"threshold"}, []string{"side"}},
	{"typed_hash_reconciliation", nil, []string{"side"}},
	{"not_null", []string{"columns"}, []string{"side"}},
	{"unique", []string{"columns"}, []string{"side"}},
	{"accepted_values", []string{"columns", "values"}, []string{"side"}},
	{"freshness", []string{"columns", "max_age"}, []string{"side"}},
	{"custom_sql", []string{"sql"}, []string{"threshold"}},
}

func gateTypes() []string {
	names := make([]string, len(gateRules))
	for i, g := range gateRules {
		names[i] = g.name
	}
	return names
}

// formatOf tells the format and the compression of files from their name, path or
// glob; empty where the name does not tell.
func formatOf(name string) (format, compression string) {
	name = strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	compression = "none"
	for suffix, c := range map[string]string{".gz": "gzip", ".zst": "zstd"} {
		if rest, ok := strings.CutSuffix(name, suffix); ok {
			name, compression = rest, c
		}
	}
	switch path.Ext(name) {
	case ".csv":
		format = "csv"
	case ".jsonl", ".ndjson":
		format = "jsonl"
	case ".parquet":
		format = "parquet"
	default:
		if compression == "none" {
			compression = ""
		}
	}
	return format, compression
}
