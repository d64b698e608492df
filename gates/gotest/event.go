package gotest

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
)

// Event is one event of the stream, the union of TestEvent ("go doc
// test2json") and BuildEvent ("go help buildjson"). Its time is left out:
// nothing here depends on it, and cached results have none.
type Event struct {
	Action      string
	Package     string  // import path of the package under test
	ImportPath  string  // package ID, build events only
	Test        string  // empty for events of the package
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
	Key, Value  string // attr
	Path        string // artifacts
}

// parseLine finds the event in a line. junk is what precedes it: a writer that
// shares the stream and does not end its line glues its text to the event,
// and the event is too important to be lost with it.
func parseLine(line []byte) (e Event, junk []byte, ok bool) {
	if e, ok := decode(line); ok {
		return e, nil, true
	}
	for _, head := range []string{`{"Time":"`, `{"ImportPath":"`, `{"Action":"`} {
		if i := bytes.Index(line, []byte(head)); i > 0 {
			if e, ok := decode(line[i:]); ok {
				return e, line[:i], true
			}
		}
	}
	return Event{}, line, false
}

// decode takes a JSON object for an event if its action is known or if it at
// least names a package; other JSON in the stream is foreign.
func decode(line []byte) (Event, bool) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' {
		return Event{}, false
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, false
	}
	named := e.Package != "" || e.ImportPath != ""
	return e, known(e.Action) || e.Action != "" && named
}

func known(action string) bool {
	switch action {
	case "start", "run", "pause", "cont", "pass", "bench", "fail", "output", "skip",
		"attr", "artifacts", "build-output", "build-fail":
		return true
	default:
		return false
	}
}

// duration converts seconds. The number comes from a file, and converting a
// float beyond the range of an integer is undefined, hence the bounds.
func duration(seconds float64) time.Duration {
	ns := math.Round(seconds * float64(time.Second))
	switch {
	case !(ns > 0):
		return 0
	case ns >= math.MaxInt64:
		return math.MaxInt64
	default:
		return time.Duration(ns)
	}
}
