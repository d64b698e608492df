package manifest

import (
	"fmt"
	"math"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dpone/dpone/engine/logical"
)

// Validate checks what the manifest means, for one that was not parsed or was
// changed since. The families are those that source and sink may name, [Families]
// when there are none. The error is *[Problems].
func Validate(m *Manifest, families []string) error {
	c := &collector{path: m.Path, marks: m.marks, settled: true}
	validate(m, families, c)
	return c.problems()
}

func validate(m *Manifest, families []string, c *collector) {
	if len(families) == 0 {
		families = Families()
	}
	v := checker{collector: c, m: m}
	v.fields(reflect.ValueOf(m).Elem(), "", "")
	v.families(families)
	v.connection("source.connection", m.Source.Connection)
	v.connection("sink.connection", m.Sink.Connection)
	v.source()
	v.sink()
	v.strategy()
	v.reconciliation()
	v.gates()
}

type checker struct {
	*collector
	m *Manifest
}

// has reports whether the field is given: it stands in the file, or is not zero.
func (v checker) has(at string) bool {
	if _, ok := v.marks[at]; ok {
		return true
	}
	value := reflect.ValueOf(v.m).Elem()
	for _, key := range strings.Split(at, ".") {
		fields := fieldsOf(value.Type())
		i := slices.IndexFunc(fields, func(f field) bool { return f.key == key })
		if i < 0 {
			return false
		}
		value = value.Field(fields[i].index)
	}
	return !value.IsZero()
}

// fields checks each value by the rule of its field. The side is "source" or "sink".
func (v checker) fields(s reflect.Value, at, side string) {
	for _, f := range fieldsOf(s.Type()) {
		here, value := join(at, f.key), s.Field(f.index)
		if here == "source" || here == "sink" {
			side = here
		}
		_, marked := v.marks[here]
		if value.IsZero() && !marked {
			if f.required {
				v.add(codeRequired, here, f.doc, "is missing")
			}
			continue
		}
		if value.Kind() == reflect.Pointer {
			if value.IsNil() {
				continue
			}
			value = value.Elem()
		}
		switch {
		case value.Kind() == reflect.Struct:
			v.fields(value, here, side)
		case value.Kind() == reflect.Slice && value.Type().Elem().Kind() == reflect.Struct:
			for i := range value.Len() {
				v.fields(value.Index(i), fmt.Sprintf("%s[%d]", here, i), side)
			}
		case value.Kind() == reflect.Slice:
			seen := map[string]bool{}
			for i := range value.Len() {
				item := value.Index(i)
				place := fmt.Sprintf("%s[%d]", here, i)
				v.scalar(item, place, side, f.rule)
				if seen[item.String()] {
					v.add(codeDuplicateValue, place, "", "is in the list twice")
				}
				seen[item.String()] = true
			}
		default:
			v.scalar(value, here, side, f.rule)
		}
	}
}

func (v checker) scalar(value reflect.Value, at, side string, r rule) {
	switch value.Kind() {
	case reflect.Int, reflect.Int64:
		if n := value.Int(); r.hi > 0 && (float64(n) < r.lo || float64(n) > r.hi) {
			v.add(codeOutOfRange, at, "", "%d is not between %.0f and %.0f", n, r.lo, r.hi)
		}
	case reflect.Float64:
		if n := value.Float(); math.IsNaN(n) || r.hi > 0 && (n < r.lo || n > r.hi) {
			v.add(codeOutOfRange, at, "", "%v is not between %.0f and %.0f", n, r.lo, r.hi)
		}
	case reflect.String:
		v.text(value.String(), at, side, r)
		if _, ok := value.Interface().(Secret); ok && value.Len() > 0 && !secretPattern.MatchString(value.String()) {
			v.add(codeSecretLiteral, at, "put the secret in an environment variable or a file and write env:NAME or file:/path",
				"is no reference to a secret; its value is not shown")
		}
	}
}

