package target

import (
	"errors"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestTargets(t *testing.T) {
	targets, err := Targets(fixture())
	assert.NilError(t, err)
	byName := map[string]Target{}
	var names []string
	for _, target := range targets {
		names = append(names, target.Name)
		byName[target.Name] = target
	}
	assert.DeepEqual(t, names, []string{
		"ci:test", "cough", "count", "lint", "matrix:mockLocal", "mixed", "release:attest", "say", "scale", "two", "wait",
	})
	source := byName["ci:test"].Source
	assert.Assert(t, is.Regexp(`^magefile\.go:\d+$`, source))
	assert.DeepEqual(t, byName["ci:test"], Target{
		Name: "ci:test", Synopsis: "runs the tests.", Aliases: []string{"Tests"}, Source: source,
		Flags: []Param{
			{Name: "timeout", Type: "time.Duration", Doc: "how long they may take"},
			{Name: "run", Type: "string"},
			{Name: "race", Type: "bool", Doc: "with the race detector"},
		},
	})
	assert.DeepEqual(t, byName["mixed"].Positionals, []Param{{Name: "name", Type: "string"}, {Name: "count", Type: "int"}})
	assert.DeepEqual(t, byName["mixed"].Flags, []Param{{Name: "greeting", Type: "string"}})
	assert.Equal(t, byName["say"].Synopsis, "prints the 'message', often.")
}

const mgImport = "import \"github.com/magefile/mage/mg\"\n"

// misfit is a declaration that mage drops without a word, that does not compile, or that hides a target.
type misfit struct {
	name, source   string
	line, why, fix string
	breaksBuild    bool // mage lists it, and its main function does not compile
}

func (m misfit) files() fstest.MapFS {
	return fstest.MapFS{
		"m.go": {Data: []byte("package main\n\n" + m.source + "\n")},
		// Without another file there are no sources when the first one is left out.
		"other.go": {Data: []byte("package main\n")},
	}
}

var misfits = []misfit{
	{"variadic", "func Add(names ...string) {}", ":3", "Add is exported but no target: mage does not know the parameter type ...string", "rename it to add", false},
	{"slice", "func Add(names []string) {}", ":3", "type []string", "rename it to add", false},
	{"other integer", "func Add(n int64) {}", ":3", "type int64", "rename it to add", false},
	{"pointer to another type", "func Add(n *uint) {}", ":3", "type *uint", "rename it to add", false},
	{"named type", "type Mode string\nfunc Run(m Mode) {}", ":4", "type Mode", "rename it to run", false},
	{"function type", "func Run(f func(\n\tint)) {}", ":3", "type func( int)", "rename it to run", false},
	{"alias of time", "import t \"time\"\nfunc Wait(d t.Duration) {}", ":4", "type t.Duration", "rename it to wait", false},
	{"context in second place", "import \"context\"\nfunc Run(n int, ctx context.Context) {}", ":4", "type context.Context", "rename it to run", false},
	{"two contexts", "import \"context\"\nfunc Run(a, b context.Context) {}", ":4", "context.Context once in front", "rename it to run", false},
	{"alias of context", "import c \"context\"\nfunc Run(ctx c.Context) {}", ":4", "type c.Context", "rename it to run", false},
	{"another result", "func Version() string { return \"\" }", ":3", "its result is string", "rename it to version", false},
	{"two results", "func Version() (string, error) { return \"\", nil }", ":3", "its result is (string, error)", "rename it to version", false},
	{"two errors", "func Run() (a, b error) { return nil, nil }", ":3", "its result is (a, b error)", "rename it to run", false},
	{"parameter without a name", "func Run(string) {}", ":3", "its parameter of type string has no name", "rename it to run", true},
	{"type parameters", "func Run[T any]() {}", ":3", "it has type parameters", "rename it to run", true},
	{"keyword", "func Select(n int8) {}", ":3", "type int8", "rename it to doSelect", false},
	{"method with a bad signature", mgImport + "type Ci mg.Namespace\nfunc (Ci) HTTPGet(urls []string) {}", ":5", "Ci.HTTPGet is exported but no target", "rename it to httpGet", false},
	{"pointer receiver", mgImport + "type Ci mg.Namespace\nfunc (*Ci) Lint() {}", ":5", "Ci.Lint has a pointer receiver", "func (Ci) Lint", true},
	{"unexported namespace", mgImport + "type ci mg.Namespace\nfunc (ci) Lint() {}", ":4", "the methods of ci are no targets: the type is not exported", "rename it to Ci", false},
	{"mg under another name", "import m \"github.com/magefile/mage/mg\"\ntype Ci m.Namespace\nfunc (Ci) Lint() {}", ":4", "by the text type Ci mg.Namespace only", "type Ci mg.Namespace", false},
	{"dot import of mg", "import . \"github.com/magefile/mage/mg\"\ntype Ci Namespace\nfunc (Ci) Lint() {}", ":4", "by the text", "type Ci mg.Namespace", false},
	{"embedded namespace", mgImport + "type Ci struct{ mg.Namespace }\nfunc (Ci) Lint() {}\nfunc (Ci) Test() {}", ":4", "the methods of Ci are no targets", "type Ci mg.Namespace", false},
	{"embedded pointer", mgImport + "type Ci struct{ *mg.Namespace }\nfunc (Ci) Lint() {}", ":4", "by the text", "type Ci mg.Namespace", false},
	{"namespace of a namespace", mgImport + "type Ci (Base)\ntype Base mg.Namespace\nfunc (Ci) Lint() {}", ":4", "by the text", "type Ci mg.Namespace", false},
	{"alias of no target", "var Aliases = map[string]any{\"a\": helper}\nfunc helper() {}", ":3", `the alias "a" is for no target`, "drop the alias", false},
	{"alias that is not written out", "var Aliases = map[string]any{`a`: Lint}\nfunc Lint() {}", ":3", "double quotes", "literal", false},
	{"alias that hides a target", "var Aliases = map[string]any{\"TEST\": Lint}\nfunc Lint() {}\nfunc Test() {}", ":3", `the alias "TEST" hides the target test`, "another alias", false},
	{"aliases from a function", "var Aliases = aliases()", ":3", "from a map literal only", "map[string]any", false},
	{"aliases with a named type", "var Aliases M = M{}\ntype M map[string]any", ":3", "from a map literal only", "map[string]any", false},
	{"aliases with others", "var a, Aliases = 1, map[string]any{}", ":3", "one name and one value", "on its own", false},
	{"default of no target", "var Default = 5", ":3", "Default is no target", "drop it", false},
	{"malformed import", "import (\n\t//mage:import a b\n\t\"example.com/x\"\n)", ":5", "more than one word", "//mage:import a", false},
	{"C code", "import \"C\"\nfunc Lint() {}", ":3", `import "C"`, "package", false},
}

func TestTargets_refuses(t *testing.T) {
	for _, tc := range misfits {
		t.Run(tc.name, func(t *testing.T) {
			sources := tc.files()
			_, err := Targets(sources)
			p := onlyProblem(t, err)
			assert.Equal(t, p.Subject, "m.go"+tc.line)
			assert.Assert(t, is.Contains(p.Why, tc.why))
			assert.Assert(t, is.Contains(p.Fix, tc.fix))
			// The same refusal meets whoever runs any target, and nobody who asks for the list.
			argv := []string{"./ci", "whatever"}
			assert.ErrorContains(t, CheckCommandLine(sources, argv, nil), p.Why)
			assert.NilError(t, CheckCommandLine(sources, argv, []string{"MAGEFILE_LIST=1"}))
		})
	}
}

// Declarations near to those that are refused.
func TestTargets_accepts(t *testing.T) {
	for name, tc := range map[string]struct{ source, targets string }{
		"helpers":           {"func lint(names ...string) int { return 0 }\nfunc Lint() {}", "lint"},
		"ordinary types":    {"type T struct{}\nfunc (T) String() string { return \"\" }\nfunc (t *T) Add(n int64) {}", ""},
		"generic type":      {"type T[E any] struct{}\nfunc (T[E]) Add(e E) {}", ""},
		"namespace unused":  {mgImport + "type Base struct{ mg.Namespace }\nfunc (Base) add(n int64) {}", ""},
		"another Namespace": {"import \"example.com/k8s\"\ntype T k8s.Namespace\nfunc (T) Add(n int64) {}", ""},
		"unnamed context":   {"import \"context\"\nfunc Run(context.Context) error { return nil }", "run"},
		"blank parameter":   {"func Run(_ string, _ *bool) (err error) { return nil }", "run"},
		"alias by itself":   {"var Aliases = map[string]any{\"lint\": Lint, \"L\": Lint}\nfunc Lint() {}", "lint"},
		"local Aliases":     {"func Lint() { var Aliases = 1; _ = Aliases }", "lint"},
		"default":           {mgImport + "type Ci mg.Namespace\nvar Default = Ci.Lint\nfunc (Ci) Lint() {}", "ci:lint"},
		"imported default":  {"import (\n\t\"example.com/x\" // mage:import\n)\nvar Default = x.Lint\nvar Aliases = map[string]any{\"l\": x.Lint, \"m\": x.Ns.Lint}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			targets, err := Targets(fstest.MapFS{"m.go": {Data: []byte("package main\n\n" + tc.source + "\n")}})
			assert.NilError(t, err)
			var names []string
			for _, target := range targets {
				names = append(names, target.Name)
			}
			assert.Equal(t, strings.Join(names, " "), tc.targets)
		})
	}
}

