package verify

import (
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/policy"
	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
	"github.com/dpone/dpone/evidence/verify/reader"
)

// Code is the stable name of a reason why evidence is not PASS. Codes are
// added, never changed. The names are those of the packages that find the
// problem, where there is one.
type Code string

// The codes of this package.
const (
	CodeNoPolicy       Code = "no_policy"
	CodeMissing        Code = "missing"
	CodeIncomplete     Code = "incomplete_set"
	CodeSkipped        Code = "skipped_required"
	CodeGateFailed     Code = "gate_failed"
	CodeGateUnverified Code = "gate_unverified"
	CodeUnknownGate    Code = "unknown_gate"
	CodeConflicting    Code = "conflicting_evidence"
	CodeDirty          Code = "dirty_tree"
	CodePartial        Code = "partial"
	CodeWrongStatement Code = "wrong_statement"
	CodeNotAllowed     Code = "signer_not_allowed"
	CodeWrongBuilder   Code = "wrong_builder"
	CodeCheckpoint     Code = "untrusted_checkpoint"
	CodeInclusion      Code = "inclusion"
	CodeUnlogged       Code = "unlogged"
	CodeNoVerifier     Code = "no_verifier"
	CodeEntry          Code = "bad_entry"
	CodeWrongEntry     Code = "wrong_entry"
	CodeLogMalformed   Code = "log_malformed"
	CodeLogOrigin      Code = "log_origin"
	CodeLogTruncated   Code = "log_truncated"
	CodeLogRollback    Code = "log_rollback"
	CodeLogForked      Code = "log_forked"
	CodeLogCorrupt     Code = "log_corrupt"
	CodeLogUnexpected  Code = "log_unexpected_file"
	CodeLogUnread      Code = "log_unreadable"
	CodeSecretLeak     Code = "secret_leak"
	CodeXML            Code = "xml_unsafe"
	CodeArchive        Code = "unsafe_archive"
	CodeDecision       Code = "decision_refuted"
	CodeNoGo           Code = "no_go"
	CodeUnclaimed      Code = "unclaimed_artifact"
)

// Reason is what a code means, for a reader.
type Reason struct {
	Code Code
	// Verdict is what it makes of the whole: FAIL or UNVERIFIED. The few codes
	// that can be either have the worse one here.
	Verdict evidence.Verdict
	Means   string
	Fix     string
}

// The fixes that many codes share.
const (
	fixOrigin  = "take the evidence again from where it was made"
	fixForeign = "not written by us: do not use it, and find out where it came from"
	fixRerun   = "run the gate again, for this commit"
)

