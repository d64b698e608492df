package ci

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// position is a place that a Go tool complained about.
type position struct {
	path    string // relative to the root, forward slashes
	line    int
	message string
}

// positionPattern matches the lines of go build, go vet and go list:
// "path/x.go:3:5: message", with "vet: " before a type error, and go.mod:3:.
var positionPattern = regexp.MustCompile(`^(?:vet: )?((?:[A-Za-z]:)?[^\s:]*(?:\.go|\.s|\.c|\.h|go\.mod|go\.work)):(\d+)(?::\d+)?: (.+)$`)

// positions finds the places in the output of a Go tool that ran in root.
func positions(root, output string) []position {
	var found []position
	seen := map[position]bool{}
	for line := range strings.SplitSeq(output, "\n") {
		m := positionPattern.FindStringSubmatch(strings.TrimRight(line, "\r"))
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		p := position{path: relative(root, m[1]), line: n, message: m[3]}
		if !seen[p] {
			seen[p] = true
			found = append(found, p)
		}
	}
	return found
}

// relative is a path of a tool's output relative to the root, where it is below it.
func relative(root, path string) string {
	if filepath.IsAbs(path) {
		if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
			path = rel
		}
	}
	return filepath.ToSlash(filepath.Clean(path))
}

// count is a number with its noun: 1 file, 2 files.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
