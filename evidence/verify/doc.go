// Package verify holds a directory of evidence against a trust policy: one
// pass, offline, over every file, without a network, a token or a clock but the
// one that it is given.
//
// [Verify] finds the evidence wherever it lies below the root: sealed folders
// (package seal), what speaks about them (package attest), loose bundles and
// statements with their artifacts, lists of checksums, the log (package tlog).
// It derives everything again from bytes: files against the index, the record
// against its own checks, the statements against record and index, the bundles
// against the signers of the policy, the index against the log, the log against
// itself, its key and what was seen of it. Then it looks whether all that the
// policy requires is there, is about the right commit and run, is young enough,
// and does not contradict itself.
//
// All problems are found in one pass. Each has a stable [Code]; [Reasons] lists
// them with what they mean and what to do. The verdict is
//
//   - FAIL when something is refuted, or is not as the policy demands;
//   - UNVERIFIED when nothing is wrong and nobody vouches for it: no policy, no
//     signature, one that is still to come or cannot be checked here;
//   - PASS when everything that is required was shown, and nothing else.
//
// The same files and the same time give the same report, byte for byte, on
// every machine and under every path.
//
// Archives among the artifacts are bytes with a digest and are not opened;
// [Archive] judges one that is to be.
package verify