func (v checker) text(s, at, side string, r rule) {
	switch {
	case s == "" && !r.empty:
		v.add(codeEmptyValue, at, "leave the key out, or give it a value", "is empty")
	case s == "":
	case strings.ContainsRune(s, 0) && !r.ident:
		v.add(codePattern, at, "", "holds the character NUL")
	case r.maxLen > 0 && utf8.RuneCountInString(s) > r.maxLen:
		v.add(codeOutOfRange, at, "", "has %d characters, more than %d", utf8.RuneCountInString(s), r.maxLen)
	case r.pattern != nil && !r.pattern.MatchString(s):
		v.add(codePattern, at, "", "%s does not match %s", quote(s), r.pattern)
	case len(r.enum) > 0 && !slices.Contains(r.enum, s):
		fix := nearest(s, r.enum)
		if fix == "" {
			fix = "known are " + strings.Join(r.enum, ", ")
		}
		v.add(codeUnknownValue, at, fix, "%s is not known", quote(s))
	case r.ident:
		v.ident(s, at, side)
	case r.logical:
		if _, err := logical.Parse(s); err != nil {
			v.add(codeLogicalType, at, "", "%v", err)
		}
	}
}

// ident checks a name against the systems that will have it: columns of the source
// become columns of the sink.
func (v checker) ident(s, at, side string) {
	if strings.ContainsRune(s, 0) {
		v.add(codeIdentifier, at, "", "the name holds the character NUL")
		return
	}
	types := []string{v.m.Source.Type, v.m.Sink.Type}
	switch {
	case strings.HasSuffix(parent(at), "table") && side == "source":
		types = types[:1]
	case strings.HasSuffix(parent(at), "table"), at == "state.schema":
		types = types[1:]
	}
	for _, t := range types {
		if f, ok := familyOf(t); ok && f.idents > 0 && len(s) > f.idents {
			v.add(codeIdentifier, at, "", "the name has %d bytes, and %s would cut it to %d", len(s), t, f.idents)
			return
		}
	}
}

// quote shows a value on one line, and only the beginning of a long one.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		cut := most
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		return strconv.Quote(s[:cut]) + "..."
	}
	return strconv.Quote(s)
}

func (v checker) families(known []string) {
	for _, side := range []struct{ name, family string }{{"source", v.m.Source.Type}, {"sink", v.m.Sink.Type}} {
		if side.family == "" {
			continue
		}
		if !slices.Contains(known, side.family) {
			fix := nearest(side.family, known)
			if fix == "" {
				fix = "known are " + strings.Join(known, ", ")
			}
			v.add(codeFamilyUnknown, side.name+".type", fix, "there is no connector %s", quote(side.family))
			continue
		}
		f, ok := familyOf(side.family)
		if !ok {
			continue
		}
		needs := map[string]bool{"connection": f.connection, "table": f.table, "path": f.path}
		for _, key := range []string{"connection", "table", "path"} {
			at := join(side.name, key)
			switch given := v.has(at); {
			case given && !needs[key]:
				v.add(codeFamilyRefuses, at, "take it out", "%s does not use it", f.name)
			case !given && needs[key] && (key != "table" || side.name != "source" || !v.has(fieldQuery)):
				fix := ""
				if at == "source.table" {
					fix = "name the table, or give source.options.query"
				}
				v.add(codeFamilyRequires, at, fix, "%s needs it", f.name)
			}
		}
		for _, at := range f.unused {
			// State is kept by the sink.
			if (strings.HasPrefix(at, side.name+".") || side.name == "sink" && at == "state.schema") && v.has(at) {
				v.add(codeFamilyRefuses, at, "take it out", "%s does not use it", f.name)
			}
		}
	}
}

