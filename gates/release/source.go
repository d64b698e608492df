package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// The questions to git, in the order of askGit.
const (
	gitHead = iota
	gitCommit
	gitTag
	gitTime
	gitRemotes
	gitBranch
)

// askGit plans the questions. Replaced objects are not followed: they are of
// this clone only.
func (a *attestation) askGit(string) ([]proc.Command, error) {
	git := func(args ...string) proc.Command {
		return proc.Command{Name: "git", Args: args, Env: []string{"GIT_NO_REPLACE_OBJECTS=1", "GIT_OPTIONAL_LOCKS=0", "LC_ALL=C"}}
	}
	return []proc.Command{
		gitHead:    git("rev-parse", "--verify", "--quiet", "HEAD^{commit}"),
		gitCommit:  git("rev-parse", "--verify", "--quiet", a.Commit+"^{commit}"),
		gitTag:     git("rev-parse", "--verify", "--quiet", "refs/tags/"+a.Release+"^{commit}"),
		gitTime:    git("show", "--no-patch", "--format=%ct", a.Commit),
		gitRemotes: git("config", "--get-regexp", `^remote\..*\.url$`),
		gitBranch:  git("symbolic-ref", "--quiet", "HEAD"),
	}, nil
}

// line asks git for one line; "" when git says that there is no such thing.
func line(ctx context.Context, p *gates.Pass, question int) (string, error) {
	result, err := p.Exec(ctx, p.Commands[question], proc.Options{Stdout: io.Discard, Capture: 1 << 20})
	if code, ok := proc.ExitCode(err); ok && code == 1 {
		return "", nil
	}
	return strings.TrimSpace(string(result.Stdout)), err
}

// checkSource holds the commit, the version and the repository against git.
func (a *attestation) checkSource(ctx context.Context, p *gates.Pass) error {
	head, err := line(ctx, p, gitHead)
	if err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	commit, err := line(ctx, p, gitCommit)
	if code, ok := proc.ExitCode(err); ok && code == 128 {
		commit, err = "", nil // a name that git has no object for
	}
	if err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	// An annotated tag has a name of its own, which peels to its commit.
	exists := commit == a.Commit
	a.check(p, evidence.Expect("attest.commit", a.Commit, exists, found(commit, "no such commit here"), "a commit of this repository",
		"give the commit that was built; git fetch --unshallow if the clone is shallow"))
	a.check(p, evidence.Expect("attest.commit.head", a.Commit, head == a.Commit, "HEAD is "+found(head, "no commit"), "HEAD is "+a.Commit,
		"git switch --detach "+a.Commit))
	a.checkTree(p)
	if err := a.checkTag(ctx, p); err != nil {
		return err
	}
	if err := a.checkRepository(ctx, p); err != nil {
		return err
	}
	if !exists {
		return nil
	}
	text, err := line(ctx, p, gitTime)
	if err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("the time of the commit is %.80q", text)
	}
	raw, err := os.ReadFile(p.Root + "/go.mod")
	if err != nil {
		return fmt.Errorf("the module of the release: %w", err)
	}
	if a.module = modfile.ModulePath(raw); a.module == "" {
		return errors.New("go.mod names no module")
	}
	a.commitTime = time.Unix(seconds, 0).UTC()
	p.Fact("%s, %.12s", a.Release, a.Commit)
	return nil
}

func found(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// checkTree holds that what was built was the commit and nothing else.
func (a *attestation) checkTree(p *gates.Pass) {
	const code, subject, expected, fix = "attest.tree", "working tree", "as committed", "commit or remove it; what is built belongs into a folder that .gitignore names, such as dist/"
	switch n := len(p.Before); {
	case p.BeforeErr != nil:
		a.check(p, evidence.CouldNotTell(code, subject, expected, p.BeforeErr.Error(), "run the gate in a checkout of the release"))
	case n > 0:
		observed := p.Before[0].Path
		if n > 1 {
			observed += fmt.Sprintf(" and %d more", n-1)
		}
		a.check(p, evidence.Expect(code, subject, false, observed+" differs from the commit", expected, fix))
	default:
		a.check(p, evidence.Expect(code, subject, true, expected, expected, ""))
	}
}

// checkTag holds that the version is the name of the commit. A tag that is not
// there proves nothing: it may not have been fetched.
func (a *attestation) checkTag(ctx context.Context, p *gates.Pass) error {
	tagged, err := line(ctx, p, gitTag)
	if err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	const code = "attest.tag"
	expected := "tag of " + a.Commit
	a.ref = "refs/tags/" + a.Release
	switch {
	case tagged != "":
		a.check(p, evidence.Expect(code, a.Release, tagged == a.Commit, "tag of "+tagged, expected, "release the commit of the tag; never move a tag that others may have"))
		return nil
	case a.Untagged:
		a.check(p, evidence.Skipped(code, a.Release, expected, "there is no such tag, and -untagged allows that for a pre-release", ""))
	default:
		a.check(p, evidence.CouldNotTell(code, a.Release, expected, "there is no such tag here", "git tag -a "+a.Release+" "+a.Commit+", or git fetch --tags; -untagged for a pre-release"))
	}
	// Of what the ref is then, git may say; a detached HEAD has none.
	if a.ref, err = line(ctx, p, gitBranch); err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	if a.ref == "" {
		a.ref = a.Commit
	}
	return nil
}

// checkRepository holds the stated repository against the remotes.
func (a *attestation) checkRepository(ctx context.Context, p *gates.Pass) error {
	const code = "attest.repository"
	text, err := line(ctx, p, gitRemotes)
	if err != nil {
		return fmt.Errorf("ask git: %w", err)
	}
	want := address(a.Repository)
	var remotes []string
	for l := range strings.Lines(text) {
		if _, remote, ok := strings.Cut(strings.TrimSpace(l), " "); ok {
			remotes = append(remotes, address(remote))
			if remotes[len(remotes)-1] == want {
				a.check(p, evidence.Expect(code, a.Repository, true, "a remote of this clone", "a remote of this clone", ""))
				return nil
			}
		}
	}
	if len(remotes) == 0 {
		a.check(p, evidence.CouldNotTell(code, a.Repository, "a remote of this clone", "the clone has no remote", "git remote add origin "+a.Repository))
		return nil
	}
	a.check(p, evidence.Expect(code, a.Repository, false, "the remotes are "+strings.Join(remotes, ", "), "a remote of this clone", "give the repository that was released, or release from a clone of it"))
	return nil
}

var scpForm = regexp.MustCompile(`^(?:[^@/:]+@)?([^/:]+):([^/].*)$`)

// address is host and path of a remote, however it is written and without
// credentials: git@host:owner/name.git and https://host/owner/name are one.
func address(remote string) string {
	var host, where string
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		host, where = u.Hostname(), u.Path
	} else if m := scpForm.FindStringSubmatch(remote); m != nil {
		host, where = m[1], m[2]
	} else {
		return "a path of this machine"
	}
	return strings.ToLower(host + "/" + strings.TrimSuffix(strings.Trim(where, "/"), ".git"))
}
