package reproduce

import (
	"context"
	"errors"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/source"
	"github.com/dpone/dpone/gates/target"
)

// source holds this checkout against the recorded one.
func (a *attempt) source(ctx context.Context) {
	r, was := a.result, a.record.Stable.Source
	if was.Commit == "" {
		r.reason(CodeNoCommit, "the record is about no commit, so nobody can tell what to run again")
		return
	}
	now, changes, err := source.Open(a.opts.Root).State(ctx)
	if err != nil {
		r.reason(CodeUnknownSource, "%s", oneLine(err))
		return
	}
	if now.Commit != was.Commit {
		r.reason(CodeWrongCommit, "the record is about %s, this checkout is at %s: git worktree add DIR %[1]s, and run it there", was.Commit, now.Commit)
		return // its changes are to another commit
	}
	switch {
	case !was.Dirty && now.Dirty:
		r.reason(CodeDirty, "the record is about the commit as it is, and here it is changed: %s", paths(changes))
	case was.Dirty && !now.Dirty:
		r.reason(CodeNoDifference, "the record is about changes to the commit (%s) that are not here; a record has their digest alone", was.DirtyDigest)
	case was.DirtyDigest != now.DirtyDigest:
		r.reason(CodeNoDifference, "the record is about other changes to the commit (%s) than those that are here (%s): %s", was.DirtyDigest, now.DirtyDigest, paths(changes))
	}
	switch before := a.record.Volatile.Origin.Shallow; {
	case now.Shallow && !before:
		r.reason(CodeShallow, "this clone does not have the whole history, and the recorded one had: git fetch --unshallow")
	case before && !now.Shallow:
		r.note("the recorded clone did not have the whole history, and this one has")
	}
}

// maxPaths is how many changed paths a reason names.
const maxPaths = 5

func paths(changes []source.Change) string {
	var names []string
	for i, c := range changes {
		if i == maxPaths {
			names = append(names, "...")
			break
		}
		names = append(names, c.Path)
	}
	return strings.Join(names, ", ")
}

// platform holds system and Go against the recorded ones.
func (a *attempt) platform(ctx context.Context) {
	r, was := a.result, a.record.Stable.Environment
	if was.OS != runtime.GOOS || was.Arch != runtime.GOARCH {
		r.reason(CodeWrongPlatform, "recorded on %s/%s, this is %s/%s", was.OS, was.Arch, runtime.GOOS, runtime.GOARCH)
	}
	result, err := proc.Run(ctx, a.opts.Root, proc.Command{Name: "go", Args: []string{"env", "GOVERSION"}, Env: []string{"GOWORK=off", "GOFLAGS="}},
		proc.Options{Capture: 1 << 10, Environ: a.base()})
	now := strings.TrimSpace(string(result.Stdout))
	switch {
	case err != nil:
		r.reason(CodeWrongGo, "recorded with %s, and here: %s", was.Go, oneLine(err))
	case now != was.Go:
		r.reason(CodeWrongGo, "recorded with %s, here it is %s: set GOTOOLCHAIN=%[1]s", was.Go, now)
	}
}