func (v checker) connection(at string, c Connection) {
	if !v.has(at) {
		return
	}
	if v.has(at + ".dsn") {
		for _, f := range fieldsOf(reflect.TypeFor[Connection]()) {
			if here := join(at, f.key); f.key != "dsn" && v.has(here) {
				v.add(codeDSNWithFields, here, "put it into the connection string, or give separate fields only", "cannot stand beside dsn")
			}
		}
		return
	}
	for _, key := range []string{"host", "database", "user"} {
		if here := join(at, key); !v.has(here) {
			v.add(codeConnectionIncomplete, here, "give dsn, or host, database and user", "is missing")
		}
	}
	if strings.Contains(c.Host, "://") || strings.ContainsAny(c.Host, "@ \t\r\n") {
		v.add(codeSecretLiteral, at+".host", "put the connection string in an environment variable and write dsn: env:NAME",
			"is no host; its value is not shown")
	}
	if (c.SSLCert == "") != (c.SSLKey == "") {
		v.add(codeTLS, at, "give both or none", "sslcert and sslkey belong together")
	}
	if c.SSLMode == "disable" && (c.SSLRootCert != "" || c.SSLCert != "" || c.SSLKey != "") {
		v.add(codeTLS, at+".sslmode", "take the certificates out, or choose verify-full", "certificates are given and TLS is off")
	}
}

func (v checker) source() {
	s := v.m.Source
	if v.has(fieldQuery) {
		if (s.Options.Query.SQL == "") == (s.Options.Query.SQLFile == "") {
			v.add(codeQueryIncomplete, fieldQuery, "", "give exactly one of sql and sql_file")
		}
		if v.has("source.table") {
			v.add(codeTableAndQuery, "source.table", "take one of the two out", "source.options.query is read instead of a table")
		}
	}
	const quarantine = "source.options.quarantine"
	switch wanted := s.Options.OnBadRow == "quarantine"; {
	case wanted && s.Options.Quarantine.Path == "":
		v.add(codeQuarantine, quarantine+".path", "name a file for the rows that cannot be read", "is missing")
	case !wanted && v.has(quarantine):
		v.add(codeQuarantine, quarantine, "set source.options.on_bad_row: quarantine", "nothing writes it, because a bad row fails the run")
	}
	seen := map[string]bool{}
	for i, t := range s.Options.Types {
		if seen[t.Column] {
			v.add(codeDuplicateValue, fmt.Sprintf("source.options.types[%d].column", i), "", "the column has a type already")
		}
		seen[t.Column] = true
	}
	if s.Type == "file" && s.Path != "" {
		format := s.Options.Format
		if format == "" {
			format, _ = formatOf(s.Path)
		}
		if format == "" && !mayBeFolder(s.Path) {
			v.add(codeFormatRequired, "source.options.format", "give csv, jsonl or parquet", "the name of the files does not tell it")
		}
		v.format("source.options", format, s.Options.Compression, s.Options.CSV)
		if format == "parquet" && v.has("source.options.types") {
			v.add(codeFormatOption, "source.options.types", "take it out", "parquet files have types of their own")
		}
	}
}

// mayBeFolder is true for a path that can name a published data set, which knows the format of its files.
func mayBeFolder(name string) bool {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	return path.Ext(base) == "" && !strings.ContainsAny(base, "*?[")
}

func (v checker) sink() {
	s := v.m.Sink
	seen := map[string]bool{}
	for i, col := range s.Options.SchemaContract.Columns {
		if seen[col.Name] {
			v.add(codeDuplicateValue, fmt.Sprintf("sink.options.schema_contract.columns[%d].name", i), "", "the contract has the column already")
		}
		seen[col.Name] = true
	}
	if s.Type == "file" {
		if s.Options.Format == "" {
			v.add(codeFormatRequired, "sink.options.format", "give csv, jsonl or parquet", "is missing")
		}
		v.format("sink.options", s.Options.Format, s.Options.Compression, s.Options.CSV)
	}
	if v.sameTable() {
		at := "sink.table"
		if !v.has(at) {
			at = "sink.path"
		}
		v.add(codeSameTable, at, "", "is what the source reads")
	}
}

