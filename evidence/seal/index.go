package seal

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// IndexJSON is the name of the index, at the top of the directory.
const IndexJSON = "index.json"

// Schema names the format of an index.
const Schema = "https://github.com/dpone/dpone/evidence/index/v2"

// MaxIndex is the largest index, in bytes.
const MaxIndex = 16 << 20

// Index lists the files of a directory of evidence.
type Index struct {
	// Schema is [Schema].
	Schema string
	// Files are sorted by the bytes of Path.
	Files []File
	// SHA256 is the digest of the bytes of index.json, in lower-case hex: what
	// a log entry or a signature holds. [Seal] and readers set it.
	SHA256 string
}

// File is a file by content.
type File struct {
	Path string `json:"path"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// SHA256 is 64 lower-case hex digits.
	SHA256 string `json:"sha256"`
	// MediaType and Role follow from Path.
	MediaType string `json:"media_type"`
	Role      Role   `json:"role"`
}

// Find returns the entry of a path.
func (x Index) Find(path string) (File, bool) {
	i, ok := x.search(path)
	if !ok {
		return File{}, false
	}
	return x.Files[i], true
}

func (x Index) search(path string) (int, bool) {
	return slices.BinarySearchFunc(x.Files, path, func(f File, p string) int { return strings.Compare(f.Path, p) })
}

// Encode returns the one form of the index in bytes.
func (x Index) Encode() ([]byte, error) {
	if x.Schema != Schema {
		return nil, fmt.Errorf("index: schema %q is not %q", x.Schema, Schema)
	}
	return x.encode(), nil
}

// encode writes what json.MarshalIndent writes without the HTML escapes, in
// one pass: a large index is encoded at each sealing and each reading.
func (x Index) encode() []byte {
	out := make([]byte, 0, 256+256*len(x.Files))
	out = append(out, "{\n  \"schema\": "...)
	out = appendString(out, x.Schema)
	out = append(out, ",\n  \"files\": ["...)
	for i, f := range x.Files {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, "\n    {\n      \"path\": "...)
		out = appendString(out, f.Path)
		out = append(out, ",\n      \"size\": "...)
		out = strconv.AppendInt(out, f.Size, 10)
		out = append(out, ",\n      \"sha256\": "...)
		out = appendString(out, f.SHA256)
		out = append(out, ",\n      \"media_type\": "...)
		out = appendString(out, f.MediaType)
		out = append(out, ",\n      \"role\": "...)
		out = appendString(out, string(f.Role))
		out = append(out, "\n    }"...)
	}
	if len(x.Files) > 0 {
		out = append(out, "\n  "...)
	}
	return append(out, "]\n}\n"...)
}

// appendString appends a JSON string as encoding/json writes it without the
// HTML escapes.
func appendString(out []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			var b bytes.Buffer
			enc := json.NewEncoder(&b)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(s); err != nil {
				return append(out, `""`...) // a string always encodes
			}
			return append(out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
		}
	}
	out = append(out, '"')
	out = append(out, s...)
	return append(out, '"')
}

func hexDigest(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// Decode reads an index as if its writer were hostile, and returns an [*Error]
// with all that is wrong with it. The paths it returns are safe; nothing is
// said about the files.
func Decode(raw []byte) (Index, error) {
	x, problems := decode(raw)
	if len(problems) > 0 {
		return Index{}, &Error{Op: "read the index of", Root: "a directory of evidence", Problems: ordered(problems)}
	}
	return x, nil
}

// decode also returns what could be read of a bad index, so that one pass can
// name the problems of the files as well.
func decode(raw []byte) (Index, []Problem) {
	x := Index{SHA256: hexDigest(raw)}
	switch {
	case len(raw) > MaxIndex:
		return x, []Problem{{CodeLimit, IndexJSON, fmt.Sprintf("more than %d bytes", MaxIndex)}}
	case len(raw) == 0:
		return x, []Problem{{CodeEmpty, IndexJSON, "the index has no bytes"}}
	}
	if files, ok := decodeCanonical(raw); ok {
		x.Schema, x.Files = Schema, files
		return x, checkFiles(files)
	}
	// Not what a writer writes: read it loosely to say what is wrong with it.
	r := reader{dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	err := r.object("", func(key string) error {
		switch key {
		case "schema":
			return r.text(&x.Schema)
		case "files":
			return r.files(&x.Files)
		}
		return errUnknown
	})
	if err == nil {
		if _, end := r.dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("there is something behind the index")
		}
	}
	if err != nil {
		return x, append(r.problems, Problem{CodeSchema, IndexJSON, err.Error()})
	}
	if x.Schema != Schema {
		return x, append(r.problems, Problem{CodeSchema, IndexJSON, fmt.Sprintf("schema %q is not %q", x.Schema, Schema)})
	}
	if r.problems = append(r.problems, checkFiles(x.Files)...); len(r.problems) > 0 {
		return x, r.problems
	}
	again, err := x.Encode()
	if err != nil {
		return x, []Problem{{CodeSchema, IndexJSON, err.Error()}}
	}
	if !bytes.Equal(raw, again) {
		return x, []Problem{{CodeSchema, IndexJSON, fmt.Sprintf("line %d is not what a writer of indexes writes", firstDifference(raw, again))}}
	}
	return x, nil
}

// decodeCanonical reads the text that encode writes, and nothing else.
func decodeCanonical(raw []byte) ([]File, bool) {
	p := canonical{rest: raw, ok: true}
	p.skip("{\n  \"schema\": \"" + Schema + "\",\n  \"files\": [")
	files := []File{}
	for p.ok && (len(files) == 0 && p.has("\n") || p.has(",\n")) && len(files) < maxEntries {
		var f File
		p.skip("    {\n      \"path\": ")
		f.Path = p.text()
		p.skip(",\n      \"size\": ")
		f.Size = p.number()
		p.skip(",\n      \"sha256\": ")
		f.SHA256 = p.text()
		p.skip(",\n      \"media_type\": ")
		f.MediaType = p.text()
		p.skip(",\n      \"role\": ")
		f.Role = Role(p.text())
		p.skip("\n    }")
		files = append(files, f)
	}
	if len(files) > 0 {
		p.skip("\n  ")
	}
	p.skip("]\n}\n")
	return files, p.ok && len(p.rest) == 0
}

// canonical reads text of which there is one form only.
type canonical struct {
	rest []byte
	ok   bool
}

// has takes the text away if it comes next.
func (p *canonical) has(text string) bool {
	if !p.ok || len(p.rest) < len(text) || string(p.rest[:len(text)]) != text {
		return false
	}
	p.rest = p.rest[len(text):]
	return true
}

func (p *canonical) skip(text string) {
	if !p.has(text) {
		p.ok = false
	}
}

// text reads a string that is written as appendString writes it.
func (p *canonical) text() string {
	if !p.has(`"`) {
		p.ok = false
		return ""
	}
	for i, c := range p.rest {
		switch {
		case c == '"':
			s := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return s
		case c < 0x20 || c >= 0x7f || c == '\\':
			return p.quoted()
		}
	}
	p.ok = false
	return ""
}

