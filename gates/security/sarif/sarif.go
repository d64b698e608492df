// Package sarif writes findings as SARIF 2.1.0 (OASIS), in the small part of
// the format that code hosts read: tool, rules, results with a level, a message
// and one place, and fingerprints by which a host tells old findings from new.
//
// It refuses to write what a host would refuse or show in the wrong place: a
// result without a rule, a path out of the tree, a line below 1.
package sarif

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

const (
	version = "2.1.0"
	schema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

// Level is how grave a result is.
type Level string

// The levels of SARIF 2.1.0, 3.27.10, that stand for findings.
const (
	Error   Level = "error"
	Warning Level = "warning"
	Note    Level = "note"
)

// Run is what one tool found. No findings are a run with no results: that it
// ran is worth saying.
type Run struct {
	Tool, Version, URL string
	// Category tells runs of one upload apart, for example "security:static/gosec".
	Category string
	// Rules are those that the results name, and may be more.
	Rules    []Rule
	Findings []Finding
}

// Rule is a rule of a tool.
type Rule struct {
	ID, Doc, URL string
}

// Finding is a result.
type Finding struct {
	Rule    string
	Level   Level
	Message string
	// Path is relative to the root of the source, with forward slashes; "" when
	// the finding has no place. Line counts from 1; 0 is the whole file.
	Path string
	Line int
	// Fingerprint stays the same while the finding does, or is empty.
	Fingerprint string
	// Commit is where the finding is, when that is not the commit of the run.
	Commit string
}

type document struct {
	Schema  string `json:"$schema"`
	Version string `json:"version"`
	Runs    []run  `json:"runs"`
}

type run struct {
	Tool struct {
		Driver driver `json:"driver"`
	} `json:"tool"`
	AutomationDetails *automation `json:"automationDetails,omitempty"`
	ColumnKind        string      `json:"columnKind"`
	Results           []result    `json:"results"`
}

type automation struct {
	ID string `json:"id"`
}

type driver struct {
	Name            string       `json:"name"`
	SemanticVersion string       `json:"semanticVersion,omitempty"`
	InformationURI  string       `json:"informationUri,omitempty"`
	Rules           []descriptor `json:"rules"`
}

type descriptor struct {
	ID               string `json:"id"`
	ShortDescription text   `json:"shortDescription"`
	HelpURI          string `json:"helpUri,omitempty"`
}

type text struct {
	Text string `json:"text"`
}

type result struct {
	RuleID              string            `json:"ruleId"`
	RuleIndex           int               `json:"ruleIndex"`
	Level               Level             `json:"level"`
	Message             text              `json:"message"`
	Locations           []location        `json:"locations,omitempty"`
	PartialFingerprints map[string]string `json:"partialFingerprints,omitempty"`
	Properties          map[string]string `json:"properties,omitempty"`
}

type location struct {
	PhysicalLocation struct {
		ArtifactLocation artifact `json:"artifactLocation"`
		Region           *region  `json:"region,omitempty"`
	} `json:"physicalLocation"`
}

type artifact struct {
	URI       string `json:"uri"`
	URIBaseID string `json:"uriBaseId"`
}

type region struct {
	StartLine int `json:"startLine"`
}

// Marshal writes runs as one document: the same runs give the same bytes. The
// error names the run and what is wrong with it.
func Marshal(runs ...Run) ([]byte, error) {
	doc := document{Schema: schema, Version: version, Runs: []run{}}
	for _, r := range runs {
		out, err := r.encode()
		if err != nil {
			return nil, fmt.Errorf("sarif: run of %q: %w", r.Tool, err)
		}
		doc.Runs = append(doc.Runs, out)
	}
	if len(doc.Runs) == 0 {
		return nil, errors.New("sarif: no runs")
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(doc)
	return b.Bytes(), err
}

func (r Run) encode() (run, error) {
	var out run
	if r.Tool == "" {
		return out, errors.New("the tool has no name")
	}
	out.ColumnKind, out.Results = "utf16CodeUnits", []result{}
	out.Tool.Driver = driver{Name: r.Tool, SemanticVersion: strings.TrimPrefix(r.Version, "v"), InformationURI: r.URL, Rules: []descriptor{}}
	if r.Category != "" {
		// The part behind the last slash would be taken for the number of the run.
		out.AutomationDetails = &automation{ID: r.Category + "/"}
	}
	index := map[string]int{}
	for _, rule := range r.Rules {
		if _, twice := index[rule.ID]; rule.ID == "" || twice {
			return out, fmt.Errorf("rule %q is empty or there twice", rule.ID)
		}
		if strings.TrimSpace(rule.Doc) == "" {
			return out, fmt.Errorf("rule %q says nothing", rule.ID)
		}
		index[rule.ID] = len(index)
		out.Tool.Driver.Rules = append(out.Tool.Driver.Rules, descriptor{ID: rule.ID, ShortDescription: text{rule.Doc}, HelpURI: rule.URL})
	}
	for i, f := range r.Findings {
		at, ok := index[f.Rule]
		switch {
		case !ok:
			return out, fmt.Errorf("finding %d is of the rule %q, which is not there", i, f.Rule)
		case !slices.Contains([]Level{Error, Warning, Note}, f.Level):
			return out, fmt.Errorf("finding %d has the level %q", i, f.Level)
		case strings.TrimSpace(f.Message) == "":
			return out, fmt.Errorf("finding %d says nothing", i)
		case f.Line < 0 || f.Line > 0 && f.Path == "":
			return out, fmt.Errorf("finding %d is at line %d of %q", i, f.Line, f.Path)
		}
		res := result{RuleID: f.Rule, RuleIndex: at, Level: f.Level, Message: text{f.Message}}
		if f.Path != "" {
			if path.IsAbs(f.Path) || path.Clean(f.Path) != f.Path || f.Path == ".." || strings.HasPrefix(f.Path, "../") || strings.Contains(f.Path, `\`) {
				return out, fmt.Errorf("finding %d is at %q, which is no path in the tree", i, f.Path)
			}
			var l location
			l.PhysicalLocation.ArtifactLocation = artifact{URI: escape(f.Path), URIBaseID: "%SRCROOT%"}
			if f.Line > 0 {
				l.PhysicalLocation.Region = &region{StartLine: f.Line}
			}
			res.Locations = []location{l}
		}
		if f.Fingerprint != "" {
			res.PartialFingerprints = map[string]string{"dponeFinding/v1": f.Fingerprint}
		}
		if f.Commit != "" {
			res.Properties = map[string]string{"commit": f.Commit}
		}
		out.Results = append(out.Results, res)
	}
	return out, nil
}

// escape is a path as a relative URI reference (RFC 3986): everything that has
// a meaning in one, and a colon in the first segment, is encoded.
func escape(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~/@!$&'()*+,;=", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
