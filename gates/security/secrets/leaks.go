package secrets

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/evidence/folder"
)

// maxReport bounds gitleaks' report, in bytes.
const maxReport = 256 << 20

// leak is what is read of a finding in gitleaks' JSON report.
type leak struct {
	RuleID      string
	Description string
	StartLine   int
	Match       string
	Secret      string
	File        string
}

func readReport(scratch *os.Root) ([]byte, error) {
	raw, err := folder.ReadRegular(scratch, reportName, maxReport)
	if err != nil {
		return nil, fmt.Errorf("gitleaks' report: %w", err)
	}
	return raw, nil
}

// decodeReport reads the report, which is an array. No error holds any of its
// content: that is secrets.
func decodeReport(raw []byte) ([]leak, error) {
	var leaks []leak
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := dec.Decode(&leaks); err != nil || leaks == nil {
		return nil, errors.New("gitleaks' report is not an array of findings")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("gitleaks' report goes on behind its end")
	}
	for i, l := range leaks {
		if l.RuleID == "" || l.File == "" || l.StartLine < 0 {
			return nil, fmt.Errorf("gitleaks' report: finding %d has no rule or no place", i)
		}
	}
	return leaks, nil
}

// digestLength is how many hexadecimal digits of the SHA-256 of a secret are
// shown: enough to tell two findings in one file apart, and so few that each
// fits a great many guesses.
const digestLength = 6

// finding is a leak by its place in the source, without the secret.
type finding struct {
	Rule, Doc string
	Line      int
	Digest    string
	item
}

func (f finding) String() string {
	return fmt.Sprintf("%s (value %s)", f.Rule, f.Digest)
}

// The codes of findings: in a file of today, or anywhere else.
const (
	codeTree = "security.secrets.tree"
	codePast = "security.secrets.past"
)

func (f finding) code() string {
	if f.kind == treeFile {
		return codeTree
	}
	return codePast
}

// where is the subject of the check.
func (f finding) where() string {
	if f.kind == treeFile {
		return fmt.Sprintf("%s:%d", f.path, f.Line)
	}
	return fmt.Sprintf("%s, line %d", f.item.where(), f.Line)
}

// locate maps leaks to the items that they are in. Of the same value in the same
// path, the one in the working tree is told, and otherwise the first: a file has
// one blob for each time that it was changed.
func (c *collection) locate(leaks []leak, canary int) ([]finding, bool, error) {
	caught := false
	best := map[string]finding{}
	for _, l := range leaks {
		number, _, ok := strings.Cut(strings.TrimPrefix(l.File, "./"), "/")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 || n >= len(c.items) {
			return nil, false, fmt.Errorf("gitleaks names the file %.40q, which it was not given", l.File)
		}
		if n == canary {
			caught = true
			continue
		}
		sum := sha256.Sum256([]byte(cmp.Or(l.Secret, l.Match)))
		for _, at := range c.items[n].places() {
			f := finding{
				Rule: l.RuleID, Doc: cmp.Or(l.Description, l.RuleID), Line: max(l.StartLine, 1),
				Digest: hex.EncodeToString(sum[:])[:digestLength], item: at,
			}
			key := f.Rule + "\x00" + f.Digest + "\x00" + f.path
			if f.path == "" {
				key += f.commit
			}
			if old, known := best[key]; !known || compare(f, old) < 0 {
				best[key] = f
			}
		}
	}
	findings := make([]finding, 0, len(best))
	for _, f := range best {
		findings = append(findings, f)
	}
	slices.SortFunc(findings, func(a, b finding) int {
		return cmp.Or(compare(a, b), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Digest, b.Digest))
	})
	return findings, caught, nil
}

// places are where an item is found: in the files of today that are the same, or
// where it was.
func (i item) places() []item {
	if len(i.files) == 0 {
		return []item{i}
	}
	places := make([]item, len(i.files))
	for n, name := range i.files {
		places[n] = item{kind: treeFile, path: name}
	}
	return places
}

// compare puts the working tree first, then goes by place.
func compare(a, b finding) int {
	return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.path, b.path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.commit, b.commit))
}

// trouble is the first line of gitleaks' log that tells of something it could
// not do. That it found something is no trouble.
func trouble(log string) string {
	for line := range strings.Lines(log) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "leaks found: ") {
			return line
		}
	}
	return ""
}
