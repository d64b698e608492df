package sqlsink

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// Gates lists the gates that Gate measures; the counting and hashing ones are the engine's.
func Gates() []string {
	return []string{
		"row_count_reconciliation", "min_rows", "typed_hash_reconciliation", "not_null", "unique",
		"accepted_values", "freshness", "custom_sql",
	}
}

// Gate measures one gate over the load or the target.
func (t *Tx) Gate(ctx context.Context, g manifest.Gate) (connector.Measure, error) {
	table := t.side(g.Side == "target")
	schema, err := t.gateSchema(ctx, g)
	if err != nil {
		return connector.Measure{}, err
	}
	switch g.Type {
	case "not_null":
		return t.notNull(ctx, table, schema)
	case "unique":
		return t.unique(ctx, table, schema)
	case "accepted_values":
		return t.accepted(ctx, table, schema, g.Values)
	case "freshness":
		return t.freshness(ctx, table, schema, g.MaxAge)
	case "custom_sql":
		return t.custom(ctx, g)
	}
	return connector.Measure{}, fmt.Errorf("gate type %q is not measured in SQL", g.Type)
}

// gateSchema finds the gate's columns where the gate looks.
func (t *Tx) gateSchema(ctx context.Context, g manifest.Gate) (batch.Schema, error) {
	if len(g.Columns) == 0 {
		return nil, nil
	}
	all := t.rowSchema
	if g.Side == "target" || t.rows == "" {
		target, err := t.b.Describe(ctx)
		if err != nil {
			return nil, err
		}
		if target == nil {
			return nil, fmt.Errorf("gate %s: the target does not exist", g.ID)
		}
		all = target.Schema()
	}
	picked, ok := all.Pick(g.Columns)
	if !ok {
		return nil, &connector.Error{
			Code: "gate.column", Msg: fmt.Sprintf("gate %s names a column of (%s) that is not there", g.ID, strings.Join(g.Columns, ", ")),
			Fix: "the columns are " + strings.Join(all.Names(), ", "),
		}
	}
	return picked, nil
}

func found(n int64, what string) connector.Measure {
	m := connector.Measure{Passed: n == 0, Metrics: map[string]string{"violations": strconv.FormatInt(n, 10)}}
	if n > 0 {
		m.Message = fmt.Sprintf("%d %s", n, what)
	}
	return m
}

func (t *Tx) notNull(ctx context.Context, table string, s batch.Schema) (connector.Measure, error) {
	parts := make([]string, len(s))
	for i := range s {
		parts[i] = t.d.Quote(s[i].Name) + " IS NULL"
	}
	n, err := t.number(ctx, "SELECT count(*) FROM "+table+" WHERE "+strings.Join(parts, " OR "))
	return found(n, "rows have NULL in "+strings.Join(s.Names(), " or ")), err
}

func (t *Tx) unique(ctx context.Context, table string, s batch.Schema) (connector.Measure, error) {
	list := t.columns("", s)
	n, err := t.number(ctx, "SELECT count(*) FROM (SELECT 1 AS one FROM "+table+" GROUP BY "+list+" HAVING count(*) > 1) AS doubled")
	if err != nil {
		return connector.Measure{}, connector.Fail("gate.column", err, "compare the values of (%s)", strings.Join(s.Names(), ", "))
	}
	return found(n, "values of ("+strings.Join(s.Names(), ", ")+") come more than once"), nil
}

func (t *Tx) accepted(ctx context.Context, table string, s batch.Schema, values []string) (connector.Measure, error) {
	var parts []string
	for i := range s {
		list := make([]string, len(values))
		for j, v := range values {
			value, err := logical.ParseText([]byte{}, s[i].Type, []byte(v))
			if err != nil {
				return connector.Measure{}, &connector.Error{Code: "gate.value", Msg: fmt.Sprintf("accepted value %q is no %s", v, s[i].Type), Err: err}
			}
			if list[j], err = t.d.Literal(s[i], value); err != nil {
				return connector.Measure{}, err
			}
		}
		parts = append(parts, compared(t.d, s[i], true)+" NOT IN ("+strings.Join(list, ", ")+")")
	}
	n, err := t.number(ctx, "SELECT count(*) FROM "+table+" WHERE "+strings.Join(parts, " OR "))
	return found(n, "rows have another value in "+strings.Join(s.Names(), " or ")), err
}

