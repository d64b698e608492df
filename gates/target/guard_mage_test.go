package target

import (
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/magefile/mage/mage"
	"github.com/magefile/mage/parse"
	"gotest.tools/v3/assert"
)

// mage's own opinion of the same sources: its parser for lists of targets, and the main function it generates for
// command lines.

// TestTargets_agreesWithMage compares with the parser of mage on the fixture and on the magefiles that mage has for its
// own tests.
func TestTargets_agreesWithMage(t *testing.T) {
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/magefile/mage").Output()
	assert.NilError(t, err)
	dirs := []string{"testdata/guard/magefiles"}
	for _, root := range []string{"mage/testdata", "parse/testdata"} {
		root = filepath.Join(strings.TrimSpace(string(module)), filepath.FromSlash(root))
		assert.NilError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		}))
	}
	log.SetOutput(io.Discard) // mage warns of the bad aliases that it has for its tests
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	compared := 0
	for _, dir := range dirs {
		files, err := mage.Magefiles(dir, "", "", filepath.Base(dir) == mage.MagefilesDirName)
		assert.NilError(t, err)
		if len(files) == 0 {
			continue
		}
		// Those that need a module of their own for their imports have the same targets without the imports.
		info, err := parse.PrimaryPackage("go", dir, base(files), false)
		if err != nil {
			info, err = parse.Package(dir, base(files), false)
		}
		sources := embedded(t, dir, files)
		if err != nil || info.DocPkg.Name != "main" {
			continue
		}
		compared++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			targets, err := Targets(sources)
			if err != nil {
				t.Log(err) // some of these magefiles are bad on purpose
			}
			assert.DeepEqual(t, plain(targets), fromMage(t, info))
		})
	}
	assert.Assert(t, compared > 20, "only %d packages were compared", compared)
}

func base(files []string) []string {
	names := make([]string, 0, len(files))
	for _, file := range files {
		names = append(names, filepath.Base(file))
	}
	return names
}

// embedded is what a magefile would embed as the documentation of Guard says.
func embedded(t *testing.T, dir string, files []string) fs.FS {
	t.Helper()
	if filepath.Base(dir) == mage.MagefilesDirName {
		return os.DirFS(dir)
	}
	sources := fstest.MapFS{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		assert.NilError(t, err)
		sources[filepath.Base(file)] = &fstest.MapFile{Data: data}
	}
	return sources
}

// plain and fromMage print targets in the same way, without where they are declared.
func plain(targets []Target) []string {
	var lines []string
	for _, target := range targets {
		line := fmt.Sprintf("%s %q %q", strings.ToLower(target.Name), target.Synopsis, target.Aliases)
		for _, param := range target.Positionals {
			line += fmt.Sprintf(" <%s %s %q>", param.Name, param.Type, param.Doc)
		}
		for _, param := range target.Flags {
			line += fmt.Sprintf(" -%s=%s %q", param.Name, param.Type, param.Doc)
		}
		lines = append(lines, line)
	}
	return lines
}

func fromMage(t *testing.T, info *parse.PkgInfo) []string {
	t.Helper()
	var lines []string
	for _, fn := range info.Funcs {
		var aliases []string
		for alias, target := range info.Aliases {
			if target == fn {
				aliases = append(aliases, alias)
			}
		}
		slices.Sort(aliases)
		line := fmt.Sprintf("%s %q %q", strings.ToLower(fn.TargetName()), fn.Synopsis, aliases)
		for _, arg := range fn.RequiredArgs() {
			line += fmt.Sprintf(" <%s %s %q>", arg.Name, arg.Type, arg.Comment)
		}
		for _, arg := range fn.OptionalArgs() {
			line += fmt.Sprintf(" -%s=%s %q", arg.Name, arg.Type, arg.Comment)
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return lines
}

// TestTargets_agreesWithMage_onMisfits compares on the sources that are refused: mage must not have the targets either,
// except where its program does not compile.
func TestTargets_agreesWithMage_onMisfits(t *testing.T) {
	for _, tc := range misfits {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, source := range tc.files() {
				assert.NilError(t, os.WriteFile(filepath.Join(dir, name), source.Data, 0o600))
			}
			files, err := mage.Magefiles(dir, "", "", true)
			assert.NilError(t, err)
			info, err := parse.Package(dir, base(files), false)
			assert.NilError(t, err)
			targets, err := Targets(os.DirFS(dir))
			onlyProblem(t, err)
			if tc.breaksBuild {
				assert.Assert(t, len(targets) < len(info.Funcs))
				return
			}
			assert.Equal(t, len(targets), len(info.Funcs))
		})
	}
}

// TestDisplayName_agreesWithMage has the expressions of lowerFirstWord in mage/main.go.
func TestDisplayName_agreesWithMage(t *testing.T) {
	rules := []*regexp.Regexp{
		regexp.MustCompile(`^([[:upper:]][^[:upper:]]+)([[:upper:]].*)$`),
		regexp.MustCompile(`^([[:upper:]]+)([[:upper:]][^[:upper:]].*)$`),
	}
	names := []string{"Ci", "CI", "MockLocal", "HTTPServer", "HTTPServerRun", "ABc", "A", "AB", "AaB", "Éclair", "ÉClair", "E2E"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		name := "A"
		for range random.IntN(8) {
			name += string([]rune("ABab1éÉ")[random.IntN(7)])
		}
		names = append(names, name)
	}
	for _, name := range names {
		want := strings.ToLower(name)
		for _, rule := range rules {
			if match := rule.FindStringSubmatch(name); match != nil {
				want = strings.ToLower(match[1]) + match[2]
				break
			}
		}
		assert.Equal(t, displayName(name), want, name)
	}
}