// quoted reads the rest of a string that encoding/json has to look at.
func (p *canonical) quoted() string {
	p.ok = false
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			whole := append([]byte{'"'}, p.rest[:i+1]...)
			var s string
			if json.Unmarshal(whole, &s) != nil || !bytes.Equal(appendString(nil, s), whole) {
				return ""
			}
			p.ok, p.rest = true, p.rest[i+1:]
			return s
		}
	}
	return ""
}

// number reads a size: decimal, without a sign and without leading zeros.
func (p *canonical) number() int64 {
	n := 0
	for n < len(p.rest) && '0' <= p.rest[n] && p.rest[n] <= '9' {
		n++
	}
	v, err := strconv.ParseInt(string(p.rest[:n]), 10, 64)
	if err != nil || n > 1 && p.rest[0] == '0' {
		p.ok = false
	}
	p.rest = p.rest[n:]
	return v
}

// checkFiles judges the entries on their own and together.
func checkFiles(files []File) []Problem {
	var problems []Problem
	for i, f := range files {
		problems = append(problems, f.check()...)
		if i == 0 {
			continue
		}
		switch before := files[i-1].Path; {
		case before == f.Path:
			problems = append(problems, Problem{CodeDuplicate, f.Path, "the index lists the path twice"})
		case before > f.Path:
			problems = append(problems, Problem{CodeSchema, IndexJSON, fmt.Sprintf("entry %d is not in order", i)})
		}
	}
	return append(problems, collisions(files)...)
}

// check judges an entry on its own.
func (f File) check() []Problem {
	var problems []Problem
	if code, why := checkPath(f.Path); code != "" {
		problems = append(problems, Problem{code, f.Path, why})
	}
	add := func(why string) { problems = append(problems, Problem{CodeSchema, f.Path, why}) }
	if f.Path == IndexJSON {
		add("the index lists itself")
	}
	if f.Size < 0 {
		add("the size is negative")
	}
	if !isDigest(f.SHA256) {
		add("sha256 is not 64 lower-case hex digits")
	}
	if want := MediaType(f.Path); f.MediaType != want {
		add(fmt.Sprintf("media type %q, the path says %q", f.MediaType, want))
	}
	if want := RoleOf(f.Path); f.Role != want {
		add(fmt.Sprintf("role %q, the path says %q", f.Role, want))
	}
	return problems
}

