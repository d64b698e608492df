package terminal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/verify/reader"
	"github.com/dpone/dpone/gates"
)

// maxEvent is the longest line that Replay reads: a record and what is around it.
const maxEvent = evidence.MaxRecord + 1<<20

func (p *Printer) writeJSON(e gates.Event) {
	if e.Kind == gates.EventTick {
		return
	}
	line, err := encode(e)
	if err != nil {
		if p.err == nil {
			p.err = fmt.Errorf("output: event %s: %w", e.Kind, err)
		}
		return
	}
	p.write(p.opts.Out, string(line))
}

// encode is an event as a line of JSON, in which everything that a terminal
// could obey is escaped: people look at such streams.
func encode(e gates.Event) ([]byte, error) {
	var raw bytes.Buffer
	enc := json.NewEncoder(&raw)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, err
	}
	out := make([]byte, 0, raw.Len())
	for _, r := range raw.String() {
		if r == '\n' || r != utf8.RuneError && unicode.IsPrint(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out, nil
}

// Replay reads events as the JSON form writes them and hands them to sink. A
// line must be byte for byte what that form writes: so unknown, doubled and
// wrongly-cased keys are refused. Every verdict in the record is derived again.
// The error names the line, and the events before it have been handed over.
func Replay(r io.Reader, sink func(gates.Event)) error {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxEvent)
	n := 0
	for scanner.Scan() {
		n++
		e, err := decode(scanner.Bytes())
		if err != nil {
			return fmt.Errorf("events: line %d: %w", n, err)
		}
		sink(e)
	}
	if err := scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("events: line %d: longer than %d bytes", n+1, maxEvent)
	} else if err != nil {
		return fmt.Errorf("events: line %d: %w", n+1, err)
	}
	return nil
}

// recorded is an event in which the record is still text: package reader alone
// makes a record of it.
type recorded struct {
	gates.Event
	End *struct {
		gates.RunEnd
		Record json.RawMessage `json:"record"`
	} `json:"end,omitempty"`
}

func decode(line []byte) (gates.Event, error) {
	var s recorded
	if len(line) == 0 {
		return s.Event, errors.New("it is empty")
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&s); err != nil {
		return s.Event, err
	}
	e := s.Event
	if s.End != nil {
		end := s.End.RunEnd
		var err error
		if end.Record, err = reader.Embedded(s.End.Record); err != nil {
			return e, err
		}
		e.End = &end
	}
	switch e.Kind {
	case gates.EventRunStarted, gates.EventStepStarted, gates.EventStepProgress, gates.EventStepFinished, gates.EventRunFinished:
	default:
		return e, fmt.Errorf("event %q is not one of those that are recorded", e.Kind)
	}
	again, err := encode(e)
	if err != nil {
		return e, err
	}
	if !bytes.Equal(bytes.TrimSuffix(again, []byte("\n")), line) {
		return e, errors.New("not what an event writer writes (unknown, doubled or wrongly-cased key, or trailing data)")
	}
	return e, nil
}
