// Package policy reads the trust policy: the file that says whose word counts
// for what. [Policy] has every field; docs/trust-policy.md is made from it.
//
// A policy is JSON, strictly read: at most [MaxBytes], no duplicate, unknown or
// wrongly-cased keys. What it does not say is refused: a signer may sign
// nothing that is not listed, the commit and the run are asked of the caller, a
// dirty tree, a partial run, a pull request and a self-hosted runner do not
// count. This is a whole policy for a laptop:
//
//	{
//	  "schema": "https://github.com/dpone/dpone/evidence/policy/v1",
//	  "name": "laptop",
//	  "use": "local",
//	  "subject": {"repository": "https://github.com/dpone/dpone", "ref": "any", "run": "any"},
//	  "max_age": "24h",
//	  "signers": [
//	    {
//	      "name": "me",
//	      "kind": "key",
//	      "public_key": "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n",
//	      "gates": ["ci:*"]
//	    }
//	  ],
//	  "required_gates": ["ci:test"]
//	}
//
// The package judges what it is told and reads nothing but the policy and its
// trusted root; package verify holds evidence against it.
package policy