// Reasons are all codes that a report can have, sorted.
func Reasons() []Reason {
	fail, unverified := evidence.Fail, evidence.Unverified
	list := []Reason{
		{CodeNoPolicy, unverified, "there is no trust policy, so nothing says whose word counts", "give -policy=FILE"},
		{CodeMissing, fail, "a required gate has no evidence here", "run the gate for this commit, and bring its run folder along"},
		{CodeIncomplete, fail, "the required set is not whole; the gates are named as `missing`", "bring the whole set"},
		{CodeSkipped, fail, "a required gate skipped all of its work", fixRerun + ", without leaving anything out"},
		{CodeGateFailed, fail, "the evidence is good, and it says that the gate is red", "mend what the gate found"},
		{CodeGateUnverified, unverified, "the evidence is good, and it says that a required gate could not tell", fixRerun},
		{CodeUnknownGate, fail, "evidence of a gate that the policy does not know", "add the gate to known_gates, or take the evidence out"},
		{CodeConflicting, fail, "two results of one gate in one run contradict each other", "find out which of the two was made by the run; never pick the one you like"},
		{CodeDirty, fail, "the run was made in a working tree with changes", "commit, and " + fixRerun},
		{CodePartial, fail, "parts of the gate were left out by request", "run the whole gate"},
		{CodeWrongStatement, fail, "a statement says something else than the record and the index", fixOrigin},
		{CodeNotAllowed, fail, "a trusted signer signed what the policy does not let it sign", "extend the gates or predicate_types of the signer, or have the right one sign"},
		{CodeWrongBuilder, fail, "provenance of a builder that its signer may not speak for", "the builders of the signer in the policy, or build there"},
		{CodeCheckpoint, fail, "the log is not signed by the key of the policy", "an alarm if the log was signed before; otherwise `evidence:chain` with the right key"},
		{CodeInclusion, fail, "the proof of the log is not about this evidence", fixOrigin},
		{CodeUnlogged, unverified, "nothing is wrong, and the log does not have it", "`mage evidence:chain -root=DIR`, where the run was made"},
		{CodeNoVerifier, unverified, "the log is signed, and there is no key to check that with", "set log.verifier in the policy, or DPONE_LOG_VERIFIER"},
		{CodeEntry, fail, "an entry of the log is not one", "find out who can write to the log"},
		{CodeWrongEntry, fail, "the log has the index, and says something else about the run than its record", "find out who can write to the log"},
		{CodeLogMalformed, fail, "the checkpoint, or a proof, is not one", "restore it from a copy"},
		{CodeLogOrigin, fail, "the log has another name than the key", "the log and the policy of one project"},
		{CodeLogTruncated, fail, "parts of the log are gone", "restore it from a copy"},
		{CodeLogRollback, fail, "the log has fewer entries than were seen", "restore the newest copy"},
		{CodeLogForked, fail, "the log does not continue what was seen: it was rewritten", "an alarm; compare with the copies that others have"},
		{CodeLogCorrupt, fail, "an entry or a hash is not what the checkpoint commits to", "restore the log from a copy"},
		{CodeLogUnexpected, fail, "a file in the log that no log has", "move it out"},
		{CodeLogUnread, fail, "the system refused to read the log", "permissions, disk"},
		{CodeSecretLeak, fail, "a file looks as if it held a secret", "do not publish it; make the secret worthless, then run the gate again"},
		{CodeXML, fail, "an XML report with a document type, a processing instruction, or characters that XML does not have", fixForeign},
		{CodeArchive, fail, "an archive that could write outside, or over, or without end when it is opened", fixForeign},
		{CodeDecision, fail, "a decision says GO over evidence that does not", "decide again"},
		{CodeNoGo, fail, "a decision, or a summary of one, does not say GO", "mend what it names as blockers, and decide again"},
		{CodeUnclaimed, unverified, "a file that nobody who counts speaks of under its name", "take it out, or have it attested"},
		{Code(policy.WrongCommit), fail, "it is about another commit", fixRerun},
		{Code(policy.WrongRun), fail, "it is of another run or attempt", "bring the evidence of the run that was asked for"},
		{Code(policy.WrongRef), fail, "it was made on another branch or tag", "build on the ref that the policy names"},
		{Code(policy.WrongRepository), fail, "it was made in another repository", "build in the repository that the policy names, not in a fork"},
		{Code(policy.WrongVersion), fail, "it is about another version", "bring the evidence of this release"},
		{Code(policy.WrongRunner), fail, "it was made on a runner that the policy does not take", "use a hosted runner, or name self-hosted in the policy"},
		{Code(policy.UntrustedTrigger), fail, "what started the run does not count, such as a pull request", "evidence of a push, or triggers in the policy"},
		{Code(policy.FutureTime), fail, "it is dated in the future", "the clock of the machine that made it, or of this one"},
		{Code(policy.Stale), fail, "it is older than max_age", fixRerun},
		{Code(policy.SubjectMissing), fail, "the policy asks the caller for a commit or a run, and none was given", "give -commit or -run"},
		{Code(policy.PolicyDigest), fail, "the policy, or its trusted root, is not the one that was pinned or decided with", "the right policy file; if it was the right one, an alarm"},
		{Code(policy.UnanchoredPattern), fail, "a pattern of the policy takes more names than it seems to", "^ and $ around it, and scheme, host and owner spelled out"},
		{Code(policy.WaiverInvalid), fail, "a waiver that expired, is for something else, or was granted by its owner", "take it out of the policy, or have it granted anew"},
		{Code(sign.Unsigned), unverified, "nobody signed it", "`mage evidence:sign -root=DIR` where the run was made"},
		{Code(sign.PendingSignature), unverified, "the statements are written down and not signed yet", "`mage evidence:sign -root=DIR` when the signing service is back"},
		{Code(sign.KeylessUnavailable), unverified, "signed with a certificate, which cannot be checked here", "a build with the verifier of certificates"},
		{Code(sign.TrustRootMissing), fail, "signed with a certificate, and the policy has no trusted root", "trusted_root in the policy"},
		{Code(sign.SignatureCount), fail, "a bundle without exactly one signature", fixForeign},
		{Code(sign.WrongPayloadType), fail, "the envelope is not of in-toto", fixForeign},
		{Code(sign.BadSignature), fail, "the signature is not of this statement by this key", "an alarm: " + fixOrigin},
		{Code(sign.UntrustedSigner), fail, "nobody whom the policy names signed it", "the right policy; or have one of its signers sign"},
		{Code(sign.KeyExpired), fail, "the key has expired or was revoked", "sign again with a key that counts"},
		{Code(sign.KeyNotYetValid), fail, "the time of the key has not come", "the clock, or not_before in the policy"},
		{Code(sign.MACOnly), fail, "a MAC, which whoever can verify could have made", "sign with a key or an identity"},
		{Code(sign.UnsupportedMaterial), fail, "a bundle of a key with a log entry or a time, which is not checked with keys", "sign again with `evidence:sign`"},
		{Code(sign.WrongIdentity), fail, "the certificate is of somebody else", "the right policy; or have the right workflow sign"},
		{Code(sign.LogMissing), fail, "the bundle has no entry of a transparency log, or too few", "sign again"},
		{Code(sign.LogMismatch), fail, "the log entry of the bundle is of another one", "an alarm: " + fixOrigin},
		{Code(sign.TimeInvalid), fail, "no trusted time lies within the life of the certificate", "sign again"},
		{Code(sign.Unexpected), fail, "a file among the attestations that has no business there", "take it out"},
		{Code(strict.Malformed), fail, "not JSON", fixOrigin},
		{Code(strict.DuplicateKey), fail, "a key is there twice", fixForeign},
		{Code(strict.UnknownKey), fail, "a key that the format does not have, or in another case", fixForeign},
		{Code(strict.Schema), fail, "a value that the format does not allow", fixForeign},
		{Code(strict.LimitExceeded), fail, "larger, deeper or more than is read", "split it; a smaller limit may be in the policy"},
		{Code(strict.EmptyEvidence), fail, "there is nothing in it", fixOrigin},
		{Code(reader.CodeRecord), fail, "the record is not what a run writes, or contradicts itself", fixOrigin},
		{Code(seal.CodeDigestMismatch), fail, "bytes that are not those that were sealed, stated or logged", fixOrigin},
		{Code(seal.CodeSizeMismatch), fail, "a file has another size than the index says", fixOrigin},
		{Code(seal.CodeMissing), fail, "a file that is spoken of is not here; UNVERIFIED for an artifact that may lie elsewhere", "copy the folder whole, with its artifacts"},
		{Code(seal.CodeUnlisted), fail, "a file is there that the index does not list", "take it out"},
		{Code(seal.CodeNotRegular), fail, "a link, a pipe or a device", "evidence holds plain files only"},
		{Code(seal.CodePathEscape), fail, "a path that leads out of the folder", fixForeign},
		{Code(seal.CodeUnsafeName), fail, "a name that not every system stores as it is", "rename it before sealing"},
		{Code(seal.CodeNameCollision), fail, "two names that differ only in case", "rename one before sealing"},
		{Code(seal.CodeDuplicate), fail, "a path is listed twice", fixForeign},
		{Code(seal.CodeChanged), fail, "a file changed during the check", "wait for the run to end, and check again"},
		{Code(seal.CodeUnreadable), fail, "the system refused to read", "permissions, disk"},
		{Code(seal.CodeInterrupted), unverified, "the check was stopped", "run it again"},
	}
	slices.SortFunc(list, func(a, b Reason) int { return strings.Compare(string(a.Code), string(b.Code)) })
	return list
}

// ReasonOf is the meaning of a code. One that is not listed is FAIL: what
// nobody thought of is refused.
func ReasonOf(code Code) Reason {
	for _, r := range Reasons() {
		if r.Code == code {
			return r
		}
	}
	return Reason{Code: code, Verdict: evidence.Fail}
}
