package secrets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

// liveFound is trufflehog's exit code for a verified secret, with --fail.
const liveFound = 183

const maxLive = 64 << 20

// live has trufflehog ask the issuers about what it takes for secrets.
func live() proc.Command {
	return proc.Command{Name: "trufflehog", Args: []string{"git", "file://.", "--results=verified", "--json", "--no-update", "--fail", "--fail-on-scan-errors"}}
}

// checkLive asks whether a secret still works. Only its issuer can tell, and
// the only way to ask is to show it to them; so it is done on request alone.
func (o Options) checkLive(ctx context.Context, p *gates.Pass) error {
	const code, subject, want = "security.secrets.live", "secrets that still work", "none"
	if !o.Live {
		p.Check(evidence.Skipped(code, subject, want, "not asked for: every finding is red whether it works or not, and asking shows it to its issuer", "mage security:secrets -live, with trufflehog on the PATH and a network"))
		return nil
	}
	if !installed("trufflehog") {
		p.Check(evidence.CouldNotTell(code, subject, want, "trufflehog is not installed, and gitleaks asks no issuers", "https://github.com/trufflesecurity/trufflehog"))
		return nil
	}
	// Its report holds the secrets: it is kept out of the log.
	result, err := p.Exec(ctx, p.Commands[cmdLive], proc.Options{Stdout: io.Discard, Capture: maxLive})
	exit, exited := proc.ExitCode(err)
	if err != nil && (!exited || exit != liveFound) {
		if ctx.Err() != nil {
			return err
		}
		p.Check(evidence.CouldNotTell(code, subject, want, err.Error(), "see the step's log"))
		return nil
	}
	found, err := decodeLive(result.Stdout)
	if err != nil || (len(found) > 0) != (exit == liveFound) {
		p.Check(evidence.CouldNotTell(code, subject, want, fmt.Sprintf("trufflehog's report cannot be read: exit code %d, %d findings, %v", exit, len(found), err), "see the step's log"))
		return nil
	}
	for _, f := range found {
		git := f.SourceMetadata.Data.Git
		check := evidence.Finding(code, "", 0, f.DetectorName+": it still works", "revoke it now")
		check.Subject = fmt.Sprintf("%s of commit %s, line %d", git.File, short(git.Commit), git.Line)
		p.Check(check)
	}
	if len(found) == 0 {
		p.Check(evidence.Expect(code, subject, true, "none", want, ""))
	}
	return nil
}

func installed(program string) bool {
	_, err := exec.LookPath(program)
	return err == nil
}

// verified is what is read of a line of trufflehog's JSON.
type verified struct {
	DetectorName   string
	Verified       bool
	SourceMetadata struct {
		Data struct {
			Git struct {
				Commit string `json:"commit"`
				File   string `json:"file"`
				Line   int    `json:"line"`
			}
		}
	}
}

// decodeLive reads trufflehog's report: one JSON value after the other. No
// error holds any of its content.
func decodeLive(raw []byte) ([]verified, error) {
	var all []verified
	dec := json.NewDecoder(bytes.NewReader(raw))
	for {
		var v verified
		err := dec.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("value %d is no finding", len(all)+1)
		}
		if v.DetectorName == "" || !v.Verified {
			return nil, fmt.Errorf("value %d is no verified finding", len(all)+1)
		}
		all = append(all, v)
	}
}