func (t *Tx) freshness(ctx context.Context, table string, s batch.Schema, maxAge string) (connector.Measure, error) {
	limit, err := manifest.ParseWidth(maxAge)
	if err != nil {
		return connector.Measure{}, err
	}
	now, err := time.Parse(time.RFC3339Nano, t.load.Now)
	if err != nil {
		return connector.Measure{}, fmt.Errorf("time of the load: %w", err)
	}
	m := connector.Measure{Metrics: map[string]string{}}
	var stale []string
	for i := range s {
		switch s[i].Type.Kind {
		case logical.Date, logical.Timestamp, logical.TimestampTZ:
		default:
			return m, &connector.Error{Code: "gate.column", Msg: fmt.Sprintf("freshness needs a date or a timestamp, and column %q is %s", s[i].Name, s[i].Type)}
		}
		var text *string
		err := t.b.Query(ctx, "SELECT "+t.d.Text("max("+compared(t.d, s[i], false)+")", s[i].Type)+" FROM "+table, nil,
			func(scan func(...any) error) error { return scan(&text) })
		if err != nil {
			return m, err
		}
		if text == nil {
			stale = append(stale, fmt.Sprintf("column %q has no value", s[i].Name))
			continue
		}
		value, err := logical.ParseText([]byte{}, s[i].Type, []byte(*text))
		if err != nil {
			return m, fmt.Errorf("column %q: %w", s[i].Name, err)
		}
		newest, err := logical.ReadTime(s[i].Type, value)
		if err != nil {
			return m, fmt.Errorf("column %q: %w", s[i].Name, err)
		}
		age := now.Sub(newest)
		m.Metrics["newest."+s[i].Name] = *text
		m.Metrics["age_seconds."+s[i].Name] = strconv.FormatFloat(age.Seconds(), 'f', 0, 64)
		if age > limit.Duration() {
			stale = append(stale, fmt.Sprintf("the newest %q is %s, older than %s", s[i].Name, *text, maxAge))
		}
	}
	m.Passed, m.Message = len(s) > 0 && len(stale) == 0, strings.Join(stale, "; ")
	return m, nil
}

func (t *Tx) custom(ctx context.Context, g manifest.Gate) (connector.Measure, error) {
	sql := strings.NewReplacer("{target}", t.side(true), "{load}", t.side(false)).Replace(g.SQL)
	want := 0.0
	if g.Threshold != nil {
		want = *g.Threshold
	}
	var got *float64
	rows := 0
	err := t.b.Query(ctx, "SELECT CAST(("+strings.TrimRight(strings.TrimSpace(sql), ";")+"\n) AS double precision)", nil, func(scan func(...any) error) error {
		rows++
		return scan(&got)
	})
	if err != nil {
		return connector.Measure{}, connector.Fail("gate.sql", err, "gate %s: the statement failed", g.ID)
	}
	m := connector.Measure{Metrics: map[string]string{"expected": strconv.FormatFloat(want, 'g', -1, 64)}}
	if got == nil {
		m.Message = "the statement gave NULL"
		return m, nil
	}
	m.Metrics["observed"] = strconv.FormatFloat(*got, 'g', -1, 64)
	m.Passed = *got == want //nolint:gocritic // exact on purpose: counts and sums of small whole numbers
	if !m.Passed {
		m.Message = fmt.Sprintf("the statement gave %v, not %v", *got, want)
	}
	return m, nil
}
