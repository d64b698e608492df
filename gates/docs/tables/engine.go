package tables

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dpone/dpone/engine"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/engine/logical"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
	"github.com/dpone/dpone/gates/docs/generate"
)

// Engine are the tables of the pages about the engine: strategies, types, error codes.
func Engine() []generate.Table {
	var strategies []string
	for _, mode := range manifest.Modes() {
		strategies = append(strategies, "docs/strategies/"+string(mode)+".md")
	}
	var described []string // those whose pages have a section on errors
	for _, mode := range manifest.Modes() {
		described = append(described, "docs/strategies/"+string(mode)+".md")
	}
	index, guide, types := []string{"docs/strategies/README.md"}, []string{"docs/engine.md"}, []string{"docs/types.md"}
	return []generate.Table{
		{Name: "strategies", Pages: index, Make: plain(strategyTable)},
		{Name: "strategy-families", Pages: index, Make: plain(familyTable)},
		{Name: "connectors", Pages: index, Make: plain(sinkTable)},
		{Name: "strategy-fields", Pages: strategies, Make: fieldTable},
		{Name: "error-codes", Pages: append(described, "docs/errors.md"), Make: codeTable},
		{Name: "shadow-swap", Pages: []string{"docs/strategies/full_refresh.md"}, Make: swapTable},
		{Name: "quality-gates", Pages: guide, Make: plain(gateTable)},
		{Name: "points", Pages: guide, Make: pointTable},
		{Name: "state", Pages: guide, Make: plain(stateTables)},
		{Name: "report", Pages: guide, Make: plain(reportTable)},
		{Name: "interfaces", Pages: guide, Make: interfaceTable},
		{Name: "types", Pages: types, Make: plain(typeTables)},
		{Name: "encoding", Pages: types, Make: encodingTable},
	}
}

// plain is a table that needs neither the text of the source nor arguments.
func plain(make func() string) func(fs.FS, []string) (string, error) {
	return func(_ fs.FS, args []string) (string, error) {
		if len(args) > 0 {
			return "", fmt.Errorf("it takes no arguments, and has %s", strings.Join(args, " "))
		}
		return make(), nil
	}
}

func strategyTable() string {
	var rows [][]string
	for _, s := range manifest.Strategies() {
		rows = append(rows, []string{fmt.Sprintf("[`%s`](%s.md)", s.Mode, s.Mode), s.Summary, mono(s.Required), s.Deletes, s.Idempotence, s.Locks})
	}
	return table([]string{"Strategy", "What it does", "Needs", "Deletes", "When it runs again", "Who waits"}, rows)
}

func familyTable() string {
	head := []string{"Strategy"}
	for _, c := range connectors.All() {
		head = append(head, "from `"+c.Name+"`", "into `"+c.Name+"`")
	}
	var rows [][]string
	for _, mode := range manifest.Modes() {
		row := []string{"`" + string(mode) + "`"}
		for _, c := range connectors.All() {
			row = append(row, yes(c.Source != nil && slices.Contains(c.Source.Modes, mode)), yes(c.Sink != nil && slices.Contains(c.Sink.Modes, mode)))
		}
		rows = append(rows, row)
	}
	return table(head, rows)
}

func sinkTable() string {
	var rows [][]string
	for _, c := range connectors.All() {
		if c.Sink != nil {
			rows = append(rows, []string{"`" + c.Name + "`", c.Doc, c.Sink.Commit, c.Sink.Bulk})
		}
	}
	return table([]string{"Family", "What it is", "How a load commits", "How rows are written"}, rows)
}

func gateTable() string {
	head := []string{"Gate"}
	var all []string
	for _, c := range connectors.All() {
		if c.Sink == nil {
			continue
		}
		head = append(head, "`"+c.Name+"`")
		for _, g := range c.Sink.Gates {
			if !slices.Contains(all, g) {
				all = append(all, g)
			}
		}
	}
	var rows [][]string
	for _, g := range all {
		row := []string{"`" + g + "`"}
		for _, c := range connectors.All() {
			if c.Sink != nil {
				row = append(row, yes(slices.Contains(c.Sink.Gates, g)))
			}
		}
		rows = append(rows, row)
	}
	return table(head, rows)
}

// fieldTable lists the fields that have a meaning with the strategy that is its argument.
func fieldTable(_ fs.FS, args []string) (string, error) {
	if len(args) != 1 {
		return "", errors.New("it takes one argument, the name of a strategy")
	}
	i := slices.IndexFunc(manifest.Strategies(), func(s manifest.StrategyDoc) bool { return string(s.Mode) == args[0] })
	if i < 0 {
		return "", fmt.Errorf("there is no strategy %q", args[0])
	}
	s := manifest.Strategies()[i]
	var rows [][]string
	seen := map[string]bool{}
	var walk func(at string, f reflect.StructField)
	walk = func(at string, f reflect.StructField) {
		if f.Type.Kind() == reflect.Struct {
			for i := range f.Type.NumField() {
				walk(at+"."+f.Type.Field(i).Tag.Get("yaml"), f.Type.Field(i))
			}
			return
		}
		if !seen[at] {
			seen[at] = true
			rows = append(rows, []string{"`" + at + "`", yes(slices.Contains(s.Required, at)), f.Tag.Get("jsonschema")})
		}
	}
	for _, at := range slices.Concat(s.Required, s.Optional) {
		here := reflect.TypeFor[manifest.Manifest]()
		var field reflect.StructField
		for _, key := range strings.Split(at, ".") {
			found := false
			for i := range here.NumField() {
				if f := here.Field(i); f.Tag.Get("yaml") == key {
					field, here, found = f, f.Type, true
					break
				}
			}
			if !found {
				return "", fmt.Errorf("a manifest has no field %s", at)
			}
		}
		walk(at, field)
	}
	return table([]string{"Field", "Needed", "Meaning"}, rows), nil
}

