package secrets_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/gatetest"
	"github.com/dpone/dpone/gates/security/secrets"
)

// Nothing here may look like a secret: the gate looks at this file, too. So all
// of them are put together at run time.

func letters(n int) string { return (rand.Text() + rand.Text() + rand.Text())[:n] }

// token is a value that gitleaks knows by its prefix, and a verified-only scanner
// would pass over: no issuer has heard of it.
func token() string { return "gh" + "p_" + letters(36) }

// made is a password that a person made up.
func made() string { return "Correct" + "-horse-" + fmt.Sprint(time.Now().Nanosecond()) + "!" }

func keyBlock(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	assert.NilError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	assert.NilError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE" + " KEY", Bytes: der}))
}

func repository(t *testing.T) string {
	t.Helper()
	return gatetest.Repository(t, "-- go.mod --\nmodule example.com/x\n\ngo 1.26\n-- x.go --\npackage x\n")
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	assert.NilError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	assert.NilError(t, os.WriteFile(path, []byte(text), 0o644))
}

// run runs the gate and holds that no secret is anywhere in the run folder.
func run(t *testing.T, dir string, o secrets.Options, hidden ...string) (gates.Outcome, evidence.Step) {
	t.Helper()
	var shown bytes.Buffer
	outcome := gatetest.Run(t, secrets.Gate(o), gates.Options{
		Root: dir, Artifacts: t.TempDir(), Sink: func(e gates.Event) { fmt.Fprintf(&shown, "%+v\n", e) },
	})
	text := shown.String()
	assert.NilError(t, filepath.WalkDir(outcome.Folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		text += string(raw)
		return err
	}))
	for _, secret := range hidden {
		assert.Assert(t, !strings.Contains(text, secret), "the secret itself is shown")
	}
	return outcome, gatetest.Step(t, outcome, secrets.ID)
}

// red are the checks that are FAIL, as "code subject: observed".
func red(step evidence.Step) []string {
	var all []string
	for _, c := range step.Checks {
		if c.Verdict == evidence.Fail {
			all = append(all, c.Code+" "+c.Subject+": "+c.Observed)
		}
	}
	return all
}

func only(t *testing.T, step evidence.Step, pattern string) {
	t.Helper()
	all := red(step)
	assert.Assert(t, len(all) == 1 && regexp.MustCompile(pattern).MatchString(all[0]), "want %s, got %d: %s", pattern, len(all), strings.Join(all, "\n"))
	assert.Equal(t, step.Verdict, evidence.Fail)
}

func TestGreen(t *testing.T) {
	t.Parallel()
	outcome, step := run(t, repository(t), secrets.Options{})
	assert.Equal(t, outcome.ExitCode(), 0, "%v", step)
	verdicts := map[string]evidence.Verdict{}
	for _, c := range step.Checks {
		verdicts[c.Code] = c.Verdict
	}
	assert.DeepEqual(t, verdicts, map[string]evidence.Verdict{
		"security.secrets.history": evidence.Pass, "security.secrets.none": evidence.Pass, "security.secrets.live": evidence.Skip,
	})
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, secrets.Report))
	assert.NilError(t, err)
	assert.Assert(t, strings.Contains(string(raw), `"results": []`))
	assert.Equal(t, outcome.Record.Volatile.Steps[0].Fact, "0 findings, 0 of them allowed; 2 blobs, 1 messages, 2 files")
}