// format checks the options that belong to one file format.
func (v checker) format(at, format, compression string, csv CSV) {
	if format != "" && format != "csv" && v.has(at+".csv") {
		v.add(codeFormatOption, at+".csv", "take it out", "the files are %s", quote(format))
	}
	allowed := map[string][]string{"csv": {"none", "gzip", "zstd"}, "jsonl": {"none", "gzip", "zstd"}, "parquet": {"none", "snappy", "zstd"}}
	if at == "source.options" {
		allowed["parquet"] = []string{"none"}
	}
	if known, ok := allowed[format]; ok && compression != "" && !slices.Contains(known, compression) {
		v.add(codeFormatOption, at+".compression", "take "+strings.Join(known, ", "), "%s does not go with %s", quote(compression), format)
	}
	if csv.Delimiter != "" {
		r, size := utf8.DecodeRuneInString(csv.Delimiter)
		if size != len(csv.Delimiter) || r == utf8.RuneError || strings.ContainsRune("\"\r\n\x00\ufeff", r) {
			v.add(codeDelimiter, at+".csv.delimiter", "", "must be one character, and no quote or line end")
		}
	}
	delimiter := csv.Delimiter
	if delimiter == "" {
		delimiter = ","
	}
	if strings.Contains(csv.Null, delimiter) || strings.ContainsAny(csv.Null, "\"\r\n") {
		v.add(codeDelimiter, at+".csv.null", "", "cannot hold the delimiter, a quote or a line end")
	}
}

// sameTable reports whether source and sink are visibly the same. What only the
// servers can tell is asked at run time.
func (v checker) sameTable() bool {
	src, dst := v.m.Source, v.m.Sink
	if src.Type != dst.Type || src.Type == "" || v.has(fieldQuery) {
		return false
	}
	f, _ := familyOf(src.Type)
	schema := func(t Table) Table {
		if t.Schema == "" {
			t.Schema = f.schema
		}
		return t
	}
	if src.Path != "" || dst.Path != "" {
		from, to := filepath.Clean(src.Path), filepath.Clean(dst.Path)
		if from != to && src.Type == "file" && strings.ContainsAny(path.Base(from), "*?[") {
			from = filepath.Dir(from) // the glob would find what the last run published
		}
		return from == to && schema(src.Table) == schema(dst.Table)
	}
	server := func(c Connection) [4]string {
		if c.Port == 0 {
			c.Port = 5432
		}
		return [4]string{string(c.DSN), strings.ToLower(c.Host), strconv.Itoa(c.Port), c.Database}
	}
	return src.Table.Name != "" && server(src.Connection) == server(dst.Connection) && schema(src.Table) == schema(dst.Table)
}

func (v checker) strategy() {
	s := v.m.Sink.Strategy
	doc, ok := strategyOf(s.Mode)
	if !ok {
		return
	}
	v.belongs(doc)
	for _, at := range doc.Required {
		if v.has(at) && (at != fieldKey || len(s.UniqueKey) > 0) {
			continue
		}
		if at == fieldKey {
			v.needsKey("%s needs it", s.Mode)
		} else {
			v.add(codeOptionRequired, at, "", "%s needs it", s.Mode)
		}
	}
	keyed := len(s.UniqueKey) > 0
	cursor := v.m.Source.Options.IncrementalColumn
	if s.Mode == IncrementalAppend {
		switch {
		case s.OnlyNewRows && !keyed:
			v.needsKey("only_new_rows needs it")
		case cursor != "" && !keyed:
			v.needsKey("incremental_column needs it, because rows may share a value of the cursor")
		case cursor == "" && !s.OnlyNewRows && v.m.State.Window == "":
			v.add(codeAppendWindow, "sink.strategy.mode",
				"give source.options.incremental_column with unique_key, only_new_rows: true with unique_key, or state.window",
				"a second run would add the same rows again")
		}
	}
	if s.DuplicatePolicy != "" {
		column, last := s.DuplicateColumn()
		switch {
		case s.DuplicatePolicy != "fail" && !last:
			v.add(codeDuplicatePolicy, fieldDuplicates, "write fail, or last_by:<column>", "%s is not known", quote(s.DuplicatePolicy))
		case !keyed && doc.takes(fieldDuplicates):
			v.add(codeDuplicateKeyless, fieldDuplicates, "give sink.strategy.unique_key", "without a key there are no duplicates")
		}
		if last {
			v.ident(column, fieldDuplicates, "")
			v.selected(fieldDuplicates, column)
		}
	}
	for i, column := range s.UniqueKey {
		v.selected(fmt.Sprintf("%s[%d]", fieldKey, i), column)
	}
	v.selected(fieldCursor, cursor)
	v.selected(fieldPartition+".column", s.Partition.Column)
	v.selected(fieldBackfill+".column", s.Backfill.Column)
	if doc.takes(fieldSoft) && v.has(fieldSoft) && !v.soft() {
		v.add(codeSoftDelete, fieldSoft, "set the delete_policy to soft_delete, or take it out", "nothing is deleted softly")
	}
	switch s.Mode {
	case SCD2:
		v.scd2()
	case Backfill:
		v.backfill()
	}
}

