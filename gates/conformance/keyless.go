package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/proc"
)

// Who the virtual Sigstore says signs.
const (
	identity = "https://github.com/dpone/dpone/.github/workflows/release.yml@refs/heads/main"
	issuer   = "https://token.actions.githubusercontent.com"
)

// versions are those of the transparency log.
func versions() []string { return []string{"v1", "v2"} }

// keylessCase is a bundle and what is asked about it with a trusted root.
type keylessCase struct {
	file, version, kind, artifact string
	defect                        string
}

func (c keylessCase) about() string { return "log " + c.version + " " + c.kind + ", " + c.artifact }

func (c keylessCase) root() string {
	if c.defect == wrongRoot {
		return "other_root.json"
	}
	return "trusted_root.json"
}

func (c keylessCase) who() (san, by string) {
	switch c.defect {
	case wrongIdentity:
		return identity + "-evil", issuer
	case wrongIssuer:
		return identity, issuer + ".example.com"
	}
	return identity, issuer
}

func (c keylessCase) typed() string {
	if c.defect == wrongType {
		return statement.VSAType
	}
	return types[c.kind]
}

func (c keylessCase) cosign() proc.Command {
	san, by := c.who()
	args := []string{
		"verify-blob-attestation", "--trusted-root", "$SCRATCH/" + c.root(), "--certificate-identity", san, "--certificate-oidc-issuer", by,
		"--bundle", "$SCRATCH/" + c.file, "--type", c.typed(),
	}
	if c.version == "v2" {
		args = append(args, "--use-signed-timestamps") // its log gives no time
	}
	return proc.Command{Name: cosign, Env: offline(), Args: append(args, "$SCRATCH/"+c.artifact)}
}

func keylessCases() []keylessCase {
	var list []keylessCase
	for _, version := range versions() {
		for _, kind := range kinds() {
			for _, artifact := range artifacts() {
				list = append(list, keylessCase{file: version + "-" + kind + ".json", version: version, kind: kind, artifact: artifact})
			}
		}
		good := version + "-" + defectKind + ".json"
		for _, c := range []keylessCase{
			{file: good, artifact: stranger, defect: wrongArtifact},
			{file: good, defect: wrongType},
			{file: good, defect: wrongIdentity},
			{file: good, defect: wrongIssuer},
			{file: good, defect: wrongRoot},
			{file: version + "-edited.json", defect: editedPayload},
			{file: version + "-twice.json", defect: twoSignatures},
			{file: version + "-stripped.json", defect: noEntry},
			{file: version + "-spliced.json", defect: foreignEntry},
		} {
			c.version, c.kind = version, defectKind
			if c.artifact == "" {
				c.artifact = artifacts()[0]
			}
			list = append(list, c)
		}
	}
	return list
}

// The commands that speak over their standard streams.
func speaker() proc.Command { return proc.Command{Name: keyless.Name, Env: offline()} }
func library() proc.Command { return proc.Command{Name: sigstoreVerify, Env: offline()} }
func server() proc.Command  { return proc.Command{Name: virtual, Env: offline()} }

func keylessPlan() []proc.Command {
	list := []proc.Command{server(), speaker(), library()}
	for _, c := range keylessCases() {
		list = append(list, c.cosign())
	}
	return list
}

// world is what a virtual Sigstore says of itself.
type world struct {
	TrustedRoot  []byte            `json:"trusted_root"`
	Configs      map[string][]byte `json:"configs"`
	TokenURL     string            `json:"token_url"`
	TokenRequest string            `json:"token_request"`
	Token        string            `json:"token"`
}

// start runs a virtual Sigstore until stop is called, which returns how it ended.
func start(ctx context.Context, p *gates.Pass) (w world, stop func() error, err error) {
	in, hold := io.Pipe()
	out, said := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := p.Exec(ctx, server(), proc.Options{Stdin: in, Stdout: said})
		// Whoever waits for its words must not wait for ever.
		said.CloseWithError(errors.Join(io.ErrUnexpectedEOF, err))
		_ = in.Close() // a pipe in memory cannot fail to close
		done <- err
	}()
	stop = func() error {
		_ = hold.Close()
		return <-done
	}
	if err := json.NewDecoder(out).Decode(&w); err != nil {
		return w, nil, errors.Join(fmt.Errorf("the virtual Sigstore does not start: %w", err), stop())
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it has no more to say
	return w, stop, nil
}