func TestPlanted(t *testing.T) {
	t.Parallel()
	tok, pass, key := token(), made(), keyBlock(t)
	signer, _, err := note.GenerateKey(nil, "example.com/log")
	assert.NilError(t, err)
	private := "glp" + "at-" + letters(20)
	for name, c := range map[string]struct {
		secret string
		plant  func(t *testing.T, dir string)
		want   string
	}{
		"token in the tree, committed": {tok, func(t *testing.T, dir string) {
			write(t, dir, "a/b.go", "package b\n\nconst t = \""+tok+"\"\n")
			gatetest.Commit(t, dir)
		}, `^security\.secrets\.tree a/b\.go:3: github-pat \(value [0-9a-f]{6}\)$`},
		"token in the tree, untracked": {tok, func(t *testing.T, dir string) {
			write(t, dir, "notes.txt", "t = "+tok+"\n")
		}, `^security\.secrets\.tree notes\.txt:1: github-pat`},
		"token in the index alone": {tok, func(t *testing.T, dir string) {
			write(t, dir, "notes.txt", "t = "+tok+"\n")
			gatetest.Git(t, dir, "add", "notes.txt")
			assert.NilError(t, os.Remove(filepath.Join(dir, "notes.txt")))
		}, `^security\.secrets\.past notes\.txt in the index, line 1: github-pat`},
		"token in an old commit, deleted later": {tok, func(t *testing.T, dir string) {
			write(t, dir, "old.env", "\nT="+tok+"\n")
			gatetest.Commit(t, dir)
			gatetest.Git(t, dir, "rm", "-q", "old.env")
			gatetest.Commit(t, dir)
		}, `^security\.secrets\.past old\.env of commit [0-9a-f]{12}, line 2: github-pat`},
		"token in a ref that was not merged": {tok, func(t *testing.T, dir string) {
			gatetest.Git(t, dir, "checkout", "-q", "-b", "side")
			write(t, dir, "side.txt", tok+"\n")
			gatetest.Commit(t, dir)
			gatetest.Git(t, dir, "checkout", "-q", "master")
		}, `^security\.secrets\.past side\.txt of commit [0-9a-f]{12}, line 1: github-pat`},
		"token that only a merge brought in": {tok, func(t *testing.T, dir string) {
			gatetest.Git(t, dir, "checkout", "-q", "-b", "side")
			write(t, dir, "side.txt", "side\n")
			gatetest.Commit(t, dir)
			gatetest.Git(t, dir, "checkout", "-q", "master")
			gatetest.Git(t, dir, "merge", "-q", "--no-ff", "--no-commit", "side")
			write(t, dir, "side.txt", tok+"\n")
			gatetest.Commit(t, dir)
			write(t, dir, "side.txt", "side\n")
			gatetest.Commit(t, dir)
		}, `^security\.secrets\.past side\.txt of commit [0-9a-f]{12}, line 1: github-pat`},
		"token in the message of a commit": {tok, func(t *testing.T, dir string) {
			gatetest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "use "+tok)
		}, `^security\.secrets\.past message of commit [0-9a-f]{40}, line \d+: github-pat`},
		"token in the message of a tag": {tok, func(t *testing.T, dir string) {
			gatetest.Git(t, dir, "tag", "-a", "v1", "-m", "use "+tok)
		}, `^security\.secrets\.past message of tag [0-9a-f]{40}, line \d+: github-pat`},
		"token in what an attribute calls binary": {tok, func(t *testing.T, dir string) {
			write(t, dir, ".gitattributes", "* -diff binary\n")
			write(t, dir, "b.txt", tok+"\n")
			gatetest.Commit(t, dir)
			gatetest.Git(t, dir, "rm", "-q", "b.txt")
			gatetest.Commit(t, dir)
		}, `^security\.secrets\.past b\.txt of commit`},
		"token in a file that gitleaks never opens by its name": {tok, func(t *testing.T, dir string) {
			write(t, dir, "node_modules/x.svg", "<!-- "+tok+" -->\n")
		}, `^security\.secrets\.tree node_modules/x\.svg:1: github-pat`},
		"token beside a comment that would excuse it": {tok, func(t *testing.T, dir string) {
			write(t, dir, "x.txt", tok+" # gitleaks:"+"allow\n")
			write(t, dir, ".gitleaks.toml", "title = 'none'\n")
		}, `^security\.secrets\.tree x\.txt:1: github-pat`},
		"private token": {private, func(t *testing.T, dir string) {
			write(t, dir, "x.sh", "curl -H 'x: "+private+"'\n")
		}, `^security\.secrets\.tree x\.sh:1: gitlab-pat`},
		"generic password": {pass, func(t *testing.T, dir string) {
			write(t, dir, "x.py", "db_"+"password = '"+pass+"'\n")
		}, `^security\.secrets\.tree x\.py:1: password-literal`},
		"generic password in YAML": {"a1" + pass, func(t *testing.T, dir string) {
			write(t, dir, "x.yaml", "db:\n  pass"+"word: a1"+pass+"\n")
		}, `^security\.secrets\.tree x\.yaml:2: password-setting`},
		"password in a URL": {pass, func(t *testing.T, dir string) {
			write(t, dir, "x.txt", "postgres"+"://app:"+pass+"@db.example.com/x\n")
		}, `^security\.secrets\.tree x\.txt:1: password-in-url`},
		"private key block": {strings.Split(key, "\n")[1], func(t *testing.T, dir string) {
			write(t, dir, "key.pem", key)
		}, `^security\.secrets\.tree key\.pem:1: private-key`},
		"private key block without its end": {strings.Split(key, "\n")[1], func(t *testing.T, dir string) {
			write(t, dir, "key.txt", strings.Join(strings.Split(key, "\n")[:2], "\n")+"\n")
		}, `^security\.secrets\.tree key\.txt:1: private-key-cut`},
		"signer key of an evidence log": {signer[len(signer)-30:], func(t *testing.T, dir string) {
			write(t, dir, "log.txt", signer+"\n")
		}, `^security\.secrets\.tree log\.txt:1: note-signer-key`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := repository(t)
			c.plant(t, dir)
			outcome, step := run(t, dir, secrets.Options{}, c.secret)
			if strings.HasPrefix(name, "private key block") {
				// Two rules know the block.
				assert.Assert(t, regexp.MustCompile(c.want).MatchString(red(step)[0]), "%v", red(step))
			} else {
				only(t, step, c.want)
			}
			assert.Equal(t, outcome.ExitCode(), 1)
		})
	}
}

