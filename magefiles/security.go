//go:build mage

package main

import (
	"context"
	"time"

	"github.com/magefile/mage/mg"

	"github.com/dpone/dpone/gates/security/licences"
	"github.com/dpone/dpone/gates/security/posture"
	"github.com/dpone/dpone/gates/security/secrets"
	"github.com/dpone/dpone/gates/security/static"
	"github.com/dpone/dpone/gates/security/vulns"
	"github.com/dpone/dpone/gates/target"
)

// Security looks for what would harm those who use the project.
type Security mg.Namespace

// Secrets holds that no secret is in the tree, nor in anything that any commit, message or tag holds.
func (Security) Secrets(
	ctx context.Context,
	live *bool, // ask the issuers, by trufflehog, which secrets still work; shows them the secrets
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	return one(ctx, secrets.Gate(secrets.Options{Live: value(live)}), plan, timeout, v)
}

// Static holds that gosec, staticcheck and, where it is installed, CodeQL find no defect.
func (Security) Static(
	ctx context.Context,
	only *string, // run only these steps, for example security:static:gosec
	skip *string, // leave these steps out
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	return target.Run(ctx, static.Gate(static.Options{}), target.Flags{Only: only, Skip: skip, Timeout: timeout, Plan: plan, V: v})
}

// Vulns holds that no code reaches a vulnerability that is publicly known.
func (Security) Vulns(
	ctx context.Context,
	db *string, // address of the database; https://vuln.go.dev if not given, or a mirror such as file:///srv/vulndb
	maxAge *int, // how many days ago the database may have changed last; 14 if not given
	timeout *time.Duration, // end the run after this time
	plan *bool, // print the commands, run nothing
	v *bool, // show the output of a green run, too
) error {
	options := vulns.Options{Database: value(db), MaxAge: value(maxAge)}
	if err := options.Validate(); err != nil {
		return err
	}
	return one(ctx, vulns.Gate(options), plan, timeout, v)
}

// Scorecard holds that the checks of the OSSF Scorecard which need no network give their full score.
func (Security) Scorecard(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, posture.Gate(posture.Options{}), plan, timeout, v)
}

// Licenses holds that every module in a build, shipped or beside, has a licence that the policy allows.
func (Security) Licenses(ctx context.Context, timeout *time.Duration, plan, v *bool) error {
	return one(ctx, licences.Gate(licences.Options{}), plan, timeout, v)
}
