package engine

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
)

// gates evaluates the quality gates inside the transaction. One that fails with
// severity error ends the run, and the load is rolled back.
func (r *run) gates(ctx context.Context, tx connector.Tx, read connector.ReadStats, builder *digest.Builder, work load) error {
	var failed []string
	for _, g := range slices.Concat(r.contractGates(), r.m.Quality.Gates) {
		m, err := r.gate(ctx, tx, g, read, builder, work)
		if err != nil {
			return fmt.Errorf("quality gate %s: %w", g.ID, err)
		}
		result := GateResult{ID: g.ID, Type: g.Type, Status: "passed", Severity: g.Severity, Boundary: "pre_commit", Window: work.window.ID, Metrics: m.Metrics, Message: m.Message}
		if !m.Passed {
			result.Status = "failed"
			if g.Severity == "error" {
				failed = append(failed, g.ID+": "+m.Message)
			} else {
				r.env.Warn("quality gate " + g.ID + ": " + m.Message)
			}
		}
		if len(r.report.Gates) < reportLimit {
			r.report.Gates = append(r.report.Gates, result)
		}
	}
	if len(failed) > 0 {
		return &connector.Error{Code: "DPONE_QUALITY_GATES_FAILED", Msg: "the load was rolled back: " + strings.Join(failed, "; ")}
	}
	return nil
}

func (r *run) gate(ctx context.Context, tx connector.Tx, g manifest.Gate, read connector.ReadStats, builder *digest.Builder, work load) (connector.Measure, error) {
	target := g.Side == "target"
	switch g.Type {
	case "row_count_reconciliation":
		n, err := tx.Count(ctx, target)
		return counts(g, read.Rows, n), err
	case "min_rows":
		if g.Threshold == nil {
			return connector.Measure{}, &connector.Error{Code: "gate.config", Msg: "the gate min_rows needs a threshold"}
		}
		n, err := tx.Count(ctx, target)
		return atLeast(n, *g.Threshold), err
	case "typed_hash_reconciliation":
		return r.hashes(ctx, tx, target, builder, work)
	}
	return tx.Gate(ctx, g)
}

func atLeast(got int64, least float64) connector.Measure {
	m := connector.Measure{
		Passed:  float64(got) >= least,
		Metrics: map[string]string{"observed": strconv.FormatInt(got, 10), "threshold": strconv.FormatFloat(least, 'f', -1, 64)},
	}
	if !m.Passed {
		m.Message = fmt.Sprintf("%d rows, at least %v are needed", got, least)
	}
	return m
}

func counts(g manifest.Gate, want, got int64) connector.Measure {
	allowed := g.Tolerance.Value
	if g.Tolerance.Mode == "pct" {
		allowed = float64(want) * g.Tolerance.Value / 100
	}
	m := connector.Measure{
		Passed: math.Abs(float64(want-got)) <= allowed,
		Metrics: map[string]string{
			"expected": strconv.FormatInt(want, 10), "observed": strconv.FormatInt(got, 10), "allowed": strconv.FormatFloat(allowed, 'f', -1, 64),
		},
	}
	if !m.Passed {
		m.Message = fmt.Sprintf("%d rows were read and %d are there, they may differ by %v", want, got, allowed)
	}
	return m
}

// hashes holds the digest of the rows that were read against the one of the rows that are there.
func (r *run) hashes(ctx context.Context, tx connector.Tx, target bool, builder *digest.Builder, work load) (connector.Measure, error) {
	whole := work.apply.Mode == manifest.SnapshotDiff || work.kind == connector.StageDirect
	if target && !whole {
		return connector.Measure{}, &connector.Error{
			Code: "gate.side", Msg: fmt.Sprintf("%s reads a part of the source, which the whole target cannot be compared with", r.m.Sink.Strategy.Mode),
			Fix: "leave out side, which compares the rows of the load",
		}
	}
	want := builder.Digest()
	got, err := tx.Digest(ctx, builder.Spec(), target)
	if err != nil {
		return connector.Measure{}, err
	}
	unequal, err := digest.Compare(want, got)
	if err != nil {
		return connector.Measure{}, err
	}
	m := connector.Measure{
		Passed:  want.Equal(got),
		Metrics: map[string]string{"expected": want.String(), "observed": got.String(), "unequal_buckets": strconv.Itoa(len(unequal))},
	}
	if !m.Passed {
		m.Message = fmt.Sprintf("the rows that were read and those that are there differ, in %d of %d buckets, %d and %d rows", len(unequal), len(want.Buckets), want.Rows, got.Rows)
		if err := r.locate(ctx, tx, target, builder.Spec(), work, &m); err != nil {
			r.env.Warn("look for the rows that differ: " + err.Error())
		}
	}
	return m, nil
}

// samples is how many rows of each kind of difference a gate names.
const samples = 20

// locate names rows that differ. Both sides are asked again, the source in the snapshot of the load.
func (r *run) locate(ctx context.Context, tx connector.Tx, target bool, spec digest.Spec, work load, m *connector.Measure) error {
	there, ok := tx.(connector.ProbeTx)
	if !ok || work.snap == nil {
		return nil
	}
	right := there.Prober(target)
	if right == nil {
		return nil
	}
	if spec.Level == digest.LevelFull {
		spec.Key = r.key // rows that both sides have, with other values, are told as such
	}
	left, err := r.prober(work)
	if err != nil {
		return err
	}
	found, err := digest.Bisect(ctx, spec, left, right, digest.BisectOptions{Samples: samples})
	if err != nil {
		return err
	}
	key := spec.Columns
	if len(spec.Key) > 0 {
		key, _ = spec.Columns.Pick(spec.Key)
	}
	for _, side := range []struct {
		name, words string
		rows        []digest.Row
	}{
		{"only_read", "read and not there", found.OnlyLeft},
		{"only_there", "there and not read", found.OnlyRight},
		{"differing", "there with other values", found.Differing},
	} {
		if len(side.rows) == 0 {
			continue
		}
		names := make([]string, len(side.rows))
		for i, row := range side.rows {
			names[i] = keyText(key, row.Key)
		}
		m.Metrics[side.name] = strings.Join(names, "; ")
		m.Message += fmt.Sprintf("; %s: %s", side.words, strings.Join(names[:min(3, len(names))], "; "))
	}
	m.Metrics["differences_at_least"] = strconv.FormatUint(found.Least, 10)
	m.Metrics["samples_complete"] = strconv.FormatBool(found.Complete)
	return nil
}

// prober digests what the load has read, in the source where it can do that, else by reading again.
func (r *run) prober(work load) (digest.Prober, error) {
	if p, ok := work.snap.(connector.ProbeSource); ok {
		return p.Prober(work.request)
	}
	return digest.NewScan(work.request.Columns, func(ctx context.Context) (digest.Reader, error) {
		return work.snap.Read(ctx, work.request)
	}), nil
}

// keyText writes a key as name=value, ...
func keyText(columns batch.Schema, values [][]byte) string {
	const limit = 64 // bytes of a value
	parts := make([]string, min(len(columns), len(values)))
	for i := range parts {
		text := []byte("NULL")
		if values[i] != nil {
			var err error
			if text, err = logical.AppendText(nil, columns[i].Type, values[i]); err != nil {
				text = fmt.Appendf(nil, "%x", values[i])
			}
		}
		if len(text) > limit {
			text = append(text[:limit:limit], "..."...)
		}
		parts[i] = columns[i].Name + "=" + strings.ToValidUTF8(string(text), "?")
	}
	return strings.Join(parts, ", ")
}
