// Package digest is the one definition of the digest of a table: what is hashed,
// how hashes are put together, and how two tables that differ are narrowed down to
// rows. A stream of rows, a PostgreSQL server and every other reader that follows
// this text get the same digest from the same rows, in any order.
//
// # Row bytes
//
// All integers are big-endian. The bytes of a row are
//
//	int32  number of columns
//	and for each column of Spec.Columns, in order
//	int32  the type's tag (logical.Type.DigestTag)
//	int32  length of the value in bytes, -1 for NULL
//	bytes  the canonical value (package logical), none for NULL
//
// which is what PostgreSQL's record_send gives for row(...), as the tags are the
// object identifiers of its types. NULL, an empty text and 0 differ, so do 0 and
// -0, 1.0 and 1.00, and a timestamp and a timestamptz of the same instant. All NaN
// of one floating-point type are the same value: the builder replaces each of them
// by the canonical one, since servers also send others (inf - inf is fff8000000000000).
//
// # Hashes, lanes, buckets
//
// The row hash is the SHA-256 (FIPS 180-4) of the row bytes. The key hash is that
// of the bytes of a row that has the columns of Spec.Key alone, in the key's order.
// A hash has two lanes: A is its first eight bytes, B the next eight, each a uint64.
//
// A row's bucket is the first log2(Spec.Buckets) bits of the key hash (of the row
// hash when there is no key): its first two bytes as a uint16, shifted right by 16
// less this number. A bucket holds
//
//	Rows  the number of its rows
//	A, B  the sums of the lanes of its rows, modulo 2^64: of the key hashes
//	      at LevelKey, of the row hashes at LevelFull
//
// Sums do not depend on the order of the rows, and a row that comes twice counts
// twice; under an exclusive or, two equal rows would cancel out. At LevelCount only
// rows are counted and there are no buckets, at LevelNone nothing is looked at.
//
// # The specification's hash and the digest's line
//
// A string is written as its length, int32, and its bytes. Spec.Hash is the SHA-256,
// in hexadecimal, of
//
//	string "dpone-digest-spec-1"
//	string level
//	int32  number of columns; for each: string name, int32 tag
//	int32  number of columns of the key; for each: string name
//	int32  number of buckets
//
// and Digest.String is dpone-digest-1:<level>:<rows>:<hash> with the SHA-256, in
// hexadecimal, of
//
//	string "dpone-digest-1"
//	string Spec.Hash
//	string level
//	int64  rows
//	int32  number of buckets; for each: int64 rows, A, B
//
// # In PostgreSQL
//
// With h = sha256(record_send(row(c1, c2, ...))) and k = sha256(record_send(row(k1,
// ...))), each column cast to the type of its tag (a varchar to text; a domain to
// its base type), and float columns as
//
//	case when c = 'NaN' then 'NaN' else c end
//
// because record_send sends a NaN as it is kept, the bucket is
//
//	(get_byte(k, 0) << 8 | get_byte(k, 1)) >> (16 - log2(buckets))
//
// and the lanes, as signed numbers, are
//
//	('x' || encode(substr(h, 1, 8), 'hex'))::bit(64)::bigint
//	('x' || encode(substr(h, 9, 8), 'hex'))::bit(64)::bigint
//
// Their sum per bucket is a numeric. A signed lane and its unsigned one are
// congruent modulo 2^64, so mod(mod(sum, 2^64) + 2^64, 2^64) is A or B.
//
// # Example
//
// Three rows of (id int32, name text, balance numeric(10,2)) with the key id and
// four buckets, at LevelFull. The row bytes of (1, 'Ada', 1.50) are
//
//	00000003                                   three columns
//	00000017 00000004 00000001                 int32, 4 bytes, 1
//	00000019 00000003 416461                   text, 3 bytes, Ada
//	000006a4 0000000c 0002000000000002 00011388  numeric, 12 bytes, 1.50
//
// and its hashes and those of (2, NULL, 0.00) and (3, an empty text, -12.34), of which the
// first 16 bytes are the lanes:
//
//	id  row hash, first 16 bytes          key hash, first 2 bytes  bucket
//	1   25239cf66041348c 165b22b811738f8d  03b4  0
//	2   92f37af27f5abd58 720d28707124a38e  43d9  1
//	3   fe948568836f301d a73f88485a570a3f  ef3a  3
//
// A bucket of one row has that row's lanes as its sums. Bucket 2 is empty. The line is
//
//	dpone-digest-1:full:3:3b4d63f5bf9fbc536185fdc9cee19d6f68cb7717948f9703d8ab6052a8f3e1fd
//
// The example of the package computes the same; PostgreSQL 15.18 gave these bytes, too.
package digest
