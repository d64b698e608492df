// Package cobertura reads Go cover profiles, adds up what they cover and writes
// them as Cobertura XML.
//
// The profile is the file of "go test -coverprofile", as
// golang.org/x/tools/cover reads it. The XML is "coverage-04",
// http://cobertura.sourceforge.net/xml/coverage-04.dtd, now at
// https://github.com/cobertura/web/blob/master/htdocs/xml/coverage-04.dtd,
// which GitLab, Codecov and Azure read as coverage.xml.
//
// # Two measures
//
// Go counts statements, Cobertura counts lines. [Profile.Total] and
// [Profile.Packages] are in statements and agree with "go tool cover -func",
// except that its total leaves out function literals in package variables,
// which are statements all the same and which "go test -cover" counts. The
// rates in the XML are in lines, consistent with the lines listed there, and
// differ from the numbers in statements.
package cobertura

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"sort"

	"golang.org/x/tools/cover"
)

const (
	// DefaultLimit is the number of bytes Parse reads at most. Every test binary tells of the blocks
	// of all packages that it links, so that a profile grows with the square of the packages: 70 of them
	// came to 70 MB.
	DefaultLimit = 1 << 30

	// maxNumber bounds line numbers, statements in a block, and the lines of
	// all blocks together. No source comes near it, and without it one line of
	// a profile could ask for an XML file of any size.
	maxNumber = 1 << 24
)

// Profile is a parsed cover profile. Entries for the same block are merged; a
// block is covered when one of them covers it. The zero value covers nothing.
type Profile struct {
	mode  string
	files []*cover.Profile // sorted by name
}

// Statements is a number of statements.
type Statements struct {
	Covered, Total int
}

// Percent returns 0 to 100, and 0 when there are no statements at all.
func (s Statements) Percent() float64 {
	if s.Total == 0 {
		return 0
	}
	return 100 * float64(s.Covered) / float64(s.Total)
}

// PackageCoverage is the coverage of one package.
type PackageCoverage struct {
	ImportPath string
	Statements
}

// Parse reads a profile of at most DefaultLimit bytes.
func Parse(r io.Reader) (Profile, error) {
	return ParseLimit(r, DefaultLimit)
}

// ParseLimit reads a profile of at most limit bytes. The first line must be
// "mode: set", "mode: count" or "mode: atomic". The error for a malformed
// profile names the line. A profile that has a mode and no blocks is valid and
// has a Total of 0.
func ParseLimit(r io.Reader, limit int64) (Profile, error) {
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return Profile{}, fmt.Errorf("reading cover profile: %w", err)
	}
	if int64(len(data)) > limit {
		return Profile{}, fmt.Errorf("cover profile: larger than the limit of %d bytes", limit)
	}
	if len(data) == 0 {
		return Profile{}, errors.New(`cover profile: empty, not even the line "mode: set", "mode: count" or "mode: atomic"`)
	}
	p, err := parse(data)
	if err != nil {
		return Profile{}, locate(data, err)
	}
	return p, nil
}

// locate adds the number of the first line that spoils the profile. The parser
// does not tell it, and errors are rare enough to search for the longest
// beginning that parses.
func locate(data []byte, err error) error {
	var ends []int
	for end := 0; end < len(data); {
		if i := bytes.IndexByte(data[end:], '\n'); i >= 0 {
			end += i + 1
		} else {
			end = len(data)
		}
		ends = append(ends, end)
	}
	bad := sort.Search(len(ends)-1, func(i int) bool {
		_, err := parse(data[:ends[i]])
		return err != nil
	})
	// With several bad lines the parser may have complained of a later one.
	if _, first := parse(data[:ends[bad]]); first != nil {
		err = first
	}
	return fmt.Errorf("cover profile, line %d: %w", bad+1, err)
}