// TestGuard_agreesWithGeneratedMain runs the program that mage -compile makes of the fixture. A line that is accepted must
// run the same targets with the same values there; a line that is refused must end with status 2 and run nothing.
func TestGuard_agreesWithGeneratedMain(t *testing.T) {
	program := compileFixture(t)
	// start runs the program with or without the guard; lines are those that the targets print.
	start := func(t *testing.T, guarded bool, args []string, environ ...string) (lines []string, status int, stderr string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Env = environ
		if !guarded {
			cmd.Env = append(cmd.Env, "FIXTURE_UNGUARDED=1")
		}
		var stdout, errors strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &errors
		if err := cmd.Run(); err != nil {
			assert.ErrorType(t, err, &exec.ExitError{})
		}
		for line := range strings.Lines(stdout.String()) {
			if strings.HasPrefix(line, "ran ") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
		return lines, cmd.ProcessState.ExitCode(), errors.String()
	}
	agree := func(t *testing.T, args []string) (isRefused bool) {
		t.Helper()
		want, refused := ran(t, args)
		lines, status, stderr := start(t, true, args)
		if refused != nil {
			assert.Equal(t, status, 2, "%q: %s", args, stderr)
			assert.Equal(t, len(lines), 0, "%q: %s", args, lines)
			assert.Assert(t, strings.HasPrefix(stderr, "mage: refused, nothing was run\n"), "%q: %s", args, stderr)
			return true
		}
		for _, guarded := range []bool{true, false} {
			lines, status, stderr := start(t, guarded, args)
			assert.DeepEqual(t, lines, want)
			if want != nil { // else mage may still have no help for a name
				assert.Equal(t, status, 0, "%q: %s", args, stderr)
			}
		}
		return false
	}

	t.Run("lines", func(t *testing.T) {
		for _, tc := range accepted {
			assert.Assert(t, !agree(t, strings.Fields(tc.args)))
		}
		for _, tc := range refused {
			assert.Assert(t, agree(t, strings.Fields(tc.args)))
		}
	})
	t.Run("random lines", func(t *testing.T) {
		count := map[bool]int{}
		for _, args := range randomLines(400) {
			count[agree(t, args)]++
		}
		assert.Assert(t, count[true] > 20 && count[false] > 20, "a one-sided sample: %v", count)
	})
	t.Run("list", func(t *testing.T) {
		output, err := exec.CommandContext(t.Context(), program, "-l").Output()
		assert.NilError(t, err)
		targets, err := Targets(fixture())
		assert.NilError(t, err)
		want := [][]string{{"Targets:"}}
		for _, target := range targets {
			want = append(want, append([]string{target.Name}, strings.Fields(target.Synopsis)...))
		}
		var got [][]string
		for line := range strings.Lines(string(output)) {
			got = append(got, strings.Fields(line))
		}
		assert.DeepEqual(t, got, want)
	})
	t.Run("environment", func(t *testing.T) {
		lines, status, stderr := start(t, true, nil, "CI=true", "MAGEFILE_GOCMD=go")
		assert.Equal(t, status, 2)
		assert.Equal(t, len(lines), 0)
		assert.Equal(t, stderr, "mage: refused, nothing was run\n  CI=true: no target is named, so the step would be green and do nothing\n"+
			"    fix: mage <target> (the names: mage -l)\n")
	})
	// What the guard is for: without it, each of these is green or has run a target by the time it fails.
	t.Run("without the guard", func(t *testing.T) {
		for _, tc := range []struct {
			args   string
			ran    []string
			status int
		}{
			{"-bogus lint", nil, 0},
			{"-t 1x lint", nil, 0},
			{"lint nope", []string{"ran lint"}, 2},
			{"i -dryRun", []string{"ran release:attest version=-dryRun"}, 0},
			{"i -dryRun v1", []string{"ran release:attest version=-dryRun"}, 2},
			{"ci:test -race -race=false", []string{"ran ci:test race=false"}, 0},
			{"ci:test -race false", []string{"ran ci:test race=true"}, 2},
		} {
			lines, status, _ := start(t, false, strings.Fields(tc.args))
			assert.DeepEqual(t, lines, tc.ran)
			assert.Equal(t, status, tc.status, tc.args)
		}
	})
}

// compileFixture makes the program in a module of its own, as mage writes its main function beside the sources.
func compileFixture(t *testing.T) (program string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	assert.NilError(t, err)
	dir := t.TempDir()
	assert.NilError(t, os.CopyFS(dir, fixture()))
	requirements, err := os.ReadFile(filepath.Join(root, "go.mod"))
	assert.NilError(t, err)
	module := strings.Replace(string(requirements), "module github.com/dpone/dpone", "module example.com/fixture", 1) +
		"\nrequire github.com/dpone/dpone v0.0.0\nreplace github.com/dpone/dpone => " + strconv.Quote(root) + "\n"
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte(module), 0o600))
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	assert.NilError(t, err)
	assert.NilError(t, os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600))

	t.Setenv("GOFLAGS", "-mod=mod") // a -modfile of the caller is not for this module
	t.Setenv("GOWORK", "off")
	program = filepath.Join(t.TempDir(), "fixture")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	var output strings.Builder
	status := mage.ParseAndRun(&output, &output, strings.NewReader(""), []string{"-d", dir, "-compile", program})
	assert.Equal(t, status, 0, output.String())
	return program
}
