// Package protocol is what the worker of the evidence benchmark is asked and answers.
package protocol

// The tasks of the worker, its first argument. What follows is named beside each.
const (
	// MakeFiles DIR COUNT SIZE writes files of SIZE bytes each.
	MakeFiles = "make-files"
	// MakeBundles DIR COUNT writes statements signed by one key, as DIR/<n>.json, with the public
	// key in DIR/key.pub and what all of them are about in DIR/artifact.
	MakeBundles = "make-bundles"
	// Seal DIR WORKERS and Verify DIR WORKERS, one Answer; 0 workers are one a processor.
	Seal   = "seal"
	Verify = "verify"
	// Small DIR hashes the files of DIR alone, and seals and verifies DIR, in turns, as an Answer each.
	Small = "small"
	// Log DIR COUNT appends entries at once and proves each, then appends some one by one.
	Log = "log"
	// VerifyBundles DIR COUNT verifies what MakeBundles wrote.
	VerifyBundles = "verify-bundles"
)

// What an [Answer] is about.
const (
	HashAlone      = "hash alone"
	SealAndVerify  = "seal and verify"
	AppendAtOnce   = "append at once"
	ProofInOrder   = "proof in order"
	ProofAtRandom  = "proof at random"
	AppendOneByOne = "append one by one"
)

// Answer is what a piece of the work took, without starting the process.
type Answer struct {
	Work    string  `json:"work"`
	Count   int     `json:"count"` // how many times, where it is one thing many times
	Seconds float64 `json:"seconds"`
	// CPU is the processor time in seconds, in user and system mode; 0 where the system does not tell.
	CPU float64 `json:"cpu_seconds"`
	// Peak is the greatest memory that the process held at once so far, in bytes; 0 where the system does not tell.
	Peak int64 `json:"peak_memory"`
}