func isDigest(s string) bool {
	if len(s) != 2*sha256.Size {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// collisions finds paths, and directories on the way to them, that differ only
// in case, and paths that are a file and a directory at once.
func collisions(files []File) []Problem {
	var problems []Problem
	type place struct {
		name string
		dir  bool
	}
	seen := make(map[string]place, len(files)+1)
	seen[fold(IndexJSON)] = place{name: IndexJSON}
	last := "" // the directory that was looked at last, with its slash
	for _, f := range files {
		if f.Path == IndexJSON {
			continue // told elsewhere
		}
		at := 0
		if strings.HasPrefix(f.Path, last) {
			at = len(last)
		}
		last = f.Path[:strings.LastIndexByte(f.Path, '/')+1]
		for {
			n := strings.IndexByte(f.Path[at:], '/')
			now := place{name: f.Path}
			if n >= 0 {
				at += n
				now = place{name: f.Path[:at], dir: true}
				at++
			}
			key := fold(now.name)
			switch before, ok := seen[key]; {
			case !ok:
				seen[key] = now
			case before.name != now.name:
				problems = append(problems, Problem{CodeNameCollision, now.name, fmt.Sprintf("differs from %q only in case", before.name)})
			case before.dir != now.dir:
				problems = append(problems, Problem{CodeNameCollision, now.name, "is a file and a directory at once"})
			}
			if n < 0 {
				break
			}
		}
	}
	return problems
}

// What a hostile index of MaxIndex bytes may make its reader remember: a true
// entry has more than 100 bytes.
const (
	maxEntries     = MaxIndex / 100
	maxKeyProblems = 1000
)

var errUnknown = errors.New("unknown key")

// reader walks the tokens of an index. encoding/json alone would let doubled
// and wrongly-cased keys through.
type reader struct {
	dec      *json.Decoder
	problems []Problem
}

func (r *reader) add(code Code, detail string) {
	r.problems = append(r.problems, Problem{code, IndexJSON, detail})
}

// object reads an object and calls value for the value of each key it has not
// seen yet.
func (r *reader) object(where string, value func(key string) error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	var seen []string
	for r.dec.More() {
		token, err := r.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // the decoder lets only strings through here
		if len(r.problems) > maxKeyProblems {
			return errors.New("too many wrong keys")
		}
		if slices.Contains(seen, key) {
			r.add(CodeDuplicateKey, fmt.Sprintf("%s%q is there twice", where, key))
			if err := r.skip(); err != nil {
				return err
			}
			continue
		}
		switch err := value(key); {
		case errors.Is(err, errUnknown):
			r.add(CodeUnknownKey, fmt.Sprintf("%s%q is not a key of the format", where, key))
			if err := r.skip(); err != nil {
				return err
			}
		case err != nil:
			return fmt.Errorf("%s%q: %w", where, key, err)
		default:
			seen = append(seen, key)
		}
	}
	return r.delim('}')
}

func (r *reader) skip() error {
	var skipped json.RawMessage
	return r.dec.Decode(&skipped)
}

func (r *reader) delim(want json.Delim) error {
	token, err := r.dec.Token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("found %v where %v belongs", token, want)
	}
	return nil
}

func (r *reader) text(into *string) error {
	token, err := r.dec.Token()
	if err != nil {
		return err
	}
	s, ok := token.(string)
	if !ok {
		return errors.New("not a string")
	}
	*into = s
	return nil
}

func (r *reader) files(into *[]File) error {
	if err := r.delim('['); err != nil {
		return err
	}
	*into = []File{}
	for r.dec.More() {
		if len(*into) == maxEntries {
			return fmt.Errorf("more than %d entries", maxEntries)
		}
		var f File
		where := fmt.Sprintf("files[%d].", len(*into))
		err := r.object(where, func(key string) error {
			switch key {
			case "path":
				return r.text(&f.Path)
			case "size":
				token, err := r.dec.Token()
				if err != nil {
					return err
				}
				number, ok := token.(json.Number)
				if !ok {
					return errors.New("not a number")
				}
				f.Size, err = number.Int64()
				return err
			case "sha256":
				return r.text(&f.SHA256)
			case "media_type":
				return r.text(&f.MediaType)
			case "role":
				var role string
				err := r.text(&role)
				f.Role = Role(role)
				return err
			}
			return errUnknown
		})
		if err != nil {
			return err
		}
		*into = append(*into, f)
	}
	return r.delim(']')
}

// firstDifference is the line, counted from 1, of the first byte in which a and b differ.
func firstDifference(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n"))
}