// codeTable lists the named codes, or all of them. A name that ends with a star stands for all that begin so.
func codeTable(_ fs.FS, args []string) (string, error) {
	var rows [][]string
	all := engine.Codes()
	if len(args) == 0 {
		args = []string{"*"}
	}
	for _, name := range args {
		n := len(rows)
		for _, c := range all {
			prefix, star := strings.CutSuffix(name, "*")
			if c.Code == name || star && strings.HasPrefix(c.Code, prefix) {
				rows = append(rows, []string{"`" + c.Code + "`", c.Meaning, c.Fix})
			}
		}
		if len(rows) == n {
			return "", fmt.Errorf("there is no code %q", name)
		}
	}
	return table([]string{"Code", "Means", "Do"}, rows), nil
}

// typeTables joins what each family reads with what each family keeps.
func typeTables() string {
	var parts []string
	for _, from := range connectors.All() {
		for _, to := range connectors.All() {
			if from.Source == nil || to.Sink == nil {
				continue
			}
			parts = append(parts, "### "+from.Name+" to "+to.Name+"\n\n"+pairTable(from, to))
		}
	}
	return strings.Join(parts, "\n")
}

func pairTable(from, to connector.Connector) string {
	var rows [][]string
	for _, r := range from.Source.Types {
		travels := r.Logical
		note := r.Note
		if from.Name != to.Name && r.Portable != "" {
			travels = r.Portable
			if travels != "none" {
				note = strings.TrimPrefix(note+"; its text form", "; ")
			}
		}
		kind, _, _ := strings.Cut(travels, "(")
		n := len(rows)
		for _, w := range to.Sink.Types {
			wk, bounds, bounded := strings.Cut(w.Logical, "(")
			if wk != kind || r.Rule == connector.Refused {
				continue
			}
			shown := travels
			if bounded && wk == "numeric" {
				shown = wk + "(" + bounds
			}
			rule := both(r.Rule, w.Rule)
			if from.Name != to.Name && r.Portable != "" {
				rule = both(connector.AsText, w.Rule)
			}
			row := []string{r.Native, "`" + shown + "`", w.Native, rule, strings.Trim(note+"; "+w.Note, "; ")}
			if len(rows) == n || !slices.Equal(rows[len(rows)-1][2:], row[2:]) {
				rows = append(rows, row)
			}
		}
		if len(rows) > n {
			continue
		}
		switch {
		case r.Rule == connector.Refused || travels == "none" || kind == "native":
			rows = append(rows, []string{r.Native, "", "", string(connector.Refused), note})
		default:
			rows = append(rows, []string{r.Native, travels, "as of that type", string(r.Rule), note})
		}
	}
	return table([]string{"Source type", "Logical type", "Sink type", "Rule", "Note"}, rows)
}

// both is what two rules make together.
func both(read, write connector.Rule) string {
	switch {
	case read == connector.Refused || write == connector.Refused:
		return string(connector.Refused)
	case read == write || write == connector.Exact:
		return string(read)
	case read == connector.Exact:
		return string(write)
	}
	return string(read) + ", " + string(write)
}

// parse reads one file of the source with its comments.
func parse(tree fs.FS, path string) (*ast.File, error) {
	raw, err := fs.ReadFile(tree, path)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(token.NewFileSet(), path, raw, parser.ParseComments|parser.SkipObjectResolution)
}

// encodingTable is the list in the comment of package logical.
func encodingTable(tree fs.FS, _ []string) (string, error) {
	f, err := parse(tree, "engine/logical/type.go")
	if err != nil {
		return "", err
	}
	var rows [][]string
	for _, line := range strings.Split(f.Doc.Text(), "\n") {
		text, indented := strings.CutPrefix(line, "\t")
		if !indented {
			continue
		}
		name, meaning, _ := strings.Cut(text, " ")
		switch {
		case name != "":
			rows = append(rows, []string{name, strings.TrimSpace(meaning)})
		case len(rows) > 0:
			rows[len(rows)-1][1] += " " + strings.TrimSpace(meaning)
		}
	}
	var out [][]string
	for k := logical.Bool; k <= logical.Native; k++ {
		i := slices.IndexFunc(rows, func(row []string) bool {
			base := strings.TrimRight(k.String(), "0123456789")
			return row[0] == k.String() || strings.HasPrefix(row[0], base) && strings.Contains(row[0], "/")
		})
		if i < 0 {
			return "", fmt.Errorf("the comment of package logical does not tell how a %s is encoded", k)
		}
		width, tag := "varies", "its own"
		typ := logical.Type{Kind: k}
		if w := typ.Width(); w > 0 {
			width = strconv.Itoa(w)
		}
		if n := typ.DigestTag(); n > 0 {
			tag = strconv.FormatUint(uint64(n), 10)
		}
		out = append(out, []string{"`" + k.String() + "`", width, tag, rows[i][1]})
	}
	return table([]string{"Logical type", "Bytes", "Tag", "Canonical value"}, out), nil
}

