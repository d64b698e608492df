//go:build unix

package gates_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/junit"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// TestNoSecretReachesTheDisk plants secrets wherever a step can put text: in
// the output of a program that fails, in files it writes, in checks, facts,
// warnings, errors, options, the command line and the test cases.
func TestNoSecretReachesTheDisk(t *testing.T) {
	secrets := map[string]string{
		"DPONE_API_TOKEN": `s3cr3t/with "quotes" & <angles>+plus`,
		"PG_DSN":          "postgres://dba:Pa55w%2Frd@db.example.com/prod",
		"PLAINLY_NAMED":   "only-the-list-knows-this-one",
		"SIGNING_KEY":     "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIHQ3dGhpc2lzbm90YXJlYWxrZXl0aGlzaXNub3Rh\n-----END PRIVATE KEY-----",
	}
	var environ []string
	for name, value := range secrets {
		environ = append(environ, name+"="+value)
		t.Setenv(name, value)
	}
	token := "ghp_" + strings.Repeat("a1B2", 9)
	plain := secrets["DPONE_API_TOKEN"]
	quoted, err := json.Marshal(plain)
	assert.NilError(t, err)
	forms := []string{
		plain, base64.StdEncoding.EncodeToString([]byte(plain)), url.QueryEscape(plain), strings.Trim(string(quoted), `"`),
		"Pa55w%2Frd", "Pa55w/rd", secrets["PLAINLY_NAMED"], "MC4CAQAwBQYDK2VwBCIEIHQ3dGhpc2lzbm90YXJlYWxrZXl0aGlzaXNub3Rh", token,
	}
	everything := strings.Join(forms, "\n") + "\n" + secrets["PG_DSN"] + "\n" + secrets["SIGNING_KEY"]

	leaky := step("leaky", func(ctx context.Context, p *gates.Pass) error {
		p.Logf("%s", everything)
		p.Fact("%s", everything)
		p.Warn("%s", everything)
		p.Skip("it", everything)
		p.Show(everything)
		p.Progress(1, 2, everything)
		p.Check(evidence.Expect("x.leak", everything, false, everything, everything, everything))
		p.Suite(junit.Suite{Name: "s", Cases: []junit.Case{{Name: everything, SystemOut: everything, Failure: &junit.Detail{Message: everything, Body: everything}}}})
		for _, name := range []string{"child.txt", "logs/other.log", "x-" + secrets["PLAINLY_NAMED"]} {
			if err := os.WriteFile(p.Folder().Path(name), []byte(everything), 0o600); err != nil {
				return err
			}
		}
		_, err := p.Exec(ctx, p.Commands[0], proc.Options{})
		return fmt.Errorf("%s: %w", everything, err)
	})
	leaky.Commands = func(string) ([]proc.Command, error) {
		return []proc.Command{{Name: "sh", Args: []string{"-c", `printf '%s\n' "$DPONE_API_TOKEN" "$PG_DSN" "$PLAINLY_NAMED" "$SIGNING_KEY" "$1" >&2; exit 7`, "sh", everything}}}, nil
	}
	g := gate(leaky)
	g.Options = struct{ Note string }{everything}
	var shown []string
	outcome := run(t, t.Context(), g, gates.Options{
		Environ: environ, SecretNames: []string{"PLAINLY_NAMED"}, Command: "mage x -token=" + plain,
		Sink: func(e gates.Event) {
			raw, err := json.Marshal(e)
			assert.NilError(t, err)
			shown = append(shown, string(raw))
		},
	})
	assert.Equal(t, outcome.Record.Verdict, evidence.Fail)
	assert.DeepEqual(t, outcome.Record.Volatile.SecretNames, []string{"DPONE_API_TOKEN", "PG_DSN", "PLAINLY_NAMED", "SIGNING_KEY"})

	look := func(where, content string) {
		for _, form := range forms {
			inJSON, err := json.Marshal(form)
			assert.NilError(t, err)
			for _, f := range []string{form, strings.Trim(string(inJSON), `"`)} {
				assert.Check(t, !strings.Contains(content, f), "%s holds %q", where, f)
			}
		}
	}
	files := 0
	assert.NilError(t, filepath.WalkDir(outcome.Folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		look("the name "+path, entry.Name())
		raw, err := os.ReadFile(path)
		look(path, string(raw))
		return err
	}))
	assert.Equal(t, files, 7) // record.json, record.md, junit.xml, index.json, the log, two files of the child
	for _, e := range shown {
		look("an event", e)
	}
}

func TestHugeAndBinaryOutput(t *testing.T) {
	var finish *gates.StepFinish
	outcome := run(t, t.Context(), gate(
		sh("huge", "head -c 20000000 /dev/zero | tr '\\0' 'x'; echo; echo the end; exit 1"),
		sh("binary", "head -c 100000 /dev/urandom; printf '\\033[2J\\r'; exit 1"),
	), gates.Options{Jobs: 1, Sink: func(e gates.Event) {
		if e.Kind == gates.EventStepFinished && e.Step == "huge" {
			finish = e.Finish
		}
	}})
	assert.Equal(t, outcome.ExitCode(), 3)
	info, err := os.Stat(filepath.Join(outcome.Folder, "logs", "huge.log"))
	assert.NilError(t, err)
	assert.Assert(t, info.Size() < 17<<20, "%d bytes", info.Size())
	raw, err := os.ReadFile(filepath.Join(outcome.Folder, "logs", "huge.log"))
	assert.NilError(t, err)
	assert.Check(t, is.Contains(string(raw[len(raw)-20000:]), "bytes left out"))
	assert.Check(t, is.Contains(string(raw[len(raw)-200:]), "the end"))
	assert.Check(t, is.Contains(finish.Output, "the end"))
	assert.Assert(t, len(finish.Output) < 32<<10)
}

