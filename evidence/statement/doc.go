// Package statement writes and reads in-toto Statements v1: signed claims
// that a predicate holds of subjects, in formats that other tools verify.
//
// A statement is compact JSON with exactly four members. This one says that
// the gate ci:lint passed for a commit; white space is added here:
//
//	{
//	  "_type": "https://in-toto.io/Statement/v1",
//	  "subject": [
//	    {"name": "dpone-gates", "digest": {"sha256": "1111111111111111111111111111111111111111111111111111111111111111"}},
//	    {"name": "source", "digest": {"gitCommit": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}
//	  ],
//	  "predicateType": "https://in-toto.io/attestation/test-result/v0.1",
//	  "predicate": {
//	    "result": "PASSED",
//	    "configuration": [
//	      {
//	        "name": "ci:lint",
//	        "uri": "git+https://github.com/dpone/dpone@refs/heads/main#magefiles",
//	        "digest": {"dirHash1": "2222222222222222222222222222222222222222222222222222222222222222"}
//	      },
//	      {"name": "go.mod", "digest": {"sha256": "3333333333333333333333333333333333333333333333333333333333333333"}}
//	    ],
//	    "url": "https://github.com/dpone/dpone/actions/runs/7/attempts/2",
//	    "passedTests": ["ci:lint"]
//	  }
//	}
//
// The standard predicates are kept pure, since typed readers refuse members
// that they do not know. What they have no words for is in predicates of our own:
//
//	[TestResult]  https://in-toto.io/attestation/test-result/v0.1   how a gate or step ended
//	[Provenance]  https://slsa.dev/provenance/v1                    how artifacts were made
//	[VSA]         https://slsa.dev/verification_summary/v1          go or no-go, in a word
//	[Release]     https://in-toto.io/attestation/release/v0.2       what a release consists of
//	[CycloneDX]   https://cyclonedx.org/bom                         what is in an artifact
//	[Gate]        https://github.com/dpone/dpone/evidence/gate/v1        a gate run in detail
//	[Decision]    https://github.com/dpone/dpone/evidence/decision/v1    go or no-go, with every reason
//
// [Statement.Encode] writes keys in the order of the Go structs and those of
// maps sorted, without HTML escapes and without a newline, so the same
// statement is the same bytes and has the same digest. DSSE signs bytes: no
// canonical form of JSON is involved.
//
// [Decode] takes what others wrote, and refuses with a stable reason (package
// strict): more than 8 MiB, 64 levels, 1024 subjects or 32 digests of one
// thing, digests that are not lower-case hex, duplicate, unknown or
// wrongly-cased keys, predicate types that it was not told of.
//
// Specifications: github.com/in-toto/attestation spec/v1 and spec/predicates;
// slsa.dev/spec/v1.2 (provenance, verification summary).
package statement