func (v checker) needsKey(format string, args ...any) {
	v.add(codeKeyRequired, fieldKey, "name the columns that identify a row", format, args...)
}

// belongs refuses the fields of other strategies.
func (v checker) belongs(doc StrategyDoc) {
	for _, at := range strategyFields() {
		if !v.has(at) || doc.takes(at) {
			continue
		}
		switch {
		case at == fieldCursor && doc.Mode == XMin:
			v.add(codeXMinCursor, at, "take it out", "xmin has its own cursor")
		case at == fieldQuery:
			v.add(codeQueryNotForMode, at, "name the table in source.table", "%s reads a table", doc.Mode)
		case at == fieldReconcile:
			v.add(codeReconciliationMode, at, "take it out", "belongs to %s, not to %s", modesWith(at), doc.Mode)
		default:
			v.add(codeOptionNotForMode, at, "take it out", "belongs to %s, not to %s", modesWith(at), doc.Mode)
		}
	}
}

// soft reports whether the run may delete softly.
func (v checker) soft() bool {
	s := v.m.Sink.Strategy
	switch s.Mode {
	case SnapshotDiff:
		return s.Diff.DeletePolicy == "soft_delete"
	case CDC:
		return s.CDC.DeletePolicy == "soft_delete"
	case IncrementalMerge, XMin:
		return v.m.Reconciliation.Enabled && v.m.Reconciliation.DeletePolicy == "soft_delete"
	}
	return false
}

// selected requires a column to be among those that are read.
func (v checker) selected(at, column string) {
	columns := v.m.Source.Options.Columns
	if column == "" || len(columns) == 0 || slices.Contains(columns, column) {
		return
	}
	fix := nearest(column, columns)
	if fix == "" {
		fix = "add it there"
	}
	v.add(codeNotSelected, at, fix, "source.options.columns leaves out %s", quote(column))
}

func (v checker) scd2() {
	o := v.m.WithDefaults().Sink.Strategy.SCD2
	seen := map[string]string{}
	for _, column := range v.m.Source.Options.Columns {
		seen[column] = "source.options.columns"
	}
	for _, f := range []struct{ key, column string }{
		{"valid_from_column", o.ValidFrom},
		{"valid_to_column", o.ValidTo},
		{"current_flag_column", o.Current},
		{"row_hash_column", o.RowHash},
	} {
		if other, ok := seen[f.column]; ok {
			v.add(codeSCD2Columns, join(fieldSCD2, f.key), "choose another name", "%s is in %s, too", quote(f.column), other)
		}
		seen[f.column] = f.key
	}
}

