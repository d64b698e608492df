package command

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/dpone/dpone/engine"
)

// writeText shows a report to people.
func writeText(w io.Writer, r engine.Report) error {
	var b strings.Builder
	word := "PASS"
	if !r.Passed {
		word = "FAIL"
	}
	fmt.Fprintf(&b, "%s  %s  %s  %s %s -> %s %s  %s\n", word, r.Process, r.Strategy,
		r.Source.Type, r.Source.Relation, r.Target.Type, r.Target.Relation, seconds(r.Result.DurationSeconds))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, sentence(fmt.Sprintf(format, args...)))
	}
	c := r.Counters
	line("rows", "%d read: %d inserted, %d updated, %d unchanged", r.Result.ExtractedRows, c.Inserted, c.Updated, c.Unchanged)
	if n := c.DeletedHard + c.DeletedSoft + c.Reactivated; n > 0 {
		line("deletes", "%d deleted, %d marked as deleted, %d came back", c.DeletedHard, c.DeletedSoft, c.Reactivated)
	}
	if c.Quarantined > 0 {
		line("quarantine", "%d rows could not be read and were put aside", c.Quarantined)
	}
	if r.Window.ID != "" {
		line("window", "%s %s", r.Window.Kind, r.Window.ID)
	}
	if r.Window.Reason != "" {
		line("reason", "%s", r.Window.Reason)
	}
	for _, s := range r.Schema {
		line("column", "%s %s %s", s.Kind, s.Column, s.Type)
	}
	for _, g := range r.Gates {
		mark := "ok"
		if g.Status != "passed" {
			mark = strings.ToUpper(g.Severity)
		}
		line("gate", "%s", strings.TrimSpace(mark+"  "+g.ID+"  "+g.Message))
	}
	if r.Digest.Value != "" {
		line("digest", "%s", r.Digest.Value)
	}
	line("commit", "%s", commit(r))
	for _, text := range r.Warnings {
		line("warning", "%s", text)
	}
	line("run", "%s", r.RunID)
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	if !r.Passed {
		fmt.Fprintf(&b, "\n  [%s] see docs/errors.md\n", r.Result.ErrorCode)
		if r.Manifest != "" {
			fmt.Fprintf(&b, "  reproduce  mage run -manifest=%s\n", r.Manifest)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func commit(r engine.Report) string {
	s := strings.ReplaceAll(r.Result.CommitOutcome, "_", " ")
	if n := len(r.Receipts); n > 1 {
		s += fmt.Sprintf(", %d receipts", n)
	} else if r.Result.ReceiptID != "" {
		s += ", receipt " + r.Result.ReceiptID
	}
	if r.Skipped > 0 {
		s += fmt.Sprintf(", %d windows were there already", r.Skipped)
	}
	return s
}

func seconds(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.1f s", s)
}