// allow writes an allow-list for the only finding of the step.
func allow(t *testing.T, dir string, step evidence.Step, more string) {
	t.Helper()
	m := regexp.MustCompile(`^(\S+) \(value ([0-9a-f]{6})\)$`).FindStringSubmatch(step.Checks[1].Observed)
	assert.Assert(t, m != nil, "%v", step.Checks)
	write(t, dir, secrets.AllowFile, fmt.Sprintf("allow:\n  - rule: %s\n    paths: [x.txt]\n    values: [%q]\n%s", m[1], m[2], more))
}

func TestAllowList(t *testing.T) {
	t.Parallel()
	dir, tok := repository(t), token()
	write(t, dir, "x.txt", tok+"\n")
	gatetest.Commit(t, dir)
	_, found := run(t, dir, secrets.Options{}, tok)
	only(t, found, "github-pat")
	today := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		more string
		want []string // of each red check
	}{
		"with a reason":                {"    reason: made up for this very test\n", nil},
		"on its last day":              {"    reason: made up for this very test\n    expires: 2027-01-31\n", nil},
		"without a reason":             {"", []string{`github-pat \(value`, `entry 1, github-pat: its reason "" says nothing`}},
		"expired":                      {"    reason: made up for this very test\n    expires: 2027-01-30\n", []string{"value", "expired after 2027-01-30"}},
		"another that matches nothing": {"    reason: made up for this very test\n  - {rule: jwt, paths: [x.txt], values: [\"000000\"], reason: nothing is like this}\n", []string{`entry 2, jwt, path x\.txt: nothing was found`, "entry 2, jwt, value 000000: nothing was found"}},
		"without values":               {"    reason: made up for this very test\n  - {rule: jwt, paths: [x.txt], reason: nothing is like this}\n", []string{"value", "entry 2 has no rule, no paths or no values"}},
		"with a key that is unknown":   {"    reason: made up for this very test\n    note: hello\n", []string{"value", "field note not found"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			clone := t.TempDir()
			gatetest.Git(t, dir, "worktree", "prune")
			assert.NilError(t, os.CopyFS(clone, os.DirFS(dir)))
			allow(t, clone, found, c.more)
			outcome, step := run(t, clone, secrets.Options{Today: today}, tok)
			all := red(step)
			assert.Equal(t, len(all), len(c.want), "%s", strings.Join(all, "\n"))
			for _, want := range c.want {
				assert.Assert(t, regexp.MustCompile(want).MatchString(strings.Join(all, "\n")), "%s in %v", want, all)
			}
			assert.Equal(t, outcome.ExitCode(), min(len(c.want), 1))
		})
	}
}