func TestTargets_leavesOutFiles(t *testing.T) {
	bad := &fstest.MapFile{Data: []byte("package main\nfunc Bad(n int8) {}\n")}
	tagged := func(tag string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("//go:build " + tag + "\n\npackage main\nfunc Bad(n int8) {}\n")}
	}
	other := map[bool]string{true: "linux", false: "windows"}[runtime.GOOS == "windows"]
	targets, err := Targets(fstest.MapFS{
		"a.go":                             {Data: []byte("//go:build mage && " + runtime.GOOS + " && go1.20\n\npackage main\nfunc A() {}\n")},
		"b_" + runtime.GOOS + ".go":        {Data: []byte("package main\nfunc B() {}\n")},
		"m_test.go":                        bad,
		"mage_output_file.go":              bad,
		"_m.go":                            bad,
		"m_" + other + ".go":               bad,
		"m_" + runtime.GOOS + "_mips64.go": bad,
		"not_mage.go":                      tagged("!mage"),
		"ignored.go":                       tagged("ignore"),
		"other_system.go":                  tagged(other),
		"library.go":                       {Data: []byte("package library\nfunc Bad(n int8) {}\n")},
		"sub/m.go":                         bad,
		"notes.txt":                        bad,
	})
	assert.NilError(t, err)
	assert.Equal(t, len(targets), 2)
}

