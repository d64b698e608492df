//go:build mage

package main

import (
	"context"
	"os"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/archive"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/target"
)

// Evidence seals what runs leave behind, logs it, proves it and checks it.
type Evidence mg.Namespace

// evidenceOptions are those that every target has. Secrets come from the environment alone.
func evidenceOptions(root, log, format *string) archive.Options {
	return archive.Options{
		Root: value(root), Log: value(log), Format: value(format),
		Artifacts: os.Getenv(target.EnvArtifacts), Stdout: os.Stdout, Getenv: os.Getenv, Keyless: target.Keyless,
	}
}

// Index seals a folder: index.json over every file; one that is sealed already is checked and left as it is.
func (Evidence) Index(
	ctx context.Context,
	root *string, // folder to seal
	format *string, // text, or json
) error {
	return archive.Index(ctx, evidenceOptions(root, nil, format))
}

// Chain verifies a sealed run folder and appends it to the log, signed if DPONE_LOG_KEY is set.
func (Evidence) Chain(
	ctx context.Context,
	root *string, // sealed folder of a run
	log *string, // folder of the log; evidence_log among the artifacts if not given
	adopt *bool, // sign a log that was unsigned so far
	format *string, // text, or json
) error {
	o := evidenceOptions(root, log, format)
	o.Adopt = value(adopt)
	return archive.Chain(ctx, o)
}

// Log checks the whole log and lists its entries.
func (Evidence) Log(
	ctx context.Context,
	log *string, // folder of the log; evidence_log among the artifacts if not given
	format *string, // text, or json
) error {
	return archive.List(ctx, evidenceOptions(nil, log, format))
}

// Prove writes the proof that a run is in the log, in a file that verifies alone.
func (Evidence) Prove(
	ctx context.Context,
	run *string, // name of the run, as evidence:log shows it
	log *string, // folder of the log; evidence_log among the artifacts if not given
	out *string, // file to write, by custom *.tlog-proof; the entry goes beside it
	format *string, // text, or json
) error {
	o := evidenceOptions(nil, log, format)
	o.Run, o.File = value(run), value(out)
	return archive.Prove(ctx, o)
}

// Verify checks evidence offline, one run folder or all below a directory, and says what was shown and what was not.
func (Evidence) Verify(
	ctx context.Context,
	root *string, // sealed folder of a run, or a directory with many, wherever it lies
	policy *string, // file of the trust policy; without one nobody's signature counts but that of the log
	policySha256 *string, // digest that the policy file must have
	commit *string, // commit that the evidence must be about
	run *string, // run of CI that it must be of: its ID, or ID/attempt
	version *string, // version of the release that it must be about, such as v1.2.3
	require *string, // gates that must be shown besides those of the policy, with commas between them
	log *string, // folder of the log; evidence_log below the root or among the artifacts if not given
	format *string, // text, or json
) error {
	o := evidenceOptions(root, log, format)
	o.Trust = archive.Trust{
		Policy: value(policy), PolicySHA256: value(policySha256), Commit: value(commit), Run: value(run), Version: value(version),
		Environ: os.Environ(), Certificates: keyless.Verifier{Command: target.KeylessCommand()},
	}
	o.Trust.Require = list(require)
	return archive.Verify(ctx, o)
}

// Sign signs the statements of a sealed run folder: those that were left pending, or all when nobody signed it so far.
func (Evidence) Sign(
	ctx context.Context,
	root *string, // sealed folder of a run
	format *string, // text, or json
) error {
	return archive.Sign(ctx, evidenceOptions(root, nil, format))
}

// Keygen makes a key pair, for a log or for statements: a secret half, and a public one for everybody.
func (Evidence) Keygen(
	ctx context.Context,
	kind *string, // log, ed25519 or ecdsa-p256; log if not given
	name *string, // name of the log, such as example.com/evidence; for a log only
	out *string, // file of the secret half; the public half goes beside it, as .pub
	format *string, // text, or json
) error {
	o := evidenceOptions(nil, nil, format)
	o.Kind, o.Name, o.File = value(kind), value(name), value(out)
	return archive.Keygen(ctx, o)
}