// tools holds the pinned versions of the recorded tools against them. That of a
// binary is compared after the run, with the rest.
func (a *attempt) tools() {
	for _, was := range a.record.Stable.Environment.Tools {
		if strings.ContainsAny(was.Name, `/\`) || was.Name == ".." {
			a.result.reason(CodeBadRecord, "no tool is called %q", was.Name)
			continue
		}
		pin, err := pins.Find(a.opts.Root, was.Name).Read()
		if err != nil {
			continue // of a gate with pins of its own: the run tells
		}
		if pin.Version != was.Version {
			a.result.reason(CodeWrongTool, "%s was %s, here %s is pinned", was.Name, was.Version, pin.Version)
		}
	}
}

// inputs holds the files that decided how the gate ran against the recorded ones.
func (a *attempt) inputs() {
	root, err := os.OpenRoot(a.opts.Root)
	if err != nil {
		a.result.reason(CodeUnreadable, "%v", err)
		return
	}
	defer root.Close()
	for _, was := range a.record.Stable.Inputs {
		if why := input(root, was); why != "" {
			a.result.reason(CodeWrongInput, "%s: %s", was.Path, why)
		}
	}
}

// input says in what a file is not the recorded one.
func input(root *os.Root, was evidence.File) string {
	info, err := root.Lstat(was.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "it is not here"
	case err != nil:
		return oneLine(err)
	case info.Mode()&os.ModeSymlink == 0 && !info.Mode().IsRegular():
		return "it is not a regular file"
	}
	file, err := root.Open(was.Path)
	if err != nil {
		return oneLine(err)
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != was.Size {
		return "it has another size or is no regular file"
	}
	now, err := folder.DigestReader(was.Path, file)
	switch {
	case err != nil:
		return oneLine(err)
	case now.SHA256 != was.SHA256:
		return "it has other content, sha256 " + now.SHA256 + ", recorded " + was.SHA256
	}
	return ""
}

var variablePattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment finds the secrets that the recorded run had. Those that evidence
// is signed with are neither needed nor passed on.
func (a *attempt) environment() {
	var missing []string
	for _, name := range a.record.Volatile.SecretNames {
		value, set := a.lookup(name)
		switch {
		case !variablePattern.MatchString(name):
			a.result.reason(CodeBadRecord, "%q is no name of a variable", name)
		case proc.IsKey(name):
		case set:
			a.secrets = append(a.secrets, name+"="+value)
		case slices.Contains(a.opts.Without, name):
			a.result.note("without %s, which the recorded run had", name)
		default:
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		names := strings.Join(missing, ",")
		a.result.reason(CodeSecretMissing, "set then and not now: %s; set them, or say that they do not matter with -without=%s", strings.Join(missing, ", "), names)
	}
}

// lookup reads as os.LookupEnv does: the first of equal names counts, and an
// empty value is as good as none.
func (a *attempt) lookup(name string) (string, bool) {
	for _, entry := range a.opts.Environ {
		if key, value, ok := strings.Cut(entry, "="); ok && key == name {
			return value, value != ""
		}
	}
	return "", false
}

// needed are variables by which programs find each other, their caches, and the
// way out. What else is set here was perhaps not set there.
var needed = []string{
	"PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
	"SYSTEMROOT", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "USERPROFILE", "LOCALAPPDATA", "APPDATA",
	"GOROOT", "GOPATH", "GOCACHE", "GOMODCACHE", "GOENV", "GOTOOLCHAIN", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE",
	"CC", "CXX", "CGO_ENABLED", "GOLANGCI_LINT_CACHE", "MAGEFILE_CACHE", target.EnvToolCache,
	"SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
}

// base is the environment without secrets.
func (a *attempt) base() []string {
	environ := []string{}
	for _, name := range slices.Concat(needed, a.opts.Pass) {
		if value, ok := a.lookup(name); ok && !proc.IsKey(name) {
			environ = append(environ, name+"="+value)
		}
	}
	return environ
}

// environ is the environment of a run. What we set comes last, so that no record
// can name a secret in its place.
func (a *attempt) environ(output, artifacts string) []string {
	environ := append(a.base(), a.secrets...)
	var names []string
	if own, ok := a.lookup(target.EnvSecretNames); ok {
		names = append(names, own)
	}
	for _, entry := range a.secrets {
		name, _, _ := strings.Cut(entry, "=")
		names = append(names, name)
	}
	return append(environ,
		target.EnvSecretNames+"="+strings.Join(names, ","), target.EnvOutput+"="+output, target.EnvArtifacts+"="+artifacts, "GOFLAGS=",
		"MAGEFILE_VERBOSE=", "MAGEFILE_DEBUG=", "MAGEFILE_GOCMD=", "MAGEFILE_HASHFAST=", "MAGEFILE_TIMEOUT=", "MAGEFILE_LIST=", "MAGEFILE_HELP=", "MAGEFILE_IGNOREDEFAULT=",
	)
}
