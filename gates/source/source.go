// Package source tells what a run is about: the commit, the ref, and how the
// working tree differs from the commit. It only reads; git is asked not to
// take the locks that would let it refresh its index.
package source

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates/proc"
)

// MageMain is the file that mage writes beside the magefiles while it compiles
// them and then removes: it is no part of the source.
const MageMain = "mage_output_file.go"

// maxStatus bounds the list of changed files, in bytes.
const maxStatus = 64 << 20

// Tree is a working tree in which git can be asked.
type Tree struct {
	root    string
	exclude []string
}

// Open returns the tree that holds root. exclude are paths below root,
// relative to it, that are no part of the source (where artifacts go).
func Open(root string, exclude ...string) Tree {
	return Tree{root: root, exclude: exclude}
}

// Root finds the directory a run is about, from a directory in it: the nearest
// one above with a go.mod, else with a .git, else dir itself.
func Root(dir string) string {
	for _, mark := range []string{"go.mod", ".git"} {
		for d := dir; ; d = filepath.Dir(d) {
			if _, err := os.Lstat(filepath.Join(d, mark)); err == nil {
				return d
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	return dir
}

// State is what a tree is.
type State struct {
	evidence.Source
	evidence.Origin
	// Files are those of the source below the root, relative to it, sorted: the
	// ones that git knows, even if they are gone, and new ones that it does not ignore.
	Files []string
}

// State asks git what the tree is, and returns it with the paths that differ
// from HEAD. An error says why that cannot be told: no git, no repository, no
// commit yet; what could be told is returned with it.
func (t Tree) State(ctx context.Context) (State, []Change, error) {
	var s State
	var status, repo, remote string
	var known []string
	var hidden, changes []Change
	// Three questions at once: a run is not to wait for git three times.
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		status, changes, err = t.status(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		known, hidden, err = t.known(groupCtx)
		return err
	})
	group.Go(func() (err error) {
		repo, err = t.line(groupCtx, "rev-parse", "--is-shallow-repository", "--show-prefix")
		return explain(err)
	})
	group.Go(func() (err error) {
		remote, err = t.line(groupCtx, "config", "--get", "remote.origin.url")
		if code, ok := proc.ExitCode(err); ok && code == 1 {
			return nil // a repository without a remote is no mistake
		}
		return explain(err)
	})
	if err := group.Wait(); err != nil {
		return s, changes, err
	}
	shallow, prefix, _ := strings.Cut(repo, "\n")
	s.Files = withNew(known, changes, prefix)
	changes = append(changes, hidden...)
	s.Repository = withoutCredentials(remote)
	s.Shallow = shallow == "true"
	s.Dirty = len(changes) > 0
	if s.Dirty {
		s.DirtyDigest = Digest(changes)
	}
	for line := range strings.SplitSeq(status, "\x00") {
		if oid, ok := strings.CutPrefix(line, "# branch.oid "); ok && oid != "(initial)" {
			s.Commit = oid
		}
		if head, ok := strings.CutPrefix(line, "# branch.head "); ok && head != "(detached)" {
			s.Ref = "refs/heads/" + head
		}
	}
	if s.Commit == "" {
		return s, changes, errors.New("the branch has no commit yet; commit first, so that the evidence is about something")
	}
	if s.Ref == "" {
		// A detached head on a tag is what a release runs on.
		if tag, err := t.line(ctx, "describe", "--exact-match", "--tags", "HEAD"); err == nil {
			s.Ref = "refs/tags/" + tag
		}
	}
	return s, changes, nil
}

// Change is one path that differs from HEAD.
type Change struct {
	Path   string // relative to the root of the repository, forward slashes
	Status string // the first word of git's status, for example ".M" or "?"
	State  string // mode and SHA-256 of the content, or "absent"
}

// Changes lists what differs from HEAD in the working tree or the index, with
// the content that is there now, sorted by path. Ignored files and the
// excluded paths are not listed.
func (t Tree) Changes(ctx context.Context) ([]Change, error) {
	_, changes, err := t.status(ctx)
	if err != nil {
		return nil, err
	}
	_, hidden, err := t.known(ctx)
	return append(changes, hidden...), err
}

// Files are those of the source, as in [State], of a tree that need not have a commit.
func (t Tree) Files(ctx context.Context) ([]string, error) {
	out, err := t.git(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		return nil, explain(err)
	}
	return withNew(strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil, ""), nil
}

// known lists the files that git knows below the root, and those of them that
// it was told not to look at (skip-worktree, assume-unchanged) although they
// are there and take part.
func (t Tree) known(ctx context.Context) (files []string, hidden []Change, err error) {
	out, err := t.git(ctx, "ls-files", "-v", "-z")
	if err != nil {
		return nil, nil, explain(err)
	}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		tag, name, ok := strings.Cut(entry, " ")
		if !ok {
			continue
		}
		files = append(files, name)
		if tag != "S" && tag == strings.ToUpper(tag) {
			continue
		}
		content, err := state(filepath.Join(t.root, filepath.FromSlash(name)))
		if err != nil {
			return nil, nil, fmt.Errorf("file hidden from git: %w", err)
		}
		if content != absent {
			hidden = append(hidden, Change{Path: name, Status: "hidden", State: content})
		}
	}
	return files, hidden, nil
}

// withNew adds the files that git does not know yet. The paths of changes begin
// at the root of the repository, which prefix leads down from.
func withNew(known []string, changes []Change, prefix string) []string {
	for _, c := range changes {
		if name, below := strings.CutPrefix(c.Path, prefix); below && c.Status == "?" {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	return slices.Compact(known) // a file in conflict has an entry for each side
}

// status reads "git status --porcelain=v2 -z" (git-status(1), "Porcelain
// Format Version 2"), and returns it as it is, too, for its branch headers.
func (t Tree) status(ctx context.Context) (string, []Change, error) {
	args := []string{
		"status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames",
		"--", ":/", ":(exclude)" + MageMain, ":(exclude)magefiles/" + MageMain,
	}
	for _, path := range t.exclude {
		args = append(args, ":(exclude)"+filepath.ToSlash(path))
	}
	out, err := t.git(ctx, args...)
	if err != nil {
		return "", nil, explain(err)
	}
	top := ""
	var changes []Change
	for entry := range strings.SplitSeq(string(out), "\x00") {
		fields := map[string]int{"1": 9, "u": 11, "?": 2}[strings.SplitN(entry, " ", 2)[0]]
		if fields == 0 {
			continue
		}
		parts := strings.SplitN(entry, " ", fields)
		if len(parts) != fields {
			return "", nil, fmt.Errorf("git status: cannot read %q", entry)
		}
		c := Change{Status: parts[0], Path: parts[fields-1]}
		if fields > 2 {
			c.Status = parts[1]
		}
		if top == "" {
			if top, err = t.line(ctx, "rev-parse", "--show-toplevel"); err != nil {
				return "", nil, explain(err)
			}
		}
		c.State, err = state(filepath.Join(top, filepath.FromSlash(c.Path)))
		if err != nil {
			return "", nil, fmt.Errorf("changed file: %w", err)
		}
		changes = append(changes, c)
	}
	slices.SortFunc(changes, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return string(out), changes, nil
}

// Digest is the SHA-256 over a list of changes, as "sha256:" and hex: two
// trees on one commit with the same digest have the same content.
func Digest(changes []Change) string {
	hash := sha256.New()
	for _, c := range changes {
		fmt.Fprintf(hash, "%q %q %q\n", c.Status, c.Path, c.State)
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

// Differences lists the paths whose state is not the same in both lists.
func Differences(before, after []Change) []string {
	states := func(changes []Change) map[string]string {
		m := make(map[string]string, len(changes))
		for _, c := range changes {
			m[c.Path] = c.Status + c.State
		}
		return m
	}
	was, is := states(before), states(after)
	var paths []string
	for path, state := range is {
		if was[path] != state {
			paths = append(paths, path)
		}
	}
	for path := range was {
		if _, ok := is[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// absent is the state of a path at which there is nothing.
const absent = "absent"

func state(path string) (string, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, nil
	}
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := os.Readlink(path)
		if err != nil {
			return "", err
		}
		_, _ = io.WriteString(hash, link) // a hash takes everything
	case info.Mode().IsRegular():
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		if _, err := io.Copy(hash, file); err != nil {
			return "", err
		}
	default:
		// A nested repository shows as a directory; its own commits are its own business.
		return info.Mode().Type().String(), nil
	}
	return fmt.Sprintf("%v %x", info.Mode(), hash.Sum(nil)), nil
}

// withoutCredentials drops the user part of a URL; a remote may carry a token there.
func withoutCredentials(remote string) string {
	u, err := url.Parse(remote)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return remote
	}
	if _, hasPassword := u.User.Password(); hasPassword || u.Scheme == "http" || u.Scheme == "https" {
		u.User = nil
	}
	return u.String()
}

func (t Tree) line(ctx context.Context, args ...string) (string, error) {
	out, err := t.git(ctx, args...)
	return strings.TrimSpace(string(out)), err
}

func (t Tree) git(ctx context.Context, args ...string) ([]byte, error) {
	result, err := proc.Run(ctx, t.root, proc.Command{
		Name: "git", Args: args,
		Env: []string{"GIT_OPTIONAL_LOCKS=0", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0"},
	}, proc.Options{Capture: maxStatus})
	return result.Stdout, err
}

// explain turns what git says into what to do.
func explain(err error) error {
	var broken *proc.BrokenError
	var exit *proc.ExitError
	// The command line of git would hide what is wrong.
	switch {
	case errors.As(err, &broken) && strings.Contains(broken.Reason, "not installed"):
		return errors.New("git is not installed, so the commit cannot be told; install git")
	case errors.As(err, &exit) && strings.Contains(exit.Tail, "not a git repository"):
		return errors.New("this is not a git repository, so the commit cannot be told; run git init and commit")
	case errors.As(err, &exit) && strings.Contains(exit.Tail, "dubious ownership"):
		return errors.New("git does not trust the owner of this directory; run git config --global --add safe.directory DIR")
	}
	return err
}