// Names that an imported package may define are left to mage, all others are not.
func TestCheckCommandLine_imports(t *testing.T) {
	sources := func(imports string) fs.FS {
		return fstest.MapFS{"m.go": {Data: []byte("package main\n" + imports + "\nfunc Lint() {}\n")}}
	}
	root := sources("//mage:import\nimport \"example.com/x\"\nvar Aliases = map[string]any{\"y\": x.Y}")
	named := sources("import (\n\t// Gates.\n\t// mage:import Tools\n\t_ \"example.com/x\"\n)")
	none := sources("// mage:import\nimport (\n\t// about mage:import\n\t\"example.com/x\"\n\t//mage:importing\n\t\"example.com/y\"\n\t\"example.com/z\"\n)")
	for _, tc := range []struct {
		sources fs.FS
		args    string
		subject string // "" for lines that pass
	}{
		{root, "anything -x nope", ""},
		{root, "lint y -x", ""},
		{root, "lint -x", `"-x"`},
		{root, "lint -x y", `"-x"`},
		{named, "tools:fmt -x nope", ""},
		{named, "lint TOOLS:fmt", ""},
		{named, "tools", `"tools"`},
		{named, "lint nope tools:fmt", `"nope"`},
		{none, "tools:fmt", `"tools:fmt"`},
	} {
		err := CheckCommandLine(tc.sources, append([]string{"./ci"}, strings.Fields(tc.args)...), nil)
		if tc.subject == "" {
			assert.NilError(t, err, tc.args)
			continue
		}
		assert.Equal(t, onlyProblem(t, err).Subject, tc.subject, tc.args)
	}
	// An empty argument is wrong whatever follows an imported target.
	onlyProblem(t, CheckCommandLine(root, []string{"./ci", "anything", ""}, nil))
}

func TestTargets_unreadable(t *testing.T) {
	_, err := Targets(brokenFS{})
	assert.ErrorContains(t, err, "read magefile m.go: broken")
	assert.Assert(t, errors.Is(err, errBroken))
}

var errBroken = errors.New("broken")

// brokenFS lists a file that cannot be read.
type brokenFS struct{}

func (brokenFS) Open(string) (fs.File, error)    { return nil, errBroken }
func (brokenFS) ReadFile(string) ([]byte, error) { return nil, errBroken }
func (brokenFS) Glob(string) ([]string, error)   { return []string{"m.go"}, nil }

func TestNearest(t *testing.T) {
	names := []string{"ci:lint", "ci:test", "docs", "i", "release"}
	for typed, want := range map[string]string{
		"lint": "ci:lint", "CI:TEST": "ci:test", "ci:tets": "ci:test", "doc": "docs", "relaese": "release",
		"x": "", "build": "", "": "", strings.Repeat("release", 20): "",
	} {
		assert.Equal(t, nearest(typed, names), want, typed)
	}
}
