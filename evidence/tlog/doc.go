// Package tlog is an append-only log in a directory: a Merkle tree after RFC
// 6962 in the layout of C2SP tlog-tiles, headed by a C2SP checkpoint, with
// proofs that others can check. Nothing in it can be changed, taken away or
// put in between without every reader of a later checkpoint finding out.
//
// # Layout
//
//	checkpoint             the head: origin, size, root hash, signature
//	tile/<L>/<N>[.p/<W>]   tree hashes: 256 (or W) a tile, 32 bytes each
//	tile/entries/<N>[.p/<W>]   entries: 256 (or W) a bundle, each after its
//	                       length in two bytes, big-endian
//	.lock                  held by a writer
//	.tmp                   what a writer is writing; of no meaning to a reader
//
// The formats are https://c2sp.org/tlog-tiles, https://c2sp.org/tlog-checkpoint,
// https://c2sp.org/signed-note and https://c2sp.org/tlog-proof, so that the
// directory can be served as it is. The log of the one entry "hello", unsigned,
// has the checkpoint
//
//	example.com/log
//	1
//	iipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=
//
// which is the origin, the size, and SHA-256 over a zero byte and "hello" in
// base64. A signed checkpoint goes on with an empty line and a line "— <name>
// <signature>" for each signature.
//
// # Signatures and memory
//
// A log without a key is possible. Its checkpoint is the three lines alone,
// and every reader says so ([Trust]). Whoever can write to such a log can
// rewrite all of it; the same holds for a signed log and whoever has the key.
// Against both stands the memory of a reader: the last checkpoint that was
// seen is kept outside the directory ([Options].Remember), and a log that does
// not continue it is refused.
//
//   - ErrTruncated: the checkpoint is gone although there was one, or files
//     are missing that it speaks of
//   - ErrRollback: the log is shorter than it was
//   - ErrForked: it is as long or longer, and does not continue what was seen
//   - ErrBadSignature, ErrUnsigned: the checkpoint is not signed with the
//     expected key, or not at all
//   - ErrCorrupt: a tile or an entry is not what the checkpoint commits to
//
// # Crashes and writers
//
// [Log.Append] holds the lock, writes entries and tiles under names that the
// current checkpoint does not speak of, flushes them to disk, and only then
// replaces the checkpoint by renaming. Stopped in between, it leaves the log as
// it was; the next append takes the leftovers away where they would matter.
// Files are never changed once a checkpoint speaks of them, so readers need no
// lock. Partial tiles stay until their tile is full, as tlog-tiles asks.
package tlog
