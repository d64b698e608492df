package seal

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Code is the stable name of a reason for which evidence is refused. Other
// programs may rely on the names; new ones may come.
type Code string

// The codes.
const (
	CodeDigestMismatch Code = "digest_mismatch"       // the bytes of a file are not those of the index, or those of the index not the expected ones
	CodeSizeMismatch   Code = "size_mismatch"         // a file has not the size of the index
	CodeMissing        Code = "missing_artifact"      // a file of the index, or the index itself, is not there
	CodeUnlisted       Code = "unlisted_artifact"     // a file is there that the index does not list
	CodeNotRegular     Code = "not_regular_file"      // a link, a pipe, a device, a socket; a hard link where asked for
	CodePathEscape     Code = "path_escape"           // a path that could lead out of the directory
	CodeUnsafeName     Code = "unsafe_name"           // a name that not every system stores as it is
	CodeNameCollision  Code = "name_collision"        // names that differ only in case
	CodeDuplicate      Code = "duplicate_entry"       // the index lists a path twice
	CodeEmpty          Code = "empty_evidence"        // no bytes where the role wants some, or no file at all
	CodeLimit          Code = "limit_exceeded"        // too many files, too many bytes, too large an index
	CodeDuplicateKey   Code = "json_duplicate_key"    // a key of the index is there twice
	CodeUnknownKey     Code = "json_unknown_key"      // a key the format does not have, or has in another case
	CodeSchema         Code = "schema"                // the index is not what the format says
	CodeChanged        Code = "changed_while_reading" // a file changed under the reader
	CodeUnreadable     Code = "unreadable"            // the system refused to read
	CodeInterrupted    Code = "interrupted"           // the check was stopped before its end
)

// Problem is one reason for which evidence is refused.
type Problem struct {
	Code Code `json:"code"`
	// Path is the file or directory, relative to the root; empty for the root itself.
	Path string `json:"path"`
	// Detail says more, for a reader; it is not stable.
	Detail string `json:"detail"`
}

func (p Problem) String() string {
	if p.Path == "" {
		return fmt.Sprintf("%s: %s", p.Code, p.Detail)
	}
	// Quoted, because the name may be the attack.
	return fmt.Sprintf("%q: %s: %s", p.Path, p.Code, p.Detail)
}

// Error is the error of [Seal], [Read], [Copy] and [Result.Err]: all problems
// of one pass.
type Error struct {
	// Op is what was tried, for example "seal".
	Op string
	// Root is the directory, as given.
	Root     string
	Problems []Problem
	// Cause is set when the system or the context ended the work; it may be nil.
	Cause error
}

// shown bounds the problems that the text of an error names.
const shown = 10

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: ", e.Op, e.Root)
	if e.Cause != nil {
		fmt.Fprintf(&b, "%v", e.Cause)
		if len(e.Problems) > 0 {
			b.WriteString("; ")
		}
	}
	for i, p := range e.Problems {
		if i == shown {
			fmt.Fprintf(&b, "; and %d more", len(e.Problems)-shown)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ordered sorts problems by path and code, and keeps one of each.
func ordered(problems []Problem) []Problem {
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Detail, b.Detail))
	})
	return slices.CompactFunc(problems, func(a, b Problem) bool { return a.Path == b.Path && a.Code == b.Code })
}
