package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
)

// ErrGraph is wrapped when the module graph cannot be read or is not that of
// the binary.
var ErrGraph = errors.New("module graph")

// Limits of the output of "go mod graph".
const (
	maxGraph = 32 << 20
	maxLine  = 4 << 10
)

// node is a module of the graph; a main module has no version.
type node struct{ path, version string }

// parseGraph reads the output of "go mod graph": a line an edge, two modules
// apart by one space, each "path@version", or "path" for a main module. The
// lines that name the language or the toolchain ("go@1.26.0") are no modules
// and are left out.
func parseGraph(raw []byte) ([][2]node, error) {
	if len(raw) > maxGraph {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrGraph, len(raw), maxGraph)
	}
	var edges [][2]node
	number := 0
	for line := range strings.Lines(string(raw)) {
		number++
		line = strings.TrimSuffix(line, "\n")
		if len(line) > maxLine {
			return nil, fmt.Errorf("%w: line %d: %d bytes, at most %d", ErrGraph, number, len(line), maxLine)
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok {
			return nil, fmt.Errorf("%w: line %d: %.80q is not two modules; pass the output of go mod graph", ErrGraph, number, line)
		}
		var edge [2]node
		skip := false
		for i, text := range []string{left, right} {
			if strings.HasPrefix(text, "go@") || strings.HasPrefix(text, "toolchain@") {
				skip = true
				continue
			}
			n, err := parseNode(text)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: %w", ErrGraph, number, err)
			}
			edge[i] = n
		}
		if !skip {
			edges = append(edges, edge)
		}
	}
	return edges, nil
}

func parseNode(text string) (node, error) {
	path, version, versioned := strings.Cut(text, "@")
	if err := module.CheckImportPath(path); err != nil {
		return node{}, fmt.Errorf("module path %.80q: %w", path, err)
	}
	if versioned && !semver.IsValid(version) {
		return node{}, fmt.Errorf("module %s: %.80q is not a version", path, version)
	}
	return node{path, version}, nil
}

// connect sets Needs of the main module and of every linked module. An edge
// counts where it starts at the main module or at the very version that is
// linked; what other versions asked for says nothing about this binary. It
// ends at the module, in the version that is linked. Modules that are not
// linked are left out.
func (b *Bill) connect(edges [][2]node) error {
	linked := make(map[string]*Module, len(b.Modules)+1)
	unseen := make(map[node]bool, len(b.Modules)+1)
	for i := range b.Modules {
		m := &b.Modules[i]
		linked[m.Path] = m
		unseen[node{m.Path, m.Version}] = true
	}
	main := node{path: b.Main.Path}
	linked[main.path] = &b.Main
	unseen[main] = len(b.Modules) > 0
	for _, edge := range edges {
		from, to := edge[0], edge[1]
		delete(unseen, from)
		delete(unseen, to)
		source, target := linked[from.path], linked[to.path]
		if source == nil || target == nil || source == target {
			continue
		}
		if source == &b.Main && from != main || source != &b.Main && from.version != source.Version {
			continue
		}
		source.Needs = append(source.Needs, target.Path)
	}
	for _, m := range linked {
		slices.Sort(m.Needs)
		m.Needs = slices.Compact(m.Needs)
	}
	if unseen[main] {
		return fmt.Errorf("%w: it has no main module %s; run go mod graph in the source of the binary", ErrGraph, main.path)
	}
	delete(unseen, main)
	if len(unseen) > 0 {
		var missing []string
		for n := range unseen {
			missing = append(missing, key(n.path, n.version))
		}
		slices.Sort(missing)
		return fmt.Errorf("%w: the binary links %s, and the graph does not have it; run go mod graph in the source of the binary", ErrGraph, strings.Join(missing, ", "))
	}
	b.Graph = true
	return nil
}
