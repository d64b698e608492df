// SPDX-License-Identifier: MIT

// Package licence is a gate: every Go file says under which licence it is.
package licence

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// Options say what is asked for.
type Options struct {
	// Line is the first line that every Go file has.
	Line string `json:"line"`
}

const (
	id      = "licence"
	doc     = "Every Go file begins with its licence."
	runbook = "docs/runbooks.md#licence"
)

// Gate is the question as a target of its own.
func Gate(o Options) gates.Gate {
	return gates.Gate{ID: id, Doc: doc, Runbook: runbook, Area: id, Options: o, Steps: []gates.Step{Step(o)}}
}

// Step is the question as a step of another gate.
func Step(o Options) gates.Step {
	return gates.Step{ID: id, Doc: doc, Runbook: runbook, Run: o.look}
}

func (o Options) look(ctx context.Context, p *gates.Pass) error {
	files := 0
	err := filepath.WalkDir(p.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		name, err := filepath.Rel(p.Root, path)
		if err != nil || entry.IsDir() || filepath.Ext(name) != ".go" {
			return err
		}
		files++
		first, err := firstLine(path)
		if err != nil {
			return err // the gate could not look: that is UNVERIFIED, not FAIL
		}
		p.Check(evidence.Expect("licence.missing", filepath.ToSlash(name), first == o.Line, first, o.Line, "begin the file with "+o.Line))
		return nil
	})
	if err == nil && files == 0 {
		err = fmt.Errorf("%w: there is no Go file", gates.ErrNothingRan)
	}
	p.Fact("%d files", files)
	return err
}

func firstLine(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, 200)).ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return strings.TrimSpace(line), err
}
