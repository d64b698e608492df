// Package doctor tells what is installed, what each missing thing would
// disable, and how to get it. A missing necessity is UNVERIFIED, a missing
// option SKIP; it never fails a machine for what it lacks.
package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// Area is the folder below the artifacts that the runs go to.
const Area = "doctor"

// Options are what is asked for; there is nothing to choose.
type Options struct{}

// thing is a program that gates use.
type thing struct {
	id, name string
	// programs are tried in this order; args make one tell its version.
	programs []string
	args     []string
	// places are directories, with wildcards, to look in besides the PATH.
	places []string
	// needed means that no gate works without it.
	needed bool
	// disables and get are for the reader.
	disables, get string
}

var things = []thing{
	{
		id: "go", name: "Go", programs: []string{"go"}, args: []string{"env", "GOVERSION"}, needed: true,
		disables: "every gate", get: "https://go.dev/doc/install",
	},
	{
		id: "git", name: "git", programs: []string{"git"}, args: []string{"--version"}, needed: true,
		disables: "every verdict: evidence has to name a commit", get: "apt-get install git",
	},
	{
		id: "compiler", name: "C compiler", programs: []string{"gcc", "clang"}, args: []string{"--version"},
		disables: "the race detector in ci:test", get: "apt-get install gcc libc6-dev",
	},
	{
		id: "postgresql", name: "PostgreSQL server", programs: []string{"postgres"}, args: []string{"--version"},
		places:   []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin"},
		disables: "gates that run against a local PostgreSQL", get: "apt-get install postgresql",
	},
	{
		id: "mariadb", name: "MariaDB server", programs: []string{"mariadbd", "mysqld"}, args: []string{"--version"},
		places:   []string{"/usr/sbin", "/usr/libexec", "/opt/homebrew/opt/mariadb/bin"},
		disables: "gates that run against a local MariaDB", get: "apt-get install mariadb-server",
	},
	{
		id: "browser", name: "browser", programs: []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}, args: []string{"--version"},
		places:   []string{"/Applications/Google Chrome.app/Contents/MacOS"},
		disables: "gates that look at pages in a real browser", get: "apt-get install chromium",
	},
	{
		id: "docker", name: "Docker engine", programs: []string{"docker"}, args: []string{"version", "--format", "{{.Server.Version}}"},
		disables: "gates that start services in containers", get: "https://docs.docker.com/engine/install/",
	},
}

// patience bounds how long a program may take to tell its version.
const patience = 20 * time.Second

// Gate looks for each thing in a step of its own.
func Gate() gates.Gate { return gate(things) }

func gate(things []thing) gates.Gate {
	g := gates.Gate{
		ID: "doctor", Doc: "What gates need is installed.", Runbook: "docs/runbooks.md#doctor",
		Area: Area, Options: Options{},
	}
	for _, t := range things {
		g.Steps = append(g.Steps, t.step())
	}
	return g
}

func (t thing) step() gates.Step {
	path := t.find()
	step := gates.Step{
		ID: "doctor:" + t.id, Doc: t.name + " is installed and answers.", Runbook: "docs/runbooks.md#doctor",
		Reproduce: "mage doctor", Timeout: patience,
	}
	if path != "" {
		step.Commands = func(string) ([]proc.Command, error) {
			return []proc.Command{{Name: path, Args: t.args}}, nil
		}
	}
	step.Run = func(ctx context.Context, p *gates.Pass) error {
		code := "doctor." + t.id
		if path == "" {
			t.missing(p, code, strings.Join(t.programs, " or ")+" was not found")
			return nil
		}
		result, err := p.Exec(ctx, p.Commands[0], proc.Options{Capture: 64 << 10})
		version, _, _ := strings.Cut(strings.TrimSpace(string(result.Stdout)), "\n")
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || version == "" {
			reason := path + " does not answer"
			if err != nil {
				reason = err.Error()
			}
			t.missing(p, code, reason)
			return nil
		}
		p.Check(evidence.Expect(code, t.name, true, version, "installed", ""))
		p.Fact("%s", version)
		return nil
	}
	return step
}

// missing reports what the lack of the thing means.
func (t thing) missing(p *gates.Pass, code, why string) {
	reason := fmt.Sprintf("%s; without it: no %s", why, strings.TrimPrefix(t.disables, "no "))
	if t.needed {
		p.Check(evidence.CouldNotTell(code, t.name, "installed", reason, t.get))
		return
	}
	p.Check(evidence.Skipped(code, t.name, "installed", reason, t.get))
	p.Fact("not available; to get it: %s", t.get)
}

// find is the path of the first program that is there, or "".
func (t thing) find() string {
	for _, program := range t.programs {
		if path, err := exec.LookPath(program); err == nil {
			return path
		}
		for _, place := range t.places {
			found, err := filepath.Glob(filepath.Join(place, program))
			if err != nil {
				continue // the pattern is ours and well-formed
			}
			slices.Sort(found)
			for _, path := range slices.Backward(found) {
				if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
					return path
				}
			}
		}
	}
	return ""
}
