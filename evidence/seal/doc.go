// Package seal turns a directory of evidence into something whose every byte
// can be checked: [Seal] writes index.json over all files, [Verify] derives
// everything again from the bytes, [Copy] takes a copy in which each file is
// exactly what was hashed.
//
// # Format
//
// index.json lies at the top of the directory and lists every other file of
// it, sorted by the bytes of the path. The file a run with a record and one
// log leaves is
//
//	{
//	  "schema": "https://github.com/dpone/dpone/evidence/index/v2",
//	  "files": [
//	    {
//	      "path": "logs/ci-test.log",
//	      "size": 3,
//	      "sha256": "dc51b8c96c2d745df3bd5590d990230a482fd247123599548e0632fdbf97fc22",
//	      "media_type": "text/plain; charset=utf-8",
//	      "role": "log"
//	    },
//	    {
//	      "path": "record.json",
//	      "size": 3,
//	      "sha256": "ca3d163bab055381827226140568f3bef7eaac187cebd76878e0b63e9e442356",
//	      "media_type": "application/json",
//	      "role": "record"
//	    }
//	  ]
//	}
//
// with two spaces of indentation, "<", ">" and "&" not escaped, and one final
// newline. A reader accepts exactly these bytes for this content, so that no
// two readers see two different indexes.
//
//   - path: relative, forward slashes, valid UTF-8 that is kept as it is (no
//     normalisation); see below for what a path may not be
//   - size: in bytes
//   - sha256: 64 lower-case hex digits
//   - media_type, role: follow from the path by the tables of this package
//     ([MediaType], [RoleOf]); an index that says otherwise is refused. The
//     tables belong to the version of the schema: another table is another version
//
// Nothing in an index is left that the files do not determine: it does not
// repeat the name of the run, which the record and the log entry hold. That is
// why a change of any byte of index.json is found even by a reader who does
// not know the digest of the index. What such a reader cannot find is a change
// of a file together with its entry: for that, the digest of index.json is
// what a signature or a log entry holds ([Options].IndexSHA256).
//
// # What is refused
//
// Each problem has a stable [Code]. A path is refused when it is absolute,
// has a drive letter, a backslash or an element ".." (path_escape); when it has
// an empty element, an element ".", more than 255 bytes in an element, more
// than 4096 in all, a final dot or space in an element, a colon, invalid UTF-8,
// a control character or a bidirectional control (unsafe_name); and when it
// differs from another only in case (name_collision). Two names that differ
// only in Unicode normalisation are two names.
//
// Directories are not evidence: an empty one is neither listed nor missed.
// Times are never looked at.
//
// The memory needed is that of the index (at most [MaxIndex] bytes of text)
// and 256 KiB for each worker, whatever the sizes of the files.
package seal
