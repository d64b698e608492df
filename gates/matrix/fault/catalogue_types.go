package fault

// types change values on their way from one system's types to another's.
func types() []Fault {
	return []Fault{
		{
			ID: "types-empty-read-as-null", Area: "types",
			Doc:   "An empty text in PostgreSQL is read as NULL.",
			File:  "engine/postgres/source.go",
			Old:   `if size == -1 {`,
			New:   `if size <= 0 {`,
			Cases: []string{"postgres_to_sqlite__full_refresh", "postgres_to_file__full_refresh"},
		},
		{
			ID: "types-empty-written-as-null", Area: "types",
			Doc:  "An empty text is written to PostgreSQL as NULL.",
			File: "engine/postgres/source.go",
			Old: `		if v == nil {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)`,
			New: `		if len(v) == 0 {
			dst = append(dst, 0xff, 0xff, 0xff, 0xff)`,
			Cases: []string{"sqlite_to_postgres__full_refresh", "file_to_postgres__full_refresh"},
		},
		{
			ID: "types-zone-shifted", Area: "types",
			Doc:   "The text of an instant says one hour east of UTC, where the clock in it is that of UTC.",
			File:  "engine/logical/text.go",
			Old:   `dst = append(dst, "+00"...)`,
			New:   `dst = append(dst, "+01"...)`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-microseconds-cut", Area: "types",
			Doc:   "The text of a time ends after the milliseconds.",
			File:  "engine/logical/text.go",
			Old:   `seconds, micros := n/1e6, n%1e6`,
			New:   `seconds, micros := n/1e6, n%1e6/1000*1000`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-date-one-day-late", Area: "types",
			Doc:  "The text of a date is that of the day after.",
			File: "engine/logical/text.go",
			Old: `	days := n
`,
			New: `	days := n + 1
`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-float64-as-float32", Area: "types",
			Doc:   "A double in SQLite goes through 32 bits.",
			File:  "engine/sqlite/value.go",
			Old:   `return logical.AppendFloat64(dst, f), nil`,
			New:   `return logical.AppendFloat64(dst, float64(float32(f))), nil`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_file__full_refresh"},
		},
		{
			ID: "types-decimal-through-float", Area: "types",
			Doc:  "A decimal in SQLite goes through a double.",
			File: "engine/sqlite/value.go",
			Old: `	case sqlite.TypeText:
		return logical.ParseText(dst, t, v.bytes)
	case sqlite.TypeFloat:`,
			New: `	case sqlite.TypeText:
		if f, err := strconv.ParseFloat(string(v.bytes), 64); err == nil && f == f {
			v.bytes = strconv.AppendFloat(nil, f, 'f', max(t.Scale, 0), 64)
		}
		return logical.ParseText(dst, t, v.bytes)
	case sqlite.TypeFloat:`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_file__full_refresh"},
		},
		{
			ID: "types-decimal-scale-lost", Area: "types",
			Doc:   "A column for decimals in PostgreSQL is made without digits after the point.",
			File:  "engine/postgres/types.go",
			Old:   `return fmt.Sprintf("numeric(%d,%d)", t.Precision, t.Scale), nil`,
			New:   `return fmt.Sprintf("numeric(%d)", t.Precision), nil`,
			Cases: []string{"sqlite_to_postgres__incremental_merge", "sqlite_to_postgres__replace"},
		},
		{
			ID: "types-int16-without-sign", Area: "types",
			Doc:   "A negative number of 16 bits is read as a positive one.",
			File:  "engine/logical/value.go",
			Old:   `return int64(int16(binary.BigEndian.Uint16(b)))`,
			New:   `return int64(binary.BigEndian.Uint16(b))`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-bool-inverted", Area: "types",
			Doc:   "A bool in SQLite is read as its opposite.",
			File:  "engine/sqlite/value.go",
			Old:   `return logical.AppendBool(dst, v.n == 1), nil`,
			New:   `return logical.AppendBool(dst, v.n == 0), nil`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "sqlite_to_file__full_refresh"},
		},
		{
			ID: "types-text-cut-at-255", Area: "types",
			Doc:  "A text for SQLite ends after 255 bytes.",
			File: "engine/sqlite/value.go",
			Old: `	case logical.Text:
		return text(canonical), nil`,
			New: `	case logical.Text:
		return text(canonical[:min(len(canonical), 255)]), nil`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-bytes-as-hex-text", Area: "types",
			Doc:  "Bytes are kept in SQLite as the text of their hexadecimal digits.",
			File: "engine/sqlite/value.go",
			Old: `	case logical.Bytes:
		return blob(canonical), nil`,
			New: `	case logical.Bytes:
		return text(fmt.Appendf(nil, "%x", canonical)), nil`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-json-normalised", Area: "types",
			Doc:  "JSON is read into values and written anew, so that long numbers are rounded and characters escaped.",
			File: "engine/logical/parse.go",
			Old: `		if t.Kind == JSONB {
			dst = append(dst, 1)
		}
		return append(dst, text...), nil`,
			New: `		if t.Kind == JSONB {
			dst = append(dst, 1)
		}
		var tree any
		if err := json.Unmarshal(text, &tree); err != nil {
			return dst, err
		}
		text, err := json.Marshal(tree)
		return append(dst, text...), err`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-uuid-group-repeated", Area: "types",
			Doc:   "The text of a UUID has its third group in the place of the second.",
			File:  "engine/logical/text.go",
			Old:   `dst = append(hex.AppendEncode(dst, value[4:6]), '-')`,
			New:   `dst = append(hex.AppendEncode(dst, value[6:8]), '-')`,
			Cases: []string{"sqlite_to_sqlite__full_refresh", "file_to_sqlite__full_refresh"},
		},
		{
			ID: "types-nan-as-null", Area: "types",
			Doc:   "NaN is kept in SQLite as NULL.",
			File:  "engine/sqlite/value.go",
			Old:   `return notAN, nil`,
			New:   `return null, nil`,
			Cases: []string{"sqlite_to_sqlite__snapshot_diff", "file_to_sqlite__full_refresh"},
		},
	}
}
