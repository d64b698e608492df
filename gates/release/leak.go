package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/redact"
	"github.com/dpone/dpone/gates"
)

// Sizes of the window through which a subject is looked at. What overlaps is
// longer than a secret is, so one that a window cuts is whole in the next.
const (
	window  = 4 << 20
	overlap = 64 << 10
)

// examples are what documents and programs hold as examples: in a subject,
// which is not ours, they are no finding. Values of variables always are.
var examples = []string{"url-password", "password", "authorization", "bearer-token"}

// checkLeaks looks for secrets in what was made and in what is shipped. It says
// which and where, and never what.
func (a *attestation) checkLeaks(ctx context.Context, p *gates.Pass) error {
	const code, expected = "attest.leak", "no secret"
	const fix = "revoke the secret first; then find out how it got there, build again, attest again"
	r := redact.New(a.Environ, a.SecretNames...)
	looked := 0
	report := func(name string, labels []string) {
		looked++
		if len(labels) > 0 {
			a.check(p, evidence.Expect(code, name, false, "secret_leak: "+strings.Join(labels, ", "), expected, fix))
		}
	}
	a.mu.Lock()
	documents := slices.Clone(a.documents)
	a.mu.Unlock()
	for _, d := range documents {
		report(d.name, labels(r.Find(string(d.content)), nil))
	}
	buffer := make([]byte, window+overlap)
	for i, s := range a.subjects {
		p.Progress(i, len(a.subjects), s.name)
		list, err := look(ctx, r, s.copy, buffer)
		if err != nil {
			return fmt.Errorf("look for secrets in %s: %w", s.path, err)
		}
		report(s.path, list)
	}
	if a.verdict(stepSign) != evidence.Fail {
		a.check(p, evidence.Expect(code, "documents and subjects", true, expected+" in "+count(looked, "file"), expected, ""))
	}
	return nil
}

// look reads a file through the window. In a file that is no text only values
// of variables are looked for: anything else is found there by chance. The
// buffer holds a window.
func look(ctx context.Context, r *redact.Redactor, path string, buffer []byte) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var all []string
	var keep func(redact.Found) bool
	buffer = buffer[:0]
	for {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		n, err := io.ReadFull(file, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if keep == nil {
			text := isText(buffer)
			keep = func(f redact.Found) bool { return f.Value || text && !slices.Contains(examples, f.Label) }
		}
		for _, label := range labels(r.Find(string(buffer)), keep) {
			if !slices.Contains(all, label) {
				all = append(all, label)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		buffer = append(buffer[:0], buffer[len(buffer)-overlap:]...)
	}
}

func labels(all []redact.Found, keep func(redact.Found) bool) []string {
	var list []string
	for _, f := range all {
		if keep == nil || keep(f) {
			list = append(list, f.Label)
		}
	}
	return list
}

// isText says whether the beginning of a file is text.
func isText(head []byte) bool {
	head = head[:min(len(head), 8<<10)]
	// The end may be the beginning of a character.
	for cut := range utf8.UTFMax {
		if cut < len(head) && utf8.Valid(head[:len(head)-cut]) {
			return !bytes.ContainsRune(head, 0)
		}
	}
	return false
}
