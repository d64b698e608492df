package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// findBinDir gives the folder that has postgres and initdb.
func findBinDir(ctx context.Context, given string) (string, error) {
	if given != "" {
		if !hasServer(given) {
			return "", fmt.Errorf("%w: the given program folder %s has no postgres and initdb; fix: name the folder that has them (pg_config --bindir)", ErrNoServer, given)
		}
		return filepath.Abs(given)
	}
	return firstWithServer(candidates(ctx))
}

func firstWithServer(dirs []string) (string, error) {
	for _, dir := range dirs {
		if hasServer(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%w: the programs postgres and initdb are neither where pg_config says, nor in PATH, nor in the usual folders; fix: %s", ErrNoServer, fix)
}

func hasServer(dir string) bool {
	for _, name := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// candidates lists the folders to look in, the best first. A package of client
// programs has pg_config too, so that its answer may have no server in it.
func candidates(ctx context.Context) []string {
	var dirs []string
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
		// A link in a common folder leads to the folder that has initdb too.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			dirs = append(dirs, filepath.Dir(real))
		}
	}
	dirs = append(dirs, newestFirst("/usr/lib/postgresql/*/bin")...) // Debian, Ubuntu
	dirs = append(dirs, newestFirst("/usr/pgsql-*/bin")...)          // the PostgreSQL project's RPMs
	dirs = append(dirs, "/usr/local/pgsql/bin")                      // built from source
	for _, prefix := range []string{"/opt/homebrew", "/usr/local", "/home/linuxbrew/.linuxbrew"} {
		dirs = append(dirs, newestFirst(prefix+"/opt/postgresql@*/bin")...)
		dirs = append(dirs, prefix+"/opt/postgresql/bin")
	}
	return append(dirs, newestFirst("/Applications/Postgres.app/Contents/Versions/*/bin")...)
}

// newestFirst gives the folders that match, sorted by the version number that
// stands for the pattern's star.
func newestFirst(pattern string) []string {
	prefix, suffix, _ := strings.Cut(pattern, "*")
	dirs, err := filepath.Glob(pattern)
	if err != nil {
		return nil
	}
	version := func(dir string) float64 {
		number, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(dir, prefix), suffix), 64)
		if err != nil {
			return 0 // such as "latest": after those with a number
		}
		return number
	}
	sort.SliceStable(dirs, func(i, j int) bool { return version(dirs[i]) > version(dirs[j]) })
	return dirs
}
