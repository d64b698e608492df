package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
)

// The states of a signature, in the words that a reader of evidence has, too.
const (
	signedState  = "signed"
	macState     = string(sign.MACOnly)
	pendingState = string(sign.PendingSignature)
	unsigned     = string(sign.Unsigned)
)

// Signature is what became of one statement.
type Signature struct {
	Statement       string `json:"statement"`
	StatementSHA256 string `json:"statement_sha256"`
	PredicateType   string `json:"predicate_type"`
	// Bundle is the file with the signature; empty when there is none.
	Bundle string `json:"bundle"`
	// State is signed, mac_only, pending_signature or unsigned.
	State string `json:"state"`
	// Class is SIGNED or LOCAL_MAC, once the bundle was verified.
	Class string `json:"class"`
	Kind  string `json:"kind"`
	KeyID string `json:"key_id"`
}

// seal looks for secrets, writes what was made, has it signed and reads it back.
func (a *attestation) seal(ctx context.Context, p *gates.Pass) error {
	const code, expected = "attest.signed", "every statement is signed"
	const subject = "statements"
	if why := a.refused(stepSign); why != "" || len(a.statements) == 0 {
		a.drop()
		a.check(p, evidence.CouldNotTell(code, subject, expected, "nothing is signed: "+found(why, "there are no statements"), "see the other findings"))
		return nil
	}
	if err := a.checkLeaks(ctx, p); err != nil {
		a.drop()
		return err
	}
	if a.verdict(stepSign) == evidence.Fail {
		a.drop()
		a.check(p, evidence.CouldNotTell(code, subject, expected, "nothing is written or signed: there is a secret in it", "see attest.leak"))
		return nil
	}
	for _, d := range a.documents {
		if err := p.Folder().WriteFile(d.name, d.content); err != nil {
			return err
		}
	}
	if err := a.checkUnchanged(ctx, p); err != nil {
		return err
	}
	before := a.verdict(stepSign)
	if err := a.list(); err != nil {
		return err
	}
	kind := a.Signing.Kind
	retry := a.reproduce()
	switch {
	case before == evidence.Fail:
		a.check(p, evidence.CouldNotTell(code, subject, expected, "nothing is signed: the subjects changed", "see attest.subject.unchanged"))
	case a.Signing.Signer == nil:
		a.check(p, evidence.CouldNotTell(code, subject, expected, unsigned+": no signer is configured", "set "+sign.EnvKey+" or "+sign.EnvKeyFD+", and: "+retry))
	case before != evidence.Pass:
		a.check(p, evidence.CouldNotTell(code, subject, expected, unsigned+": a signature would vouch for what could not be told", "see the other findings, then: "+retry))
	case kind == sign.KindPending:
		a.pend(p, "the signer is to sign later")
	default:
		if err := a.sign(ctx, p); err != nil {
			return err
		}
	}
	a.judgeLevel()
	n := 0
	for _, s := range a.signatures {
		if s.State == signedState {
			n++
		}
	}
	p.Fact("%d of %s signed", n, count(len(a.signatures), "statement"))
	return nil
}

// drop forgets what is not to be seen.
func (a *attestation) drop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.documents, a.statements = nil, nil
}

// note changes the account of a signature.
func (a *attestation) note(i int, change func(*Signature)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.signatures[i])
}

