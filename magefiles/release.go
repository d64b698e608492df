//go:build mage

package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/keyless"
	"github.com/dpone/dpone/gates/release"
	"github.com/dpone/dpone/gates/target"
)

// Release is what is done for a release, once everything else is green.
type Release mg.Namespace

// Attest states what is shipped and how it was made, holds that against git and the binaries, and signs it.
func (Release) Attest(
	ctx context.Context,
	release *string, // version, for example v1.2.3
	subject *string, // files that are shipped, as paths or globs below the root: dist/dpone,dist/*.tar.gz
	repository *string, // https URL of the source
	commit *string, // full name of the commit that was built
	targets *string, // mage targets that made the subjects, for example ci:build
	targetArgs *string, // flags of these targets, separated by commas
	builderId *string, // URI of who built; from the environment if not given
	untagged *bool, // for a pre-release that no tag names
	requireSBOM *bool, // red when no Go binary is among the subjects
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the steps and their commands, run nothing
	v *bool, // show the output of green steps, too
) error {
	return attest(ctx, attestation{
		Release: value(release), Subjects: list(subject), Repository: value(repository), Commit: value(commit),
		Targets: list(targets), Args: list(targetArgs), BuilderID: value(builderId),
		Untagged: value(untagged), RequireSBOM: value(requireSBOM),
	}, target.Flags{Plan: plan, Timeout: timeout, V: v})
}

// attestation has a name of its own because the namespace of the parameters hides the package.
type attestation = release.Options

// attest adds what the environment says. Keys come from there alone, never from a flag.
func attest(ctx context.Context, o attestation, flags target.Flags) error {
	o.Getenv, o.Environ, o.SecretNames = os.Getenv, os.Environ(), strings.Split(os.Getenv(target.EnvSecretNames), ",")
	if err := o.Validate(); err != nil {
		return err
	}
	keeper, err := target.NewKeeper()
	if err != nil {
		return err
	}
	if o.Signing, err = release.SigningBy(keeper.Signer(), []byte(os.Getenv(sign.EnvMACKey))); err != nil {
		return &gates.UsageError{Problem: "release:attest: " + err.Error()}
	}
	if o.Signing.Kind == sign.KindKeyless {
		if o.Signing.Open, err = keyless.OpenerFromEnvironment(target.KeylessCommand(), os.Getenv); err != nil {
			return &gates.UsageError{Problem: "release:attest: " + err.Error()}
		}
	}
	flags.Keeper = keeper
	return target.Run(ctx, release.Attest(o), flags)
}

// list is a comma-separated list.
func list(p *string) []string {
	var all []string
	for name := range strings.SplitSeq(value(p), ",") {
		if name = strings.TrimSpace(name); name != "" {
			all = append(all, name)
		}
	}
	return all
}