// limited is a directory on a file system of its own size.
func limited(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a tmpfs: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.Check(t, exec.Command("umount", dir).Run()) })
	return dir
}

// A log that fills the disk costs the step its verdict, and not the run its
// record: space for that was set aside.
func TestFullDisk(t *testing.T) {
	artifacts := limited(t, "2m")
	outcome := run(t, t.Context(), gate(sh("flood", "head -c 5000000 /dev/zero | tr '\\0' 'x'"), step("ok", green)), gates.Options{Artifacts: artifacts, Jobs: 1})
	flood := find(t, outcome, "flood")
	assert.Equal(t, flood.Verdict, evidence.Unverified)
	assert.Check(t, is.Contains(flood.Reason, "no space left on device"))
	assert.Equal(t, find(t, outcome, "ok").Verdict, evidence.Pass)
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Assert(t, strings.HasPrefix(outcome.Folder, artifacts))
}

// A disk with no room at all: the evidence goes elsewhere and says so.
func TestDiskWithoutRoom(t *testing.T) {
	artifacts := limited(t, "64k")
	t.Setenv("TMPDIR", t.TempDir())
	outcome := run(t, t.Context(), gate(step("ok", green)), gates.Options{Artifacts: artifacts})
	assert.Equal(t, outcome.ExitCode(), 0)
	assert.Assert(t, strings.HasPrefix(outcome.Folder, folder.Fallback()))
	assert.Check(t, is.Contains(strings.Join(outcome.Record.Volatile.Notes, "\n"), "no space left on device"))
}

func TestNoPlaceForEvidence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	assert.NilError(t, os.WriteFile(file, nil, 0o600))
	t.Setenv("TMPDIR", file) // where nothing can be made
	outcome, err := gates.Run(t.Context(), gate(step("ok", green)), gates.Options{Root: repository(t), Artifacts: file})
	assert.NilError(t, err)
	assert.ErrorContains(t, outcome.Trouble, file)
	assert.Equal(t, outcome.ExitCode(), 3, "what nobody can check is not PASS")
	assert.Equal(t, outcome.Folder, "")
}

// The disk fills up while the end is written: the whole record goes elsewhere.
func TestRecordThatCannotBeWritten(t *testing.T) {
	artifacts := filepath.Join(t.TempDir(), "a")
	t.Setenv("TMPDIR", t.TempDir())
	outcome := gateThatLosesItsFolder(t, artifacts)
	assert.Assert(t, outcome.Trouble != nil)
	assert.Equal(t, outcome.ExitCode(), 3)
	assert.Assert(t, strings.HasPrefix(outcome.Folder, folder.Fallback()), outcome.Folder)
}

func gateThatLosesItsFolder(t *testing.T, artifacts string) gates.Outcome {
	t.Helper()
	g := gate(step("ok", green))
	g.Finally = func(f *folder.Folder) error {
		if strings.HasPrefix(f.Dir(), artifacts) {
			return os.RemoveAll(f.Dir())
		}
		return nil
	}
	outcome, err := gates.Run(t.Context(), g, gates.Options{Root: repository(t), Artifacts: artifacts})
	assert.NilError(t, err)
	return outcome
}

func TestReadOnlySourceTree(t *testing.T) {
	root := repository(t)
	mount := t.TempDir()
	if out, err := exec.Command("mount", "--bind", root, mount).CombinedOutput(); err != nil {
		t.Skipf("needs to bind-mount: %v: %s", err, out)
	}
	t.Cleanup(func() { assert.Check(t, exec.Command("umount", mount).Run()) })
	assert.NilError(t, exec.Command("mount", "-o", "remount,ro,bind", mount).Run())
	t.Setenv("TMPDIR", t.TempDir())
	outcome := run(t, t.Context(), gate(sh("a", "cat go.mod")), gates.Options{Root: mount})
	assert.Equal(t, outcome.Record.Verdict, evidence.Pass, "%+v", outcome.Record.Stable.Blockers)
	assert.Assert(t, strings.HasPrefix(outcome.Folder, folder.Fallback()))
	assert.Check(t, is.Contains(strings.Join(outcome.Record.Volatile.Notes, "\n"), "read-only"))

	chosen := t.TempDir()
	outcome = run(t, t.Context(), gate(sh("a", "cat go.mod")), gates.Options{Root: mount, Artifacts: chosen})
	assert.Assert(t, strings.HasPrefix(outcome.Folder, chosen))
	assert.Equal(t, len(outcome.Record.Volatile.Notes), 0)
}

func TestPlanThatCannotReadTheTree(t *testing.T) {
	s := step("a", green)
	s.Commands = func(root string) ([]proc.Command, error) {
		_, err := os.ReadDir(filepath.Join(root, "no-such-directory"))
		return nil, err
	}
	outcome := run(t, t.Context(), gate(s), gates.Options{})
	a := find(t, outcome, "a")
	assert.Equal(t, a.Cause, evidence.CauseBroken)
	assert.Check(t, is.Contains(a.Reason, "no-such-directory"))
}

// Links and oversized files that a step leaves are not evidence.
func TestWhatIsNoFileIsRemoved(t *testing.T) {
	outcome := run(t, t.Context(), gate(step("a", func(ctx context.Context, p *gates.Pass) error {
		if err := os.Symlink("/etc/passwd", p.Folder().Path("link")); err != nil {
			return err
		}
		return green(ctx, p)
	})), gates.Options{})
	_, err := os.Lstat(filepath.Join(outcome.Folder, "link"))
	assert.Assert(t, os.IsNotExist(err))
	assert.Check(t, is.Contains(strings.Join(outcome.Record.Volatile.Notes, "\n"), "link was removed"))
}