func pointTable(tree fs.FS, _ []string) (string, error) {
	f, err := parse(tree, "engine/connector/connector.go")
	if err != nil {
		return "", err
	}
	meaning := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Comment != nil && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				meaning[strings.Trim(lit.Value, `"`)] = strings.Join(strings.Fields(v.Comment.Text()), " ")
			}
		}
		return true
	})
	var rows [][]string
	for _, p := range connector.Points() {
		if meaning[string(p)] == "" {
			return "", fmt.Errorf("the point %s has no comment in engine/connector/connector.go", p)
		}
		rows = append(rows, []string{"`" + string(p) + "`", meaning[string(p)]})
	}
	return table([]string{"Point", "Where the run is"}, rows), nil
}

// interfaceTable lists the interfaces of package connector.
func interfaceTable(tree fs.FS, _ []string) (string, error) {
	var rows [][]string
	for _, path := range []string{"engine/connector/connector.go", "engine/connector/change.go"} {
		f, err := parse(tree, path)
		if err != nil {
			return "", err
		}
		for _, decl := range f.Decls {
			g, ok := decl.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, spec := range g.Specs {
				s := spec.(*ast.TypeSpec)
				i, ok := s.Type.(*ast.InterfaceType)
				if !ok {
					continue
				}
				var methods []string
				for _, m := range i.Methods.List {
					for _, name := range m.Names {
						methods = append(methods, name.Name)
					}
				}
				rows = append(rows, []string{"`" + s.Name.Name + "`", mono(methods), strings.Join(strings.Fields(g.Doc.Text()), " ")})
			}
		}
	}
	return table([]string{"Interface", "Methods", "What it is"}, rows), nil
}

func stateTables() string {
	return "```sql\n" + strings.Join(sqlsink.StateDDL("dpone.dpone_state", "dpone.dpone_receipt"), ";\n") + ";\n```\n"
}

// reportTable lists the fields of the run report; what is under one and has no meaning of its own is only named.
func reportTable() string {
	var rows [][]string
	var walk func(t reflect.Type, at string) (plain []string)
	walk = func(t reflect.Type, at string) (plain []string) {
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			here := strings.TrimPrefix(at+"."+name, ".")
			inner := f.Type
			if inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct {
				here, inner = here+"[]", inner.Elem()
			}
			doc := f.Tag.Get("jsonschema")
			if doc == "" && inner.Kind() != reflect.Struct {
				plain = append(plain, name)
				continue
			}
			rows = append(rows, []string{"`" + here + "`", "", doc})
			if inner.Kind() == reflect.Struct {
				own := len(rows) - 1
				rows[own][1] = mono(walk(inner, here))
			}
		}
		return plain
	}
	walk(reflect.TypeFor[engine.Report](), "")
	return table([]string{"Field", "In it", "Meaning"}, rows)
}

var (
	swapRefused = regexp.MustCompile(`\t\{"([a-z ,-]+)", `)
	swapCarried = regexp.MustCompile(`\t\{&c\.(?:loaded|locked|swapped), "([a-z ]+)", `)
)

// swapTable lists what a shadow swap refuses and what it carries over.
func swapTable(tree fs.FS, _ []string) (string, error) {
	const path = "engine/postgres/shadow.go"
	raw, err := fs.ReadFile(tree, path)
	if err != nil {
		return "", err
	}
	list := func(pattern *regexp.Regexp) []string {
		var found []string
		for _, m := range pattern.FindAllStringSubmatch(string(raw), -1) {
			if !slices.Contains(found, m[1]) {
				found = append(found, m[1])
			}
		}
		return found
	}
	refused := list(swapRefused)
	carried := append([]string{"columns with defaults, NOT NULL, checks, storage and comments", "indexes and their constraints"}, list(swapCarried)...)
	if len(refused) < 6 || len(carried) < 6 || !strings.Contains(string(raw), "INCLUDING ALL EXCLUDING INDEXES") {
		return "", fmt.Errorf("%s is no longer written so that the lists can be read: refused %d, carried over %d", path, len(refused), len(carried))
	}
	rows := make([][]string, max(len(refused), len(carried)))
	for i := range rows {
		rows[i] = make([]string, 2)
		if i < len(refused) {
			rows[i][0] = refused[i]
		}
		if i < len(carried) {
			rows[i][1] = carried[i]
		}
	}
	return table([]string{"Refused", "Carried over"}, rows), nil
}
