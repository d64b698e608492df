package shard

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"

	"github.com/dpone/dpone/gates/matrix/cases"
)

// Schema identifies the format of a receipt; a reader refuses any other.
const Schema = "https://github.com/dpone/dpone/gates/matrix/shard/v1"

// ReceiptFile is the name of a receipt in the folder of its shard.
const ReceiptFile = "shard.json"

// MaxReceipt is the largest receipt that [Decode] reads, in bytes.
const MaxReceipt = 4 << 20

// Receipt says which part of which plan a folder of results is.
type Receipt struct {
	Schema string `json:"schema"`
	Index  int    `json:"index"` // from 0
	Total  int    `json:"total"`
	// PlanDigest is that of the whole plan; see [Plan.Digest].
	PlanDigest string `json:"plan_digest"`
	Run
	// Selected are all cases of the plan, CaseIDs those of the shard; both are sorted.
	Selected []string `json:"selected"`
	CaseIDs  []string `json:"case_ids"`
}

var (
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	commitPattern = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// Encode returns the receipt as indented JSON with a final newline. It refuses what [Decode] would.
func (r Receipt) Encode() ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	raw, err := encode(r)
	if err != nil {
		return nil, fmt.Errorf("receipt: %w", err)
	}
	return raw, nil
}

// Decode reads a receipt as if its writer were hostile: of bounded size, every field
// within its limits, and byte for byte what [Receipt.Encode] writes, which refuses
// unknown, doubled and wrongly-cased keys and trailing data. Whether the index is one
// of the plan is for [Check] to say.
func Decode(raw []byte) (Receipt, error) {
	var r Receipt
	if err := decode(raw, MaxReceipt, &r); err != nil {
		return Receipt{}, fmt.Errorf("receipt: %w", err)
	}
	if err := r.validate(); err != nil {
		return Receipt{}, err
	}
	return r, nil
}

func (r Receipt) validate() error {
	problem := func() error {
		switch {
		case r.Schema != Schema:
			return fmt.Errorf("schema %.80q is not %q", r.Schema, Schema)
		case r.Total < 1 || r.Total > MaxShards:
			return fmt.Errorf("total %d is out of its limits: 1 to %d", r.Total, MaxShards)
		case r.Index < 0 || r.Index >= MaxShards:
			return fmt.Errorf("index %d is out of its limits: 0 to %d", r.Index, MaxShards-1)
		case !digestPattern.MatchString(r.PlanDigest):
			return fmt.Errorf("plan_digest %.80q is no digest", r.PlanDigest)
		}
		if err := r.Run.validate(); err != nil {
			return err
		}
		for name, list := range map[string][]string{"selected": r.Selected, "case_ids": r.CaseIDs} {
			if len(list) == 0 {
				return fmt.Errorf("%s is empty", name)
			}
			if err := validIDs(list); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}
	if err := problem(); err != nil {
		return fmt.Errorf("receipt: %w", err)
	}
	return nil
}

func (r Run) validate() error {
	switch {
	case r.Commit == "":
		return errors.New("commit is empty: nobody could tell whether the shards are of one source")
	case !commitPattern.MatchString(r.Commit):
		return fmt.Errorf("commit %.80q is no full object name", r.Commit)
	case r.Dirty != "" && !digestPattern.MatchString(r.Dirty):
		return fmt.Errorf("dirty_digest %.80q is no digest", r.Dirty)
	case !slices.Contains(cases.Modes(), r.Mode):
		return fmt.Errorf("mode %.80q is none of %v", r.Mode, cases.Modes())
	case r.Rows < 1 || r.Rows > cases.MaxRows:
		return fmt.Errorf("rows %d is out of its limits: 1 to %d", r.Rows, int64(cases.MaxRows))
	case !isShare(r.Changed):
		return fmt.Errorf("changed %g is out of its limits: 0 to 1", r.Changed)
	case !isShare(r.Deleted) || r.Deleted > r.Changed:
		return fmt.Errorf("deleted %g is out of its limits: 0 to changed, %g", r.Deleted, r.Changed)
	}
	return nil
}

// isShare refuses NaN, and -0, which is equal to 0 and has another text.
func isShare(f float64) bool { return f >= 0 && f <= 1 && !math.Signbit(f) }
