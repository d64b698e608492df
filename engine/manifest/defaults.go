package manifest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// WithDefaults gives a copy in which every field that has a meaning here and was
// left out holds what it stands for; the description of each field tells it. Fields
// that the family, the strategy or the format does not use stay empty. What a
// default depends on at run time (a system's own schema, the name of each file) stays
// empty, too. Doing it twice changes nothing.
func (m *Manifest) WithDefaults() Manifest {
	n := *m
	connectionDefaults(&n.Source.Connection)
	connectionDefaults(&n.Sink.Connection)
	n.sourceDefaults()
	n.sinkDefaults()
	n.strategyDefaults()
	if n.Sink.Type == "postgres" {
		or(&n.State.Schema, "dpone")
	}
	if n.Reconciliation.Enabled {
		or(&n.Reconciliation.DeletePolicy, "hard_delete")
		or(&n.Reconciliation.EmptySource, "fail")
	}
	n.Quality.Gates = slices.Clone(m.Quality.Gates)
	for i := range n.Quality.Gates {
		n.Quality.Gates[i].defaults()
	}
	return n
}

// or sets what is empty.
func or[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func connectionDefaults(c *Connection) {
	if *c == (Connection{}) || c.DSN != "" {
		return
	}
	or(&c.Port, 5432)
	or(&c.SSLMode, "prefer")
	or(&c.ConnectTimeout, 30)
}

func (c *CSV) defaults() {
	or(&c.Delimiter, ",")
	if c.Header == nil {
		c.Header = new(bool)
		*c.Header = true
	}
}

func (m *Manifest) sourceDefaults() {
	o := &m.Source.Options
	or(&o.BatchRows, 8192)
	or(&o.Workers, 1)
	if m.Source.Type == "file" {
		format, compression := formatOf(m.Source.Path)
		or(&o.Format, format)
		if o.Format != "parquet" {
			or(&o.Compression, compression)
		}
		if o.Format == "csv" {
			o.CSV.defaults()
		}
	}
	if m.Source.Type == "file" || m.Source.Type == "sqlite" {
		or(&o.OnBadRow, "fail")
		if o.OnBadRow == "quarantine" {
			or(&o.Quarantine.MaxRows, 1000)
		}
	}
}

func (m *Manifest) sinkDefaults() {
	o := &m.Sink.Options
	or(&o.SchemaEvolution.Mode, "widening")
	or(&o.SchemaContract.Extra, "allow")
	o.SchemaContract.Columns = slices.Clone(o.SchemaContract.Columns)
	for i := range o.SchemaContract.Columns {
		if c := &o.SchemaContract.Columns[i]; c.Nullable == nil {
			c.Nullable = new(bool)
			*c.Nullable = true
		}
	}
	or(&o.Digest, "full")
	if m.Sink.Type != "file" {
		or(&o.LockTimeout, 60)
		return
	}
	or(&o.FileRows, 1000000)
	switch o.Format {
	case "parquet":
		or(&o.Compression, "snappy")
	case "csv":
		o.CSV.defaults()
		or(&o.Compression, "none")
	default:
		or(&o.Compression, "none")
	}
}

func (m *Manifest) strategyDefaults() {
	s := &m.Sink.Strategy
	if doc, ok := strategyOf(s.Mode); ok && doc.takes(fieldDuplicates) && len(s.UniqueKey) > 0 &&
		(s.Mode != Backfill || s.Backfill.InnerMode == IncrementalMerge) {
		or(&s.DuplicatePolicy, "fail")
	}
	switch s.Mode {
	case FullRefresh:
		or(&s.OverwriteType, "in_place")
	case PartitionReplace:
		or(&s.Partition.Max, 1000)
	case SnapshotDiff:
		or(&s.Diff.DeletePolicy, "hard_delete")
	case SCD2:
		or(&s.SCD2.ValidFrom, "__dpone__valid_from_at")
		or(&s.SCD2.ValidTo, "__dpone__valid_to_at")
		or(&s.SCD2.Current, "__dpone__is_current")
		or(&s.SCD2.RowHash, "__dpone__row_hash")
		or(&s.SCD2.DeletePolicy, "expire")
	case Backfill:
		or(&s.Backfill.InnerMode, Replace)
	case XMin:
		or(&s.XMin.Rebaseline, "never")
	case CDC:
		or(&s.CDC.Truncate, "stop")
		or(&s.CDC.DeletePolicy, "hard_delete")
	}
	if (checker{m: m}).soft() {
		or(&s.SoftDelete, "__dpone__deleted_at")
	}
}

func (g *Gate) defaults() {
	g.ID = g.name()
	or(&g.Severity, "error")
	switch g.Type {
	case "custom_sql":
		if g.Threshold == nil {
			g.Threshold = new(float64)
		}
	case "row_count_reconciliation":
		or(&g.Tolerance.Mode, "absolute")
		fallthrough
	default:
		or(&g.Side, "load")
	}
}

// PlanHash gives 64 hexadecimal digits: the SHA-256 of the manifest [Manifest.WithDefaults]
// as JSON with sorted keys and without spaces. Two manifests with the same hash ask
// for the same. The description is left out, because it asks for nothing; references
// to secrets are in it, their values are not, and neither is the content of a file
// that the manifest names.
func (m *Manifest) PlanHash() string {
	n := m.WithDefaults()
	n.Description = ""
	raw, err := json.Marshal(n)
	if err != nil { // a number that JSON has no form for, which [Validate] refuses
		return ""
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var tree any
	if dec.Decode(&tree) != nil {
		return ""
	}
	if raw, err = json.Marshal(tree); err != nil {
		return ""
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// RunKey names the campaign of a backfill: the one that is given, or the plan's hash.
func (m *Manifest) RunKey() string {
	if key := m.Sink.Strategy.Backfill.RunKey; key != "" {
		return key
	}
	return m.PlanHash()
}
