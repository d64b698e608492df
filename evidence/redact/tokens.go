package redact

import "slices"

// shapes is the table of all shapes. Lengths are a little below what the services
// document, so that a token cut short is hidden as well.
var shapes = slices.Concat(
	[]shape{
		{trigger: "://", kind: kindURLPassword, find: findURL},
		{trigger: `:\/\/`, kind: kindURLPassword, find: findURL},
		{trigger: "@tcp(", kind: kindURLPassword, find: findMySQL},
		{trigger: "@unix(", kind: kindURLPassword, find: findMySQL},
		{trigger: "authorization", fold: true, kind: "authorization", find: findHeader},
		{trigger: "bearer ", fold: true, kind: "bearer-token", find: findBearer},
		{trigger: "-----BEGIN ", kind: "private-key", find: findKey},
		{trigger: "eyJ", kind: "jwt", find: findJWT},
		{trigger: "aws_secret_access_key", fold: true, kind: "aws-secret-key", find: findAWSSecret},
		{trigger: "secretaccesskey", fold: true, kind: "aws-secret-key", find: findAWSSecret},
	},
	words(findHeader, "http-credential",
		"x-api-key", "private-token", "job-token", "x-auth-token", "x-vault-token", "x-amz-security-token"),
	words(findKeyValue, kindPassword, "password", "passwd", "pwd", "passphrase"),
	words(findKeyValue, "credential",
		"client_secret", "access_token", "refresh_token", "id_token", "private_token", "api_key", "apikey",
		"accountkey", "sharedaccesskey"),

	// https://github.blog/2021-04-05-behind-githubs-new-authentication-token-formats/
	tokens("github-token", shape{more: "_", least: 30}, "ghp_", "gho_", "ghu_", "ghr_"),
	tokens("github-token", shape{more: "_.-", least: 30}, "ghs_"), // may hold a JWT
	tokens("github-token", shape{more: "_", least: 22}, "github_pat_"),
	// https://docs.gitlab.com/security/tokens/#token-prefixes
	tokens("gitlab-token", shape{more: "_-.", least: 18, alone: true},
		"glpat-", "gldt-", "glrt-", "glptt-", "glcbt-", "gloas-"),
	// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
	tokens("aws-access-key-id", shape{least: 16, exact: true, alone: true}, "AKIA", "ASIA"),
	// https://docs.slack.dev/authentication/tokens/
	tokens("slack-token", shape{more: "-", least: 10, alone: true},
		"xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xoxe.xox", "xapp-"),
	tokens("slack-webhook", shape{more: "/_-", least: 20}, "hooks.slack.com/services/"),
	tokens("google-api-key", shape{more: "_-", least: 30, alone: true}, "AIza"),
	tokens("google-token", shape{more: "_-.", least: 30, alone: true}, "ya29."),
	tokens("npm-token", shape{least: 36, alone: true}, "npm_"),
	// https://pypi.org/help/#apitoken: a macaroon, whose base64 begins with AgE.
	tokens("pypi-token", shape{more: "_-", least: 16}, "pypi-AgE"),
	tokens("pypi-token", shape{more: "_-", least: 50, alone: true}, "pypi-"),
	// https://docs.stripe.com/keys
	tokens("stripe-key", shape{least: 16, alone: true}, "sk_live_", "rk_live_", "sk_test_", "rk_test_", "whsec_"),
	tokens("api-key", shape{more: "_-", least: 20, alone: true, block: 16}, "sk-"),
	// https://age-encryption.org/v1
	tokens("age-key", shape{more: "-", least: 20}, "AGE-SECRET-KEY-"),
	tokens("vault-token", shape{more: "_-", least: 24, alone: true, block: 12}, "hvs.", "hvb."),
	tokens("docker-token", shape{more: "_-", least: 20}, "dckr_pat_", "dckr_oat_"),
	tokens("huggingface-token", shape{least: 30, alone: true}, "hf_"),
)

// words returns a shape per trigger, without case.
func words(find func(*shape, *scan, int) (span, bool), kind string, triggers ...string) []shape {
	out := make([]shape, 0, len(triggers))
	for _, t := range triggers {
		out = append(out, shape{trigger: t, fold: true, kind: kind, find: find})
	}
	return out
}

// tokens returns a copy of sh per trigger.
func tokens(kind string, sh shape, triggers ...string) []shape {
	out := make([]shape, 0, len(triggers))
	for _, t := range triggers {
		sh.trigger, sh.kind, sh.find = t, kind, findToken
		out = append(out, sh)
	}
	return out
}