// list begins the account of the signatures: nothing is signed.
func (a *attestation) list() error {
	var all []Signature
	for _, d := range a.statements {
		s, err := statement.Decode(d.content)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(d.content)
		all = append(all, Signature{
			Statement: d.name + statementEnd, StatementSHA256: hex.EncodeToString(sum[:]), PredicateType: s.PredicateType, State: unsigned,
		})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.signatures = all
	return nil
}

// sign has each statement signed and verifies each bundle from its bytes.
func (a *attestation) sign(ctx context.Context, p *gates.Pass) error {
	signer := a.Signing.Signer
	var macs int
	for i, d := range a.statements {
		p.Progress(i, len(a.statements), d.name)
		name := d.name + statementEnd
		bundle, err := signer.Sign(ctx, d.content)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			a.notSigned(p, i, err)
			continue
		}
		if err := p.Folder().WriteFile(d.name+bundleEnd, bundle); err != nil {
			return err
		}
		a.keep(d.name+bundleEnd, bundle, "the signature on "+name)
		a.note(i, func(s *Signature) { s.Bundle, s.Kind, s.KeyID = d.name+bundleEnd, a.Signing.Kind, signer.KeyID() })
		if !a.verify(ctx, p, d) {
			continue
		}
		if a.Signing.Kind == sign.KindHMAC {
			macs++
			a.note(i, func(s *Signature) { s.State, s.Class = macState, sign.ClassLocalMAC })
			continue
		}
		a.note(i, func(s *Signature) { s.State, s.Class = signedState, sign.ClassSigned })
		a.check(p, evidence.Expect("attest.signed", name, true, signedState+" by "+a.Signing.Kind+" "+signer.KeyID(), "signed", ""))
	}
	if macs > 0 {
		a.check(p, evidence.CouldNotTell("attest.signed", "statements", "every statement is signed", macState+": whoever can verify a MAC ("+sign.ClassLocalMAC+") can forge it",
			"set "+sign.EnvKey+" or "+sign.EnvKeyFD+", and: "+a.reproduce()))
	}
	return nil
}

// notSigned says why a statement has no bundle: it was kept as it is.
func (a *attestation) notSigned(p *gates.Pass, i int, err error) {
	switch reason := sign.ReasonOf(err); reason {
	case "", sign.PendingSignature, sign.SigningUnavailable:
		a.pendOne(p, i, err.Error())
	default:
		name := a.signatures[i].Statement
		a.check(p, evidence.CouldNotTell("attest.signed", name, "signed", fmt.Sprintf("%s: %v", reason, err), "mend the signer, then: "+a.reproduce()))
	}
}

// pend leaves all statements to be signed later.
func (a *attestation) pend(p *gates.Pass, why string) {
	for i := range a.signatures {
		a.pendOne(p, i, why)
	}
}

func (a *attestation) pendOne(p *gates.Pass, i int, why string) {
	a.note(i, func(s *Signature) { s.State = pendingState })
	a.check(p, evidence.CouldNotTell("attest.signed", a.signatures[i].Statement, "signed", pendingState+": "+why,
		"the statement is kept as it is; once the service answers: "+a.reproduce()))
}

// verify reads a bundle and its statement back from the run folder, as a
// stranger would, and holds one against the other.
func (a *attestation) verify(ctx context.Context, p *gates.Pass, d document) bool {
	const code, expected = "attest.bundle", "a signature of the statement, byte for byte"
	name := d.name + bundleEnd
	if a.Signing.Open == nil {
		a.check(p, evidence.CouldNotTell(code, name, expected, "there is nothing to verify a signature of the kind "+a.Signing.Kind+" with", "give Signing.Open"))
		return false
	}
	observed, ok := expected, false
	raw, err := p.Folder().ReadFile(name, sign.MaxBundle)
	if err == nil {
		var payload, kept []byte
		if payload, err = a.Signing.Open(ctx, raw); err == nil {
			kept, err = p.Folder().ReadFile(d.name+statementEnd, statement.MaxBytes)
			ok = err == nil && bytes.Equal(payload, kept) && bytes.Equal(kept, d.content)
			if err == nil && !ok {
				observed = "a signature of another statement"
			}
		}
	}
	if err != nil {
		observed = err.Error()
	}
	if reason := sign.ReasonOf(err); reason == sign.KeylessUnavailable || reason == sign.TrustRootMissing {
		a.check(p, evidence.CouldNotTell(code, name, expected, observed, "make the verifier available and attest again"))
		return false
	}
	a.check(p, evidence.Expect(code, name, ok, observed, expected, "do not ship the bundle; the signer and the key that it is read with may not belong together"))
	return ok
}

// judgeLevel names the level of SLSA that the provenance reaches: level 2 when
// the platform itself signs on a machine of its own, never more.
func (a *attestation) judgeLevel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.level = levelNone
	if evidence.Judge(a.checks) != evidence.Pass {
		return
	}
	a.level = level1
	if a.Signing.Kind == sign.KindKeyless && found(a.BuilderID, a.surroundings(a.started).builder) == statement.BuilderGitHubHosted {
		a.level = level2
	}
}
