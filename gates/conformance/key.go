package conformance

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

func keyTypes() []sign.KeyType { return []sign.KeyType{sign.Ed25519, sign.ECDSAP256} }

// plainKey makes a key that is never stored, so that no time goes into
// protecting it.
func plainKey(kind sign.KeyType) (*sign.Key, error) {
	var private any
	var err error
	if kind == sign.Ed25519 {
		_, private, err = ed25519.GenerateKey(rand.Reader)
	} else {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return sign.LoadKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil)
}

// defectKind is the kind of statement that defects are put into.
const defectKind = "release"

// keyCase is a bundle and what is asked about it with a key.
type keyCase struct {
	file, key, kind, artifact string
	defect                    string
}

func (c keyCase) about() string { return c.key + " " + c.kind + ", " + c.artifact }

// typed is the predicate type that is asked for.
func (c keyCase) typed() string {
	if c.defect == wrongType {
		return statement.VSAType
	}
	return types[c.kind]
}

// verifies is whether the key is the one that signed.
func (c keyCase) public() string {
	if c.defect == wrongKey {
		return "other.pub"
	}
	return c.key + ".pub"
}

func (c keyCase) cosign() proc.Command {
	return proc.Command{Name: cosign, Env: offline(), Args: []string{
		"verify-blob-attestation", "--key", "$SCRATCH/" + c.public(), "--bundle", "$SCRATCH/" + c.file, "--type", c.typed(), "--insecure-ignore-tlog", "$SCRATCH/" + c.artifact,
	}}
}

// The defects.
const (
	wrongArtifact = "an artifact that it is not about"
	wrongType     = "another type of predicate"
	wrongKey      = "another key"
	editedPayload = "an edited statement"
	twoSignatures = "two signatures"
	noBundle      = "an empty file"
	wrongIdentity = "another identity"
	wrongIssuer   = "another issuer"
	wrongRoot     = "another trusted root"
	noEntry       = "no log entry"
	foreignEntry  = "the log entry of another bundle"
)

func keyCases() []keyCase {
	var list []keyCase
	for _, key := range keyTypes() {
		for _, kind := range kinds() {
			for _, artifact := range artifacts() {
				list = append(list, keyCase{file: string(key) + "-" + kind + ".json", key: string(key), kind: kind, artifact: artifact})
			}
		}
		good := string(key) + "-" + defectKind + ".json"
		for _, c := range []keyCase{
			{file: good, artifact: stranger, defect: wrongArtifact},
			{file: good, defect: wrongType},
			{file: good, defect: wrongKey},
			{file: string(key) + "-edited.json", defect: editedPayload},
			{file: string(key) + "-twice.json", defect: twoSignatures},
			{file: "empty.json", defect: noBundle},
		} {
			c.key, c.kind = string(key), defectKind
			if c.artifact == "" {
				c.artifact = artifacts()[0]
			}
			list = append(list, c)
		}
	}
	return list
}

func keyPlan() []proc.Command {
	list := []proc.Command{{Name: sigstoreVerify, Env: offline()}}
	for _, c := range keyCases() {
		list = append(list, c.cosign())
	}
	return list
}

func runKey(ctx context.Context, p *gates.Pass) error {
	trusted, err := writeKeyFiles(ctx, p)
	if err != nil {
		return err
	}
	cases := keyCases()
	for i, c := range cases {
		p.Progress(i, len(cases), c.about())
		bundle, err := read(p, c.file)
		if err != nil {
			return err
		}
		question{verifier: cosign, about: c.about(), defect: c.defect}.judge(p, ask(ctx, p, c.cosign(), nil))

		public, err := read(p, c.public())
		if err != nil {
			return err
		}
		request, err := json.Marshal(map[string]any{"bundle": bundle, "digest": digest(c.artifact), "public_key": public})
		if err != nil {
			return err
		}
		// It has no opinion about types.
		if c.defect != wrongType {
			question{verifier: "sigstore-go", about: c.about(), defect: c.defect}.judge(p, ask(ctx, p, proc.Command{Name: sigstoreVerify, Env: offline()}, request))
		}
		question{verifier: "ours", about: c.about(), defect: c.defect}.judge(p, refusedBy(verifyKey(bundle, trusted[c.public()], c.typed(), c.artifact)))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	p.Fact("%s to each of cosign, sigstore-go and ours", count(len(cases), "question"))
	return nil
}

// verifyKey verifies as a reader of ours does, for an artifact.
func verifyKey(bundle []byte, trust sign.Trust, predicateType, artifact string) error {
	verified, err := sign.VerifyBundle(bundle, trust, sign.Options{At: time.Now(), PredicateType: predicateType})
	if err != nil {
		return err
	}
	return about(verified.Statement, artifact)
}

// about holds that a statement is about an artifact.
func about(s *statement.Statement, artifact string) error {
	for _, subject := range s.Subject {
		if subject.Name == artifact && subject.Digest["sha256"] == digest(artifact) {
			return nil
		}
	}
	return &refusal{why: "it is about other artifacts"}
}

// writeKeyFiles makes keys, signs each kind of statement with each, and makes
// the defective bundles. It returns the trust in each public key, by its file.
func writeKeyFiles(ctx context.Context, p *gates.Pass) (map[string]sign.Trust, error) {
	if err := writeArtifacts(p); err != nil {
		return nil, err
	}
	if err := write(p, "empty.json", nil); err != nil {
		return nil, err
	}
	trusted := map[string]sign.Trust{}
	newKey := func(name string, kind sign.KeyType) (*sign.Key, error) {
		key, err := plainKey(kind)
		if err != nil {
			return nil, err
		}
		if trusted[name], err = sign.NewTrust(sign.TrustedKey{Name: name, PublicPEM: key.PublicPEM()}); err != nil {
			return nil, err
		}
		return key, write(p, name, key.PublicPEM())
	}
	if _, err := newKey("other.pub", sign.ECDSAP256); err != nil {
		return nil, err
	}
	for _, kind := range keyTypes() {
		key, err := newKey(string(kind)+".pub", kind)
		if err != nil {
			return nil, err
		}
		if err := signAll(ctx, p, key, string(kind)); err != nil {
			return nil, err
		}
	}
	return trusted, nil
}

// signAll signs each kind of statement as <prefix>-<kind>.json, and makes the
// defective bundles <prefix>-edited.json and <prefix>-twice.json.
func signAll(ctx context.Context, p *gates.Pass, signer sign.Signer, prefix string) error {
	for _, kind := range kinds() {
		raw, err := claim(kind)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		bundle, err := signer.Sign(ctx, raw)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		if err := write(p, prefix+"-"+kind+".json", bundle); err != nil {
			return err
		}
		if kind != defectKind {
			continue
		}
		for name, f := range map[string]func(map[string]any) error{"edited": editPayload, "twice": signTwice} {
			bad, err := change(bundle, f)
			if err != nil {
				return err
			}
			if err := write(p, prefix+"-"+name+".json", bad); err != nil {
				return err
			}
		}
	}
	return nil
}
