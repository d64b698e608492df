package tlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
)

// EntrySchema identifies the form of the entry of a run.
const EntrySchema = "https://github.com/dpone/dpone/evidence/entry/v1"

// Entry is what the log holds of a run: which one, over which bytes, with what
// outcome. The files of the run stay outside.
type Entry struct {
	Schema string `json:"schema"`
	// Run is "<area>/<run>", the place of the run folder among the artifacts;
	// an area may have a slash of its own, as in "certification/suite".
	Run string `json:"run"`
	// IndexSHA256 and RecordSHA256 are the digests of index.json and
	// record.json, in lower-case hex.
	IndexSHA256  string           `json:"index_sha256"`
	RecordSHA256 string           `json:"record_sha256"`
	Verdict      evidence.Verdict `json:"verdict"`
	// Commit is the full object name, 40 or 64 lower-case hex digits; empty
	// when the run had none.
	Commit string `json:"commit"`
	// Time is when the run finished, in UTC.
	Time time.Time `json:"time"`
}

// Encode returns the one form of the entry: a line of JSON without a newline,
//
//	{"schema":"https://github.com/dpone/dpone/evidence/entry/v1","run":"ci/20261122T063000Z-0a1b2c3d","index_sha256":"ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356","record_sha256":"dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22","verdict":"PASS","commit":"1d91369b0b6c3e2f9a3c0a5c7f1f0e3e5d7c9b1a","time":"2026-11-22T06:30:00Z"}
//
// Schema may be left empty; the time is written in UTC.
func (e Entry) Encode() ([]byte, error) {
	if e.Schema == "" {
		e.Schema = EntrySchema
	}
	e.Time = e.Time.UTC()
	if err := e.validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// DecodeEntry reads an entry as if its writer were hostile: it must be byte
// for byte what [Entry.Encode] writes.
func DecodeEntry(raw []byte) (Entry, error) {
	wrong := func(why any) (Entry, error) {
		return Entry{}, fmt.Errorf("%w entry: %v", ErrMalformed, why)
	}
	if len(raw) > MaxEntry {
		return wrong(fmt.Sprintf("%d bytes, at most %d", len(raw), MaxEntry))
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	var e Entry
	if err := dec.Decode(&e); err != nil {
		return wrong(err)
	}
	if e.Schema != EntrySchema {
		return wrong(fmt.Sprintf("schema %q is not %q", e.Schema, EntrySchema))
	}
	again, err := e.Encode()
	if err != nil {
		return wrong(err)
	}
	if !bytes.Equal(raw, again) {
		return wrong("not what a writer of entries writes (unknown, doubled or wrongly-cased key, white space, or trailing data)")
	}
	return e, nil
}

func (e Entry) validate() error {
	switch {
	case e.Schema != EntrySchema:
		return fmt.Errorf("entry: schema %q is not %q", e.Schema, EntrySchema)
	case !validRun(e.Run):
		return fmt.Errorf(`entry: run %q is not "<area>/<run>" of letters, digits, ".", "_" and "-"`, e.Run)
	case !isHex(e.IndexSHA256, 64):
		return fmt.Errorf("entry of %s: index_sha256 %q is not 64 lower-case hex digits", e.Run, e.IndexSHA256)
	case !isHex(e.RecordSHA256, 64):
		return fmt.Errorf("entry of %s: record_sha256 %q is not 64 lower-case hex digits", e.Run, e.RecordSHA256)
	case e.Verdict > evidence.Skip:
		return fmt.Errorf("entry of %s: verdict %d is unknown", e.Run, e.Verdict)
	case e.Commit != "" && !isHex(e.Commit, 40) && !isHex(e.Commit, 64):
		return fmt.Errorf("entry of %s: commit %q is not 40 or 64 lower-case hex digits", e.Run, e.Commit)
	case e.Time.IsZero():
		return errors.New("entry of " + e.Run + ": no time")
	case e.Time.Year() < 1970 || e.Time.Year() > 9999:
		return fmt.Errorf("entry of %s: year %d", e.Run, e.Time.Year())
	}
	return nil
}

func validRun(run string) bool {
	elements := strings.Split(run, "/")
	if len(elements) < 2 || len(elements) > 4 {
		return false
	}
	for _, e := range elements {
		if !runName(e) {
			return false
		}
	}
	return true
}

// runName says that a name is one plain element of a path.
func runName(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' || s[len(s)-1] == '.' {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func isHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
