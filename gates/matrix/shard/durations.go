package shard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
)

// DurationsSchema identifies the file of durations.
const DurationsSchema = "https://github.com/dpone/dpone/gates/matrix/durations/v1"

// DurationsFile is the name under which a run keeps its durations.
const DurationsFile = "durations.json"

const (
	// MaxDurations is the largest file of durations that is read, in bytes.
	MaxDurations = 1 << 20
	// MaxSeconds is the longest a case can have taken; a sum of such numbers stays finite and exact enough.
	MaxSeconds = 1e9
)

// Durations are the seconds that cases took, by case ID.
type Durations map[string]float64

type durationsDoc struct {
	Schema  string             `json:"schema"`
	Seconds map[string]float64 `json:"seconds"`
}

// Encode writes the durations as indented JSON, sorted by case.
func (d Durations) Encode() ([]byte, error) {
	if err := d.validate(); err != nil {
		return nil, err
	}
	if d == nil {
		d = Durations{}
	}
	raw, err := encode(durationsDoc{DurationsSchema, d})
	if err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	return raw, nil
}

// DecodeDurations reads what [Durations.Encode] writes, byte for byte; see [Decode].
func DecodeDurations(raw []byte) (Durations, error) {
	var doc durationsDoc
	if err := decode(raw, MaxDurations, &doc); err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	if doc.Schema != DurationsSchema {
		return nil, fmt.Errorf("durations: schema %.80q is not %q", doc.Schema, DurationsSchema)
	}
	if doc.Seconds == nil {
		return nil, errors.New("durations: seconds is missing")
	}
	d := Durations(doc.Seconds)
	return d, d.validate()
}

// ReadDurations reads a file of durations; one that is not there holds none.
func ReadDurations(path string) (Durations, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Durations{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, MaxDurations+1))
	if err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	d, err := DecodeDurations(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

func (d Durations) validate() error {
	for _, id := range slices.Sorted(maps.Keys(d)) {
		if !idPattern.MatchString(id) {
			return fmt.Errorf("durations: %.80q is no case ID", id)
		}
		if s := d[id]; !(s >= 0 && s <= MaxSeconds) || math.Signbit(s) { // NaN is in no range
			return fmt.Errorf("durations: %s: %g seconds is out of its limits: 0 to %g", id, s, MaxSeconds)
		}
	}
	return nil
}

// median is that of the cases whose duration is known, of which it gives the number; 1 when there are none.
func (d Durations) median(ids []string) (seconds float64, known int) {
	var all []float64
	for _, id := range ids {
		if s, ok := d[id]; ok {
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return 1, 0
	}
	slices.Sort(all)
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2, len(all)
}

// encode is indented JSON with a final newline.
func encode(doc any) ([]byte, error) {
	raw, err := json.MarshalIndent(doc, "", "  ")
	return append(raw, '\n'), err
}

// decode reads a document as if its writer were hostile: of bounded size, and byte for
// byte what encode writes. That one rule refuses unknown, doubled, reordered and
// wrongly-cased keys, trailing data and invalid UTF-8.
func decode(raw []byte, limit int, doc any) error {
	if len(raw) > limit {
		return fmt.Errorf("more than the limit of %d bytes", limit)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(doc); err != nil {
		return err
	}
	again, err := encode(doc)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, again) {
		n := 0
		for n < len(raw) && n < len(again) && raw[n] == again[n] {
			n++
		}
		return fmt.Errorf("line %d is not as dpone writes it (doubled, missing or wrongly-cased key, other order or white space, or trailing data)", 1+bytes.Count(raw[:n], []byte("\n")))
	}
	return nil
}
