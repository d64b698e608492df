package release_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/release"
)

const (
	version    = "v1.2.3"
	repository = "https://github.com/example/app"
)

// fixture is a repository with a tag and the programs that were built from it,
// made once for all tests.
var fixture struct {
	dir, commit, older string
}

// The programs in dist of the fixture: the good one, and those that are not of
// the release.
const (
	good       = "app"        // built from the tag
	dirty      = "dirty"      // built from the commit with a change
	unstamped  = "unstamped"  // built without asking git
	older      = "older"      // built from the commit before
	mistagged  = "mistagged"  // built when the commit had another tag
	foreign    = "foreign"    // built from another module
	fileListed = "filelisted" // built from a list of files, as mage -compile does
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "dpone-release-test-")
	if err == nil {
		fixture.dir = dir
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the fixture cannot be built:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// sources are those of the repository; the commit before has no second line in app.go.
var sources = map[string]string{
	"go.mod":                 "module github.com/example/app\n\ngo 1.26.0\n",
	"app.go":                 "package main\n\nfunc main() { println(\"app\") }\n",
	"LICENSE":                "all rights reserved\n",
	".gitignore":             "/dist/\n/test_artifacts/\n",
	"magefiles/magefile.go":  "//go:build mage\n\npackage main\n\n// Build builds.\nfunc Build() {}\n\nfunc init() { _ = Build }\n",
	"magefiles/tools/go.mod": "module tools\n",
}

func build(dir string) error {
	repo := filepath.Join(dir, "repo")
	for name, content := range sources {
		if err := put(filepath.Join(repo, name), content); err != nil {
			return err
		}
	}
	other := filepath.Join(dir, "other")
	if err := errors.Join(put(filepath.Join(other, "go.mod"), "module example.org/other\n\ngo 1.26.0\n"), put(filepath.Join(other, "main.go"), sources["app.go"])); err != nil {
		return err
	}
	git := func(args ...string) (string, error) {
		return run(repo, "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
	}
	compile := func(in, out string, args ...string) error {
		_, err := run(in, "go", append([]string{"build", "-trimpath", "-o", filepath.Join(dir, "dist", out)}, args...)...)
		return err
	}
	stamped := func(out string) error { return compile(repo, out, "-buildvcs=true", ".") }
	var problems []error
	do := func(err error) { problems = append(problems, err) }
	ask := func(args ...string) string {
		out, err := git(args...)
		do(err)
		return strings.TrimSpace(out)
	}
	ask("init", "-q", "-b", "master", "--template=")
	ask("remote", "add", "origin", "git@github.com:Example/app.git")
	ask("add", "-A")
	ask("commit", "-q", "-m", "one")
	fixture.older = ask("rev-parse", "HEAD")
	do(stamped(older))
	do(put(filepath.Join(repo, "app.go"), sources["app.go"]+"\n// Two.\n"))
	ask("commit", "-q", "-a", "-m", "two")
	fixture.commit = ask("rev-parse", "HEAD")
	ask("tag", "v1.2.2")
	do(stamped(mistagged))
	ask("tag", "-d", "v1.2.2")
	ask("tag", "-a", "-m", "release", version)
	do(stamped(good))
	do(compile(repo, unstamped, "-buildvcs=false", "."))
	do(compile(repo, fileListed, "-buildvcs=true", "app.go"))
	do(put(filepath.Join(repo, "new.go"), "package main\n"))
	do(stamped(dirty))
	do(os.Remove(filepath.Join(repo, "new.go")))
	do(compile(other, foreign, "-buildvcs=false", "."))
	return errors.Join(problems...)
}

func put(path, content string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644))
}

func run(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "GIT_") })
	cmd.Env = append(cmd.Env, "GOWORK=off", "CGO_ENABLED=0", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return string(out), nil
}

// world is a copy of the repository with one good program and a text to ship.
type world struct {
	root    string
	options release.Options
	env     map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	assert.NilError(t, err)
	assert.NilError(t, os.CopyFS(root, os.DirFS(filepath.Join(fixture.dir, "repo"))))
	w := &world{root: root, env: map[string]string{}}
	w.ship(t, good)
	w.text(t, "dist/notes.txt", "What is new: all of it.\n")
	w.options = release.Options{
		Release: version, Subjects: []string{"dist/app", "dist/*.txt"}, Repository: repository, Commit: fixture.commit,
		Targets: []string{"build"}, Getenv: func(name string) string { return w.env[name] },
		Signing: release.Signing{Signer: theKey(t)},
	}
	return w
}

// ship puts a program of the fixture into dist.
func (w *world) ship(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(fixture.dir, "dist", name))
		assert.NilError(t, err)
		w.text(t, "dist/"+name, string(raw))
	}
}

func (w *world) text(t *testing.T, name, content string) {
	t.Helper()
	assert.NilError(t, put(filepath.Join(w.root, filepath.FromSlash(name)), content))
}

// attest runs the gate and holds that what it leaves is whole.
func (w *world) attest(t *testing.T) gates.Outcome {
	t.Helper()
	return gatetest.Run(t, release.Attest(w.options), gates.Options{Root: w.root, Environ: w.options.Environ})
}

// find is the checks with a code and, if it is given, a verdict.
func find(o gates.Outcome, code string) []evidence.Check {
	var list []evidence.Check
	for _, step := range o.Record.Stable.Steps {
		for _, c := range step.Checks {
			if c.Code == code {
				list = append(list, c)
			}
		}
	}
	return list
}

// files are the names of what lies in the run folder, without what every run has.
func files(t *testing.T, o gates.Outcome) []string {
	t.Helper()
	entries, err := os.ReadDir(o.Folder)
	assert.NilError(t, err)
	var names []string
	for _, e := range entries {
		if !e.IsDir() && !slices.Contains([]string{"record.json", "record.md", "junit.xml", "index.json"}, e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names
}

func read(t *testing.T, o gates.Outcome, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(o.Folder, name))
	assert.NilError(t, err)
	return raw
}

func sum(raw []byte) string {
	s := sha256.Sum256(raw)
	return hex.EncodeToString(s[:])
}

// keyPEM is an Ed25519 key that is for tests only.
const keyPEM = "-----BEGIN PRIVATE" + ` KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
`

func theKey(t *testing.T) *sign.Key {
	t.Helper()
	key, err := sign.LoadKey([]byte(keyPEM), nil)
	assert.NilError(t, err)
	return key
}