func (v checker) backfill() {
	b := v.m.Sink.Strategy.Backfill
	if b.InnerMode == IncrementalMerge && len(v.m.Sink.Strategy.UniqueKey) == 0 {
		v.needsKey("inner_mode incremental_merge needs it")
	}
	if b.InnerMode != IncrementalMerge && v.has(fieldDuplicates) {
		v.add(codeOptionNotForMode, fieldDuplicates, "take it out", "belongs to inner_mode incremental_merge")
	}
	if b.ChunkSize == "" {
		return
	}
	w, err := ParseWidth(b.ChunkSize)
	if err != nil {
		v.add(codeWidth, fieldBackfill+".chunk_size", "write 10000, 6h or 1d", "%v", err)
		return
	}
	var ends [2]time.Time // of integers only the order counts
	var numbers [2]int64
	for i, end := range []struct{ key, text string }{{"from", b.From}, {"to", b.To}} {
		if end.text == "" {
			continue
		}
		var err error
		if w.Unit == 0 {
			if numbers[i], err = strconv.ParseInt(end.text, 10, 64); err != nil {
				v.add(codeBackfillRange, join(fieldBackfill, end.key), "with a chunk_size in time, write a unit", "%s is no integer, and chunk_size is one", quote(end.text))
				return
			}
		} else if ends[i], err = instant(end.text); err != nil {
			v.add(codeBackfillRange, join(fieldBackfill, end.key), "write 2026-01-31, 2026-01-31T12:00:00 or 2026-01-31T12:00:00Z", "%s is neither a date nor a time, and chunk_size is time", quote(end.text))
			return
		}
	}
	if b.From != "" && b.To != "" && numbers[0] >= numbers[1] && !ends[0].Before(ends[1]) {
		v.add(codeBackfillRange, fieldBackfill+".to", "to is exclusive and must be greater than from", "the range from %s to %s is empty", quote(b.From), quote(b.To))
	}
}

// instant reads a date or a time; without a zone it is read as UTC.
func instant(s string) (t time.Time, err error) {
	for _, layout := range []string{
		time.DateOnly, "2006-01-02T15:04:05", time.DateTime, time.RFC3339, "2006-01-02 15:04:05Z07:00",
	} {
		if t, err = time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return t, err
}

func (v checker) reconciliation() {
	if r := v.m.Reconciliation; !r.Enabled && r != (Reconciliation{}) {
		v.add(codeReconciliationOff, "reconciliation.enabled", "set it to true, or take reconciliation out", "what is described here does not happen")
	}
}

func (v checker) gates() {
	ids := map[string]bool{}
	for i, g := range v.m.Quality.Gates {
		at := fmt.Sprintf("quality.gates[%d]", i)
		known := slices.IndexFunc(gateRules, func(r gateRule) bool { return r.name == g.Type })
		if known < 0 {
			continue
		}
		if id := g.name(); ids[id] {
			v.add(codeGateID, at+".id", "give each gate an id of its own", "there is a gate %s already", quote(id))
		} else {
			ids[id] = true
		}
		v.gate(at, g, gateRules[known])
	}
}

func (v checker) gate(at string, g Gate, r gateRule) {
	s := reflect.ValueOf(g)
	for _, f := range fieldsOf(s.Type()) {
		if f.key == "id" || f.key == "type" || f.key == "severity" {
			continue
		}
		here := join(at, f.key)
		value := s.Field(f.index)
		_, marked := v.marks[here]
		filled := !value.IsZero() && (value.Kind() != reflect.Slice || value.Len() > 0)
		switch {
		case slices.Contains(r.required, f.key):
			if !filled {
				v.add(codeGateRequires, here, "", "%s needs it", r.name)
			}
		case (filled || marked) && !slices.Contains(r.allowed, f.key):
			v.add(codeGateRefuses, here, "take it out", "%s does not use it", r.name)
		}
	}
	if t := g.Threshold; g.Type == "min_rows" && t != nil && (*t < 0 || *t != math.Trunc(*t)) {
		v.add(codeGateThreshold, at+".threshold", "", "%v is no number of rows", *t)
	}
	if g.Type == "freshness" && g.MaxAge != "" {
		if w, err := ParseWidth(g.MaxAge); err != nil {
			v.add(codeWidth, at+".max_age", "write 24h or 7d", "%v", err)
		} else if w.Unit == 0 {
			v.add(codeWidth, at+".max_age", "write 24h or 7d", "%s has no unit", quote(g.MaxAge))
		}
	}
}

// name is the gate's id, or its type and columns.
func (g Gate) name() string {
	if g.ID != "" || len(g.Columns) == 0 {
		if g.ID != "" {
			return g.ID
		}
		return g.Type
	}
	return g.Type + ":" + strings.Join(g.Columns, ",")
}