func TestShallowCloneIsUnverified(t *testing.T) {
	t.Parallel()
	dir, tok := repository(t), token()
	write(t, dir, "x.txt", tok+"\n")
	gatetest.Commit(t, dir)
	gatetest.Git(t, dir, "rm", "-q", "x.txt")
	gatetest.Commit(t, dir)
	clone := filepath.Join(t.TempDir(), "clone")
	gatetest.Git(t, dir, "clone", "-q", "--depth=1", "file://"+dir, clone)
	write(t, clone, secrets.AllowFile, "allow:\n  - {rule: github-pat, paths: [x.txt], values: [\"000000\"], reason: it is in the part that is not here}\n")
	outcome, step := run(t, clone, secrets.Options{}, tok)
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Equal(t, step.Checks[0].Code, "security.secrets.history")
	assert.Equal(t, step.Checks[0].Verdict, evidence.Unverified)
	assert.Equal(t, len(red(step)), 0)
}

// A clone that left out objects is not the whole history.
func TestPartialCloneIsUnverified(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	write(t, dir, "big.txt", strings.Repeat("big\n", 5000))
	gatetest.Commit(t, dir)
	gatetest.Git(t, dir, "rm", "-q", "big.txt")
	gatetest.Commit(t, dir)
	gatetest.Git(t, dir, "config", "uploadpack.allowFilter", "true")
	clone := filepath.Join(t.TempDir(), "clone")
	gatetest.Git(t, dir, "clone", "-q", "--filter=blob:limit=1k", "file://"+dir, clone)
	// What it would be fetched from is gone.
	gatetest.Git(t, clone, "remote", "set-url", "origin", "file://"+filepath.Join(clone, "none"))
	outcome, step := run(t, clone, secrets.Options{})
	assert.Equal(t, outcome.ExitCode(), 3, "%v", step)
}

func TestOtherThanARepositoryIsUnverified(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "go.mod", "module example.com/x\n")
	outcome, _ := run(t, dir, secrets.Options{})
	assert.Equal(t, outcome.ExitCode(), 3)
}

// Links lead to what is not ours to read, and are no content.
func TestLinksAreNotFollowed(t *testing.T) {
	t.Parallel()
	dir, outside := repository(t), filepath.Join(t.TempDir(), "secret.txt")
	assert.NilError(t, os.WriteFile(outside, []byte(token()+"\n"), 0o600))
	assert.NilError(t, os.Symlink(outside, filepath.Join(dir, "link.txt")))
	outcome, step := run(t, dir, secrets.Options{})
	assert.Equal(t, outcome.ExitCode(), 0, "%v", step)
}

func TestLiveWithoutTrufflehogIsUnverified(t *testing.T) {
	t.Parallel()
	if path, err := exec.LookPath("trufflehog"); err == nil {
		t.Skipf("%s is installed", path)
	}
	outcome, step := run(t, repository(t), secrets.Options{Live: true})
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Equal(t, step.Checks[len(step.Checks)-1].Reason, "trufflehog is not installed, and gitleaks asks no issuers")
}
