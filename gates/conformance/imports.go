package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/proc"
)

// passphrase of keys that live for a step: cosign reads none in the clear.
const passphrase = "a key of the conformance gate"

// importCase is what cosign is to write, and how.
type importCase struct {
	// signer is a type of key, or a version of the log for a certificate.
	signer, kind string
	// predicate has cosign make the statement, which is then of v0.1.
	predicate bool
}

func (c importCase) file() string {
	if c.predicate {
		return c.signer + "-" + c.kind + "-predicate.json"
	}
	return c.signer + "-" + c.kind + "-statement.json"
}

func (c importCase) about() string {
	how := "--statement"
	if c.predicate {
		how = "--predicate"
	}
	return c.signer + " " + c.kind + ", " + how
}

func (c importCase) withKey() bool { return c.signer != "v1" && c.signer != "v2" }

func (c importCase) cosign() proc.Command {
	args := []string{"attest-blob", "--yes", "--bundle", "$SCRATCH/" + c.file()}
	if c.withKey() {
		args = append(args, "--key", "$SCRATCH/"+c.signer+".key", "--signing-config", "$SCRATCH/none.json")
	} else {
		args = append(args, "--identity-token", "$SCRATCH/token", "--signing-config", "$SCRATCH/"+c.signer+"-config.json", "--trusted-root", "$SCRATCH/trusted_root.json")
	}
	if c.predicate {
		args = append(args, "--predicate", "$SCRATCH/"+c.kind+".predicate", "--type", types[c.kind], "$SCRATCH/"+artifacts()[0])
	} else {
		args = append(args, "--statement", "$SCRATCH/"+c.kind+".statement")
	}
	return proc.Command{Name: cosign, Env: offline("COSIGN_PASSWORD=" + passphrase), Args: args}
}

func importCases() []importCase {
	var list []importCase
	for _, signer := range []string{string(sign.Ed25519), string(sign.ECDSAP256), "v1", "v2"} {
		for _, kind := range kinds() {
			list = append(list, importCase{signer: signer, kind: kind})
		}
		list = append(list, importCase{signer: signer, kind: defectKind, predicate: true})
	}
	return list
}

// without makes a signing configuration that names no service.
func without() proc.Command {
	return proc.Command{Name: cosign, Env: offline(), Args: []string{"signing-config", "create", "--out", "$SCRATCH/none.json"}}
}

func importPlan() []proc.Command {
	list := []proc.Command{server(), speaker(), without()}
	for _, c := range importCases() {
		list = append(list, c.cosign())
	}
	return list
}

func runImport(ctx context.Context, p *gates.Pass) (err error) {
	w, stop, err := start(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	trusted, err := writeImportFiles(p, w)
	if err != nil {
		return err
	}
	if _, err := p.Exec(ctx, without(), proc.Options{}); err != nil {
		return err
	}
	cases := importCases()
	for i, c := range cases {
		p.Progress(i, len(cases), c.about())
		const code = "conformance.imports"
		if _, err := p.Exec(ctx, c.cosign(), proc.Options{}); err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			// What cosign does not write is no finding about what we read.
			p.Check(evidence.CouldNotTell(code, c.about(), "a bundle of cosign that ours accepts", err.Error(), "see the step's log: did the flags of cosign change?"))
			continue
		}
		bundle, err := read(p, c.file())
		if err != nil {
			return err
		}
		verify := func(bundle []byte) error { return refusedBy(verifyImport(ctx, p, c, bundle, w.TrustedRoot, trusted)) }
		judgeImport(p, code, c.about(), verify(bundle))
		if c.kind != defectKind || c.predicate {
			continue
		}
		for defect, f := range map[string]func(map[string]any) error{editedPayload: editPayload, twoSignatures: signTwice} {
			bad, err := change(bundle, f)
			if err != nil {
				return err
			}
			question{verifier: "ours", about: "cosign's " + c.about(), defect: defect}.judge(p, verify(bad))
		}
	}
	p.Fact("%s of cosign read", count(len(cases), "bundle"))
	return nil
}

func judgeImport(p *gates.Pass, code, subject string, err error) {
	var refused *refusal
	switch {
	case err == nil:
		p.Check(evidence.Expect(code, subject, true, "accepted", "accepted", ""))
	case errors.As(err, &refused):
		p.Check(evidence.Expect(code, subject, false, "refused: "+refused.why, "accepted", "read what it is refused for: is it a form that cosign writes now, and is it safe to read?"))
	default:
		p.Check(evidence.CouldNotTell(code, subject, "accepted", err.Error(), "see the step's log"))
	}
}

// verifyImport verifies as a reader of ours does who takes what cosign writes:
// statements of v0.1, and Ed25519ph, which cosign signs with by Ed25519 keys.
func verifyImport(ctx context.Context, p *gates.Pass, c importCase, bundle, root []byte, trusted map[string]sign.Trust) error {
	if c.withKey() {
		verified, err := sign.VerifyBundle(bundle, trusted[c.signer], sign.Options{At: time.Now(), PredicateType: types[c.kind], AllowStatementV01: true, AllowEd25519ph: true})
		if err != nil {
			return err
		}
		return importAbout(verified.Statement)
	}
	payload, who, err := keyless.Verifier{Command: command(p)}.VerifyCertificate(ctx, bundle, root)
	if err != nil {
		return err
	}
	if who.SAN != identity || who.Issuer != issuer {
		return &refusal{why: "signed by " + who.SAN + " of " + who.Issuer}
	}
	s, err := statement.Decode(payload, statement.AllowV01())
	if err != nil {
		return err
	}
	if s.PredicateType != types[c.kind] {
		return &refusal{why: "its predicate is " + s.PredicateType}
	}
	return importAbout(s)
}

// importAbout holds that a statement is about the first artifact, by digest:
// cosign names subjects by their path.
func importAbout(s *statement.Statement) error {
	for _, subject := range s.Subject {
		if subject.Digest["sha256"] == digest(artifacts()[0]) {
			return nil
		}
	}
	return &refusal{why: "it is about other artifacts"}
}

// writeImportFiles makes keys and what cosign is to sign.
func writeImportFiles(p *gates.Pass, w world) (map[string]sign.Trust, error) {
	if err := writeArtifacts(p); err != nil {
		return nil, err
	}
	files := map[string][]byte{"trusted_root.json": w.TrustedRoot, "token": []byte(w.Token)}
	for _, version := range versions() {
		files[version+"-config.json"] = w.Configs[version]
	}
	trusted := map[string]sign.Trust{}
	for _, kind := range keyTypes() {
		private, public, err := sign.GenerateKey(kind, []byte(passphrase))
		if err != nil {
			return nil, err
		}
		files[string(kind)+".key"] = private
		if trusted[string(kind)], err = sign.NewTrust(sign.TrustedKey{Name: string(kind), PublicPEM: public}); err != nil {
			return nil, err
		}
	}
	for _, kind := range kinds() {
		predicate, err := predicates.ReadFile("predicates/" + kind + ".json")
		if err != nil {
			return nil, err
		}
		raw, err := claim(kind)
		if err != nil {
			return nil, err
		}
		files[kind+".predicate"], files[kind+".statement"] = predicate, raw
	}
	for name, content := range files {
		if err := write(p, name, content); err != nil {
			return nil, err
		}
	}
	return trusted, nil
}
