package reproduce

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/difference"
)

const diffCommand = "evidence:diff"

// DiffOptions are what [Diff] is asked.
type DiffOptions struct {
	// A and B are records: record.json, or the folder of a run.
	A, B string
	// Force compares records of different gates, too.
	Force bool
	// Format is "text", which is also meant by "", "json" or "md".
	Format string
	Stdout io.Writer
}

// Diff explains in what two records differ. PASS says that their stable parts are
// the same, FAIL that they are not, UNVERIFIED that a record cannot be read or
// that they are of two gates.
func Diff(ctx context.Context, o DiffOptions) error {
	switch o.Format {
	case "", "text", "json", "md":
	default:
		return usage(diffCommand, "-format=%s: write text, json or md", o.Format)
	}
	r := newResult(diffCommand)
	r.Verdict, r.Outcome = evidence.Unverified, CouldNotTell
	var records [2]*evidence.Record
	for i, side := range []struct{ name, path string }{{"a", o.A}, {"b", o.B}} {
		if side.path == "" {
			return usage(diffCommand, "-%s is missing", side.name)
		}
		record, sealed, err := readRecord(ctx, side.path)
		switch {
		case ctx.Err() != nil:
			r.reason(CodeInterrupted, "%v", context.Cause(ctx))
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission):
			r.reason(CodeUnreadable, "-%s: %v", side.name, err)
		case err != nil:
			r.reason(CodeBadRecord, "-%s: %v", side.name, err)
		case !sealed:
			r.note("%s does not lie in a sealed folder: only its own digest holds it together", side.name)
		}
		records[i] = record
	}
	if len(r.Reasons) > 0 {
		return r.finish(o.Format, o.Stdout)
	}
	if a, b := records[0].Stable.Gate.ID, records[1].Stable.Gate.ID; a != b && !o.Force {
		r.reason(CodeWrongGate, "a is a record of %s, b of %s: there is little to compare; -force=true does it all the same", a, b)
		return r.finish(o.Format, o.Stdout)
	}
	report, err := difference.Between(records[0], records[1])
	if err != nil {
		return fmt.Errorf("%s: %w", diffCommand, err)
	}
	r.Report = &report
	if report.Same {
		r.Verdict, r.Outcome = evidence.Pass, Same
	} else {
		r.Verdict, r.Outcome = evidence.Fail, Differs
		r.reason(CodeDiffers, "%s", summary(report))
	}
	return r.finish(o.Format, o.Stdout)
}