// command is the client of the nested module's command within a step.
func command(p *gates.Pass) *keyless.Command {
	return &keyless.Command{Exec: func(ctx context.Context, stdin []byte) ([]byte, error) {
		result, err := p.Exec(ctx, speaker(), proc.Options{Stdin: bytes.NewReader(stdin), Stdout: io.Discard, Capture: wire.MaxMessage})
		return result.Stdout, err
	}}
}

func runKeyless(ctx context.Context, p *gates.Pass) (err error) {
	w, stop, err := start(ctx, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := writeKeylessFiles(ctx, p, w); err != nil {
		return err
	}
	cases := keylessCases()
	for i, c := range cases {
		p.Progress(i, len(cases), c.about())
		bundle, err := read(p, c.file)
		if err != nil {
			return err
		}
		trusted, err := read(p, c.root())
		if err != nil {
			return err
		}
		question{verifier: cosign, about: c.about(), defect: c.defect}.judge(p, ask(ctx, p, c.cosign(), nil))

		san, by := c.who()
		request, err := json.Marshal(map[string]any{"bundle": bundle, "digest": digest(c.artifact), "trusted_root": trusted, "san": san, "issuer": by})
		if err != nil {
			return err
		}
		if c.defect != wrongType {
			question{verifier: "sigstore-go", about: c.about(), defect: c.defect}.judge(p, ask(ctx, p, library(), request))
		}
		question{verifier: "ours", about: c.about(), defect: c.defect}.judge(p, refusedBy(verifyKeyless(ctx, p, c, bundle, trusted)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	p.Fact("%s to each of cosign, sigstore-go and ours", count(len(cases), "question"))
	return nil
}

// verifyKeyless verifies as a reader of ours does, for an artifact and an identity.
func verifyKeyless(ctx context.Context, p *gates.Pass, c keylessCase, bundle, trusted []byte) error {
	payload, who, err := keyless.Verifier{Command: command(p)}.VerifyCertificate(ctx, bundle, trusted)
	if err != nil {
		return err
	}
	if san, by := c.who(); who.SAN != san || who.Issuer != by {
		return &refusal{why: "signed by " + who.SAN + " of " + who.Issuer}
	}
	s, err := statement.Decode(payload)
	if err != nil {
		return err
	}
	if s.PredicateType != c.typed() {
		return &refusal{why: "its predicate is " + s.PredicateType}
	}
	return about(s, c.artifact)
}

// writeKeylessFiles signs each kind of statement with each version of the log,
// and makes the defective bundles and the other root.
func writeKeylessFiles(ctx context.Context, p *gates.Pass, w world) error {
	if err := writeArtifacts(p); err != nil {
		return err
	}
	if err := write(p, "trusted_root.json", w.TrustedRoot); err != nil {
		return err
	}
	other, stop, err := start(ctx, p)
	if err != nil {
		return err
	}
	if err := errors.Join(write(p, "other_root.json", other.TrustedRoot), stop()); err != nil {
		return err
	}
	for _, version := range versions() {
		signer, err := keyless.NewSigner(command(p), keyless.Access{
			SigningConfig: w.Configs[version], TrustedRoot: w.TrustedRoot, TokenURL: w.TokenURL, TokenRequest: w.TokenRequest,
		})
		if err != nil {
			return err
		}
		if err := signAll(ctx, p, signer, version); err != nil {
			return err
		}
		if err := spoilEntry(ctx, p, signer, version); err != nil {
			return err
		}
	}
	return nil
}

func spoilEntry(ctx context.Context, p *gates.Pass, signer sign.Signer, version string) error {
	good, err := read(p, version+"-"+defectKind+".json")
	if err != nil {
		return err
	}
	raw, err := claim(defectKind)
	if err != nil {
		return err
	}
	another, err := signer.Sign(ctx, raw)
	if err != nil {
		return err
	}
	for name, f := range map[string]func(map[string]any) error{"stripped": stripEntry, "spliced": spliceEntry(another)} {
		bad, err := change(good, f)
		if err != nil {
			return err
		}
		if err := write(p, version+"-"+name+".json", bad); err != nil {
			return err
		}
	}
	return nil
}
