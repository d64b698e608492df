package manifest

// code numbers the kinds of problems, so that none is without a name.
type code int

const (
	codeSyntax code = iota
	codeEncoding
	codeTooLarge
	codeEmpty
	codeDocuments
	codeAlias
	codeTag
	codeKeyType
	codeUnknownKey
	codeDuplicateKey
	codeWrongType
	codeRequired
	codeUnknownValue
	codeOutOfRange
	codeEmptyValue
	codePattern
	codeIdentifier
	codeDuplicateValue
	codeWidth
	codeLogicalType
	codeTooMany
	codeFamilyUnknown
	codeFamilyRequires
	codeFamilyRefuses
	codeSecretLiteral
	codeDSNWithFields
	codeConnectionIncomplete
	codeTLS
	codeTableAndQuery
	codeQueryIncomplete
	codeQuarantine
	codeFormatRequired
	codeFormatOption
	codeDelimiter
	codeSameTable
	codeKeyRequired
	codeOptionRequired
	codeOptionNotForMode
	codeAppendWindow
	codeXMinCursor
	codeQueryNotForMode
	codeNotSelected
	codeDuplicatePolicy
	codeDuplicateKeyless
	codeSoftDelete
	codeSCD2Columns
	codeBackfillRange
	codeReconciliationMode
	codeReconciliationOff
	codeGateRequires
	codeGateRefuses
	codeGateID
	codeGateThreshold
	lastCode
)

// CodeDoc is one kind of problem.
type CodeDoc struct {
	Code string // <area>.<problem>
	Doc  string // one sentence
}

var codes = [lastCode]CodeDoc{
	codeSyntax:               {"manifest.syntax", "The text is not YAML."},
	codeEncoding:             {"manifest.encoding", "The text is not UTF-8."},
	codeTooLarge:             {"manifest.too_large", "The text is longer than 1 MiB."},
	codeEmpty:                {"manifest.empty", "There is nothing in the file."},
	codeDocuments:            {"manifest.multiple_documents", "There is more than one YAML document."},
	codeAlias:                {"manifest.alias", "An anchor, an alias or a merge key hides what is loaded."},
	codeTag:                  {"manifest.tag", "A YAML tag stands before a value."},
	codeKeyType:              {"manifest.key_type", "A key is not a string."},
	codeUnknownKey:           {"manifest.unknown_key", "No field has this name."},
	codeDuplicateKey:         {"manifest.duplicate_key", "A key is given twice."},
	codeWrongType:            {"manifest.wrong_type", "A value has another type than its field."},
	codeRequired:             {"manifest.required", "A field that every manifest needs is missing."},
	codeUnknownValue:         {"manifest.unknown_value", "The field takes one of a few words, and this is none of them."},
	codeOutOfRange:           {"manifest.out_of_range", "A number, a text or a list is beyond its limits."},
	codeEmptyValue:           {"manifest.empty_value", "A text that must say something is empty."},
	codePattern:              {"manifest.pattern", "A text does not have the form that its field asks for."},
	codeIdentifier:           {"manifest.identifier", "The system cannot have a name like this."},
	codeDuplicateValue:       {"manifest.duplicate_value", "A list names the same thing twice."},
	codeWidth:                {"manifest.width", "A width or an age cannot be read."},
	codeLogicalType:          {"manifest.logical_type", "There is no logical type of this name."},
	codeTooMany:              {"manifest.too_many_problems", "There are more problems than are told."},
	codeFamilyUnknown:        {"family.unknown", "No connector has this name."},
	codeFamilyRequires:       {"family.field_required", "The family needs a field that is missing."},
	codeFamilyRefuses:        {"family.field_not_for_family", "The family does not use a field that is given."},
	codeSecretLiteral:        {"connection.secret_literal", "A secret stands in the manifest, or something that is no reference to one."},
	codeDSNWithFields:        {"connection.dsn_with_fields", "A connection string and separate fields are both given."},
	codeConnectionIncomplete: {"connection.incomplete", "The connection does not say where the server is, or as whom."},
	codeTLS:                  {"connection.tls", "The TLS fields contradict one another."},
	codeTableAndQuery:        {"source.table_and_query", "A table and a query are both given."},
	codeQueryIncomplete:      {"source.query", "A query needs exactly one of sql and sql_file."},
	codeQuarantine:           {"source.quarantine", "Quarantine is asked for without a file, or a file is named that nothing writes."},
	codeFormatRequired:       {"file.format_required", "Nothing tells the format of the files."},
	codeFormatOption:         {"file.option_not_for_format", "The file format does not use a field that is given."},
	codeDelimiter:            {"file.delimiter", "The delimiter cannot be one."},
	codeSameTable:            {"sink.same_as_source", "Source and sink are the same table or files."},
	codeKeyRequired:          {"strategy.unique_key_required", "The strategy needs sink.strategy.unique_key."},
	codeOptionRequired:       {"strategy.option_required", "The strategy needs a field that is missing."},
	codeOptionNotForMode:     {"strategy.option_not_for_mode", "A field belongs to another strategy and would be ignored."},
	codeAppendWindow:         {"strategy.append_needs_window", "Nothing keeps incremental_append from adding the same rows twice."},
	codeXMinCursor:           {"strategy.xmin_with_incremental_column", "xmin has its own cursor."},
	codeQueryNotForMode:      {"strategy.query_not_for_mode", "xmin and cdc read a table, not a query."},
	codeNotSelected:          {"strategy.column_not_selected", "The strategy needs a column that source.options.columns leaves out."},
	codeDuplicatePolicy:      {"strategy.duplicate_policy", "The policy is neither fail nor last_by:<column>."},
	codeDuplicateKeyless:     {"strategy.duplicate_policy_without_key", "Without a key there are no duplicates."},
	codeSoftDelete:           {"strategy.soft_delete_not_used", "soft_delete_column is given and nothing is deleted softly."},
	codeSCD2Columns:          {"strategy.scd2_columns", "Two columns of the history have the same name, or one has the name of a column that is loaded."},
	codeBackfillRange:        {"strategy.backfill_range", "from, to and chunk_size do not make a range."},
	codeReconciliationMode:   {"reconciliation.not_for_mode", "The strategy does not reconcile keys."},
	codeReconciliationOff:    {"reconciliation.not_enabled", "Reconciliation is described and not enabled."},
	codeGateRequires:         {"gate.field_required", "The gate needs a field that is missing."},
	codeGateRefuses:          {"gate.field_not_for_type", "The gate does not use a field that is given."},
	codeGateID:               {"gate.duplicate_id", "Two gates have the same name."},
	codeGateThreshold:        {"gate.threshold", "The least number of rows is not a whole number from 0 up."},
}

// Codes lists every kind of problem that [Parse] and [Validate] know.
func Codes() []CodeDoc { return append([]CodeDoc(nil), codes[:]...) }
