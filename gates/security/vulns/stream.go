package vulns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// scan is what one run of govulncheck said.
type scan struct {
	modified time.Time
	modules  int
	found    map[string]*vuln
}

// vuln is a vulnerability that the project has.
type vuln struct {
	ID, Module, Version, Fixed, Summary string

	reached bool
	symbol  string // the vulnerable one, and the first of the project that calls it
	path    string
	line    int
}

func (v vuln) fix() string {
	if v.Fixed == "" {
		return "there is no fixed version yet: do without the call"
	}
	if v.Module == "stdlib" || v.Module == "toolchain" {
		return "build with go" + strings.TrimPrefix(v.Fixed, "v") + " or newer"
	}
	return "go get " + v.Module + "@" + v.Fixed
}

func (s scan) sorted() []vuln {
	all := make([]vuln, 0, len(s.found))
	for _, id := range slices.Sorted(maps.Keys(s.found)) {
		all = append(all, *s.found[id])
	}
	return all
}

// message is one value of the stream: exactly one of its fields is there.
type message struct {
	Config *struct {
		Protocol string    `json:"protocol_version"`
		Scanner  string    `json:"scanner_name"`
		Modified time.Time `json:"db_last_modified"`
		Level    string    `json:"scan_level"`
		Mode     string    `json:"scan_mode"`
	} `json:"config"`
	Progress json.RawMessage `json:"progress"`
	SBOM     *struct {
		Modules []json.RawMessage `json:"modules"`
		Roots   []string          `json:"roots"`
	} `json:"SBOM"`
	OSV *struct {
		ID      string `json:"id"`
		Summary string `json:"summary"`
	} `json:"osv"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module   string `json:"module"`
			Version  string `json:"version"`
			Package  string `json:"package"`
			Function string `json:"function"`
			Receiver string `json:"receiver"`
			Position *struct {
				Filename string `json:"filename"`
				Line     int    `json:"line"`
			} `json:"position"`
		} `json:"trace"`
	} `json:"finding"`
}

// decode reads govulncheck's JSON stream, protocol v1: a config, a list of what
// is linked, then progress, descriptions and findings. A message of another
// kind, a finding without a description, or a scan that was less than asked for
// is an error.
func decode(raw []byte) (scan, error) {
	s := scan{found: map[string]*vuln{}}
	summaries := map[string]string{}
	configured, listed := false, false
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	for n := 1; ; n++ {
		var fields map[string]json.RawMessage
		err := dec.Decode(&fields)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return s, fmt.Errorf("govulncheck's stream: message %d: %w", n, err)
		}
		var m message
		for name, value := range fields {
			if len(fields) != 1 || !slices.Contains([]string{"config", "progress", "SBOM", "osv", "finding"}, name) || string(value) == "null" {
				return s, fmt.Errorf("govulncheck's stream: message %d is of a kind that is not known: %.40q", n, name)
			}
			if err := json.Unmarshal(fmt.Appendf(nil, "{%q:%s}", name, value), &m); err != nil {
				return s, fmt.Errorf("govulncheck's stream: message %d: %w", n, err)
			}
		}
		switch {
		case len(fields) == 0:
			return s, fmt.Errorf("govulncheck's stream: message %d is empty", n)
		case m.Config != nil:
			c := m.Config
			if configured || c.Scanner != "govulncheck" || !strings.HasPrefix(c.Protocol, "v1.") || c.Level != "symbol" || c.Mode != "source" {
				return s, fmt.Errorf("govulncheck's stream: %q with protocol %q made a scan of %q by %q", c.Scanner, c.Protocol, c.Mode, c.Level)
			}
			configured, s.modified = true, c.Modified
		case !configured:
			return s, errors.New("govulncheck's stream does not begin with its config")
		case m.SBOM != nil:
			if len(m.SBOM.Modules) == 0 || len(m.SBOM.Roots) == 0 {
				return s, errors.New("govulncheck looked at no packages")
			}
			listed, s.modules = true, len(m.SBOM.Modules)
		case m.OSV != nil:
			summaries[m.OSV.ID] = m.OSV.Summary
		case m.Finding != nil:
			f := m.Finding
			summary, known := summaries[f.OSV]
			if !known || len(f.Trace) == 0 || f.Trace[0].Module == "" {
				return s, fmt.Errorf("govulncheck's stream: message %d is a finding of %.40q without a description or a trace", n, f.OSV)
			}
			v := s.found[f.OSV]
			if v == nil {
				v = &vuln{ID: f.OSV, Module: f.Trace[0].Module, Version: f.Trace[0].Version, Fixed: f.Fixed, Summary: summary}
				if v.Summary == "" {
					v.Summary = "no summary"
				}
				s.found[f.OSV] = v
			}
			if f.Trace[0].Function == "" || v.reached {
				continue
			}
			v.reached = true
			last := f.Trace[len(f.Trace)-1]
			v.symbol = f.Trace[0].Package + "." + f.Trace[0].Function + " from " + last.Package + "." + last.Function
			if last.Position != nil {
				v.path, v.line = last.Position.Filename, max(last.Position.Line, 0)
			}
		}
	}
	if !configured || !listed {
		return s, errors.New("govulncheck's stream has no config, or no list of what is linked")
	}
	return s, nil
}