func parse(data []byte) (Profile, error) {
	files, err := cover.ParseProfilesFromReader(bytes.NewReader(data))
	if err != nil {
		return Profile{}, err
	}
	head, _, _ := bytes.Cut(data, []byte("\n"))
	mode := string(bytes.TrimPrefix(bytes.TrimSuffix(head, []byte("\r")), []byte("mode: ")))
	switch mode {
	case "set", "count", "atomic":
	default:
		return Profile{}, fmt.Errorf("mode %q is not one of set, count, atomic", mode)
	}
	lines := 0
	for _, f := range files {
		if err := merge(f, mode); err != nil {
			return Profile{}, err
		}
		for _, b := range f.Blocks {
			if err := check(b); err != nil {
				return Profile{}, fmt.Errorf("file %q, block %s: %w", f.FileName, position(b), err)
			}
			if lines += b.EndLine - b.StartLine + 1; lines > maxNumber {
				return Profile{}, fmt.Errorf("file %q, block %s: the profile spans more than %d lines", f.FileName, position(b), maxNumber)
			}
		}
	}
	return Profile{mode: mode, files: files}, nil
}

func check(b cover.ProfileBlock) error {
	switch {
	case b.StartLine < 1 || b.EndLine < b.StartLine || b.EndLine > maxNumber:
		return errors.New("not a range of lines")
	case b.NumStmt > maxNumber:
		return fmt.Errorf("%d statements", b.NumStmt)
	case b.Count < 0:
		return errors.New("the sum of its counts overflows")
	}
	return nil
}

func position(b cover.ProfileBlock) string {
	return fmt.Sprintf("%d.%d,%d.%d", b.StartLine, b.StartCol, b.EndLine, b.EndCol)
}

// merge joins equal blocks that the parser left apart: it sorts by the start
// alone, so a block that only shares the start can come between two equal ones.
func merge(f *cover.Profile, mode string) error {
	slices.SortFunc(f.Blocks, func(a, b cover.ProfileBlock) int {
		return cmp.Or(cmp.Compare(a.StartLine, b.StartLine), cmp.Compare(a.StartCol, b.StartCol),
			cmp.Compare(a.EndLine, b.EndLine), cmp.Compare(a.EndCol, b.EndCol))
	})
	kept := f.Blocks[:0]
	for _, b := range f.Blocks {
		if len(kept) == 0 || !sameRange(kept[len(kept)-1], b) {
			kept = append(kept, b)
			continue
		}
		last := &kept[len(kept)-1]
		if last.NumStmt != b.NumStmt {
			return fmt.Errorf("file %q, block %s: %d statements here, %d elsewhere",
				f.FileName, position(b), last.NumStmt, b.NumStmt)
		}
		if mode == "set" {
			last.Count |= b.Count
		} else {
			last.Count += b.Count
		}
	}
	f.Blocks = kept
	return nil
}

func sameRange(a, b cover.ProfileBlock) bool {
	a.NumStmt, a.Count = b.NumStmt, b.Count
	return a == b
}

// Mode returns set, count or atomic.
func (p Profile) Mode() string {
	return p.mode
}

// Total returns the statements of all packages.
func (p Profile) Total() Statements {
	var sum Statements
	for _, f := range p.files {
		sum.add(f)
	}
	return sum
}

// Packages returns the packages in the profile, sorted by import path. The
// path is that of the directory in the names of the profile's files.
func (p Profile) Packages() []PackageCoverage {
	groups := p.groups()
	packages := make([]PackageCoverage, 0, len(groups))
	for _, g := range groups {
		c := PackageCoverage{ImportPath: g.importPath}
		for _, f := range g.files {
			c.add(f)
		}
		packages = append(packages, c)
	}
	return packages
}

func (s *Statements) add(f *cover.Profile) {
	for _, b := range f.Blocks {
		s.Total += b.NumStmt
		if b.Count > 0 {
			s.Covered += b.NumStmt
		}
	}
}

// group is the files of one package.
type group struct {
	importPath string
	files      []*cover.Profile
}

func (p Profile) groups() []group {
	byPath := map[string][]*cover.Profile{}
	for _, f := range p.files {
		dir := path.Dir(f.FileName)
		byPath[dir] = append(byPath[dir], f)
	}
	groups := make([]group, 0, len(byPath))
	for _, dir := range slices.Sorted(maps.Keys(byPath)) {
		groups = append(groups, group{dir, byPath[dir]})
	}
	return groups
}
