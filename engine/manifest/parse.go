package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// MaxBytes is the length of the longest manifest that is read.
const MaxBytes = 1 << 20

// Read reads and checks the manifest in a regular file; see [Parse] for the rest.
func Read(path string, families ...string) (*Manifest, error) {
	// Looked at before it is opened, because opening a pipe waits for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read manifest %s: it is no regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read manifest %s: %w", path, err)
	}
	return Parse(path, data, families...)
}

// Parse reads one YAML 1.2 document (core schema) and checks its form and its
// meaning. Whatever is wrong is told at once, as *[Problems]. The path is only
// kept and told. The families are those that source and sink may name,
// [Families] when there are none.
//
// Values are typed strictly: text that looks like a number must be in quotes
// where a string is wanted, and yes is a string. Only where the field's
// description says so a number keeps its text. Where a list of strings is wanted,
// one string stands for a list of one.
func Parse(path string, data []byte, families ...string) (*Manifest, error) {
	d := &decoder{collector: collector{path: path, marks: map[string]mark{}, broken: map[string]bool{}}}
	m := &Manifest{Path: path}
	if root := d.document(data); root != nil {
		d.value(root, reflect.ValueOf(m).Elem(), "", rule{})
		d.settled = true
		m.marks = d.marks
		validate(m, families, &d.collector)
	}
	if err := d.problems(); err != nil {
		return nil, err
	}
	return m, nil
}

type decoder struct {
	collector
	// lines are the text's, only when it has an exclamation mark.
	lines []string
}

var (
	lineBreak  = regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]")
	aliasName  = regexp.MustCompile(`^unknown anchor '(.*)' referenced`)
	syntaxLine = regexp.MustCompile(`^line ([0-9]+): `)
)

// document gives the one document's root, nil when there is none to be read.
func (d *decoder) document(data []byte) *yaml.Node {
	start := mark{1, 1}
	switch {
	case len(data) > MaxBytes:
		d.addAt(start, codeTooLarge, "", "", "is longer than %d bytes", MaxBytes)
		return nil
	case !utf8.Valid(data):
		d.addAt(start, codeEncoding, "", "save it as UTF-8", "is not UTF-8")
		return nil
	}
	if bytes.IndexByte(data, '!') >= 0 {
		d.lines = lineBreak.Split(string(data), -1)
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := decode(dec, &doc)
	if errors.Is(err, io.EOF) || err == nil && empty(&doc) {
		d.addAt(start, codeEmpty, "", "", "there is nothing in it")
		return nil
	}
	if err == nil {
		if err = decode(dec, &more); err == nil {
			d.addAt(mark{more.Line, more.Column}, codeDocuments, "", "give each process a file of its own", "a second document begins here")
			return nil
		}
		if errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	if at := aliasName.FindStringSubmatch(msg); at != nil {
		// What stands after the asterisk may be a secret that somebody forgot to quote.
		before, _, _ := bytes.Cut(data, []byte("*"+at[1]))
		start.line += bytes.Count(before, []byte("\n"))
		d.addAt(start, codeAlias, "", "put text that begins with * in quotes", "an alias of nothing is used")
		return nil
	}
	if at := syntaxLine.FindStringSubmatch(msg); at != nil {
		msg = msg[len(at[0]):]
		if n, err := strconv.Atoi(at[1]); err == nil {
			start.line = n
		}
	}
	d.addAt(start, codeSyntax, "", "", "is not YAML: %s", strings.Join(strings.Fields(msg), " "))
	return nil
}

// empty reports whether a document has no content but an empty scalar.
func empty(doc *yaml.Node) bool {
	if len(doc.Content) == 0 {
		return true
	}
	n := doc.Content[0]
	return n.Kind == yaml.ScalarNode && n.Style == 0 && kindOf(n) == isNull
}

// decode reads the next document. The library ends in a panic where it finds
// itself in a state that it does not expect; that is a text it cannot read.
func decode(dec *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("it cannot be read")
		}
	}()
	return dec.Decode(into)
}

// broke adds a problem with a value that cannot be read.
func (d *decoder) broke(n *yaml.Node, what code, at, fix, format string, args ...any) {
	if len(d.found) < maxProblems {
		d.broken[at] = true
	}
	d.addAt(mark{n.Line, n.Column}, what, at, fix, format, args...)
}

// plain reports whether a node is just a value, and says what else it is.
func (d *decoder) plain(n *yaml.Node, at string) bool {
	switch {
	case n.Kind == yaml.AliasNode:
		d.broke(n, codeAlias, at, "write the value where it is used", "an alias hides what is loaded")
	case n.Anchor != "":
		d.broke(n, codeAlias, at, "take the anchor out; put text that begins with & in quotes", "an anchor stands before the value")
	case n.Style&yaml.TaggedStyle != 0 || d.exclaimed(n):
		d.broke(n, codeTag, at, "take the tag out; put text that begins with ! in quotes", "a tag stands before the value")
	default:
		return true
	}
	return false
}

// exclaimed finds the tag that is only an exclamation mark, which the library does not tell.
func (d *decoder) exclaimed(n *yaml.Node) bool {
	if n.Line < 1 || n.Line > len(d.lines) {
		return false
	}
	line := d.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString(line)
		line = line[size:]
	}
	return strings.HasPrefix(line, "!")
}

func (d *decoder) value(n *yaml.Node, v reflect.Value, at string, r rule) {
	if !d.plain(n, at) {
		return
	}
	if n.Kind == yaml.ScalarNode || at == "" || strings.HasSuffix(at, "]") {
		d.marks[at] = mark{n.Line, n.Column}
	}
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, at)
	case reflect.Slice:
		d.list(n, v, at, r)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, v.Elem(), at, r)
	default:
		d.scalar(n, v, at, r)
	}
}

// keyForm is what a key looks like. Others are not repeated: they may be anything, also a secret.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

func (d *decoder) object(n *yaml.Node, v reflect.Value, at string) {
	if n.Kind != yaml.MappingNode {
		d.mistyped(n, at, "a mapping of fields", "")
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := mark{key.Line, key.Column}
		switch {
		case key.Kind == yaml.AliasNode, key.Anchor != "", key.Kind == yaml.ScalarNode && key.Style == 0 && key.Value == "<<":
			d.addAt(where, codeAlias, at, "write the fields where they are used", "an anchor, alias or merge key hides what is loaded")
			d.broken[at] = true // which of the fields are there cannot be told
			continue
		case key.Style&yaml.TaggedStyle != 0 || d.exclaimed(key):
			d.addAt(where, codeTag, at, "take the tag out", "a tag stands before a key")
			d.broken[at] = true
			continue
		}
		known := slices.IndexFunc(fields, func(f field) bool { return f.key == key.Value && key.Kind == yaml.ScalarNode })
		if known < 0 {
			d.unknown(key, at, fields)
			continue
		}
		here := join(at, key.Value)
		if seen[key.Value] {
			d.addAt(where, codeDuplicateKey, here, "keep one of the two", "is given twice")
			continue
		}
		seen[key.Value] = true
		d.marks[here] = where
		d.value(value, v.Field(fields[known].index), here, fields[known].rule)
	}
}

// unknown reports a key that no field has.
func (d *decoder) unknown(key *yaml.Node, at string, fields []field) {
	where := mark{key.Line, key.Column}
	if len(d.found) > maxProblems {
		return // a hint for each of many thousand keys takes its time
	}
	switch {
	case key.Kind != yaml.ScalarNode || key.Style == 0 && kindOf(key) != isString:
		d.addAt(where, codeKeyType, at, "", "a key is %s, not a string", describe(key))
	case !keyForm.MatchString(key.Value):
		d.addAt(where, codeUnknownKey, at, "", "unknown key, which does not look like the name of a field")
	default:
		keys := make([]string, len(fields))
		for i, f := range fields {
			keys[i] = f.key
		}
		fix := nearest(key.Value, keys)
		if fix == "" {
			if places := homes(key.Value); len(places) == 1 {
				fix = "it belongs at " + places[0]
			} else {
				fix = "known are " + strings.Join(keys, ", ")
			}
		}
		d.addAt(where, codeUnknownKey, join(at, key.Value), fix, "unknown key")
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, at string, r rule) {
	items := n.Content
	single := n.Kind == yaml.ScalarNode && v.Type().Elem().Kind() == reflect.String
	switch {
	case single:
		items = []*yaml.Node{n}
	case n.Kind != yaml.SequenceNode:
		d.mistyped(n, at, "a list", "")
		return
	case len(items) > maxItems:
		d.broke(n, codeOutOfRange, at, "", "the list has %d items, more than %d", len(items), maxItems)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		here := fmt.Sprintf("%s[%d]", at, i)
		if single {
			here = at
		}
		d.value(item, list.Index(i), here, r)
	}
	v.Set(list)
}

// kind is what a plain scalar is in the core schema of YAML 1.2.2, 10.3.2.
type kind int

const (
	isString kind = iota
	isNull
	isBool
	isInt
	isFloat
)

var (
	intForm   = regexp.MustCompile(`^([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	floatForm = regexp.MustCompile(`^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func kindOf(n *yaml.Node) kind {
	if n.Style != 0 {
		return isString
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		return isNull
	case "true", "True", "TRUE", "false", "False", "FALSE":
		return isBool
	}
	if c := n.Value[0]; c != '.' && c != '-' && c != '+' && (c < '0' || c > '9') {
		return isString
	}
	switch {
	case intForm.MatchString(n.Value):
		return isInt
	case floatForm.MatchString(n.Value):
		return isFloat
	}
	return isString
}

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		return [...]string{"a string", "nothing", "a boolean", "an integer", "a number"}[kindOf(n)]
	default:
		return "an alias"
	}
}

// mistyped reports a value of the wrong type. The value itself is not told: it may be a secret.
func (d *decoder) mistyped(n *yaml.Node, at, want, fix string) {
	if n.Kind == yaml.ScalarNode && kindOf(n) == isNull {
		fix = "leave the key out, or give it a value"
	}
	d.broke(n, codeWrongType, at, fix, "must be %s, is %s", want, describe(n))
}

func (d *decoder) scalar(n *yaml.Node, v reflect.Value, at string, r rule) {
	k := isNull
	if n.Kind == yaml.ScalarNode {
		k = kindOf(n)
	}
	ok := n.Kind == yaml.ScalarNode
	switch v.Kind() {
	case reflect.String:
		if !ok || k != isString && (!r.text || k != isInt && k != isFloat) {
			fix := ""
			if ok {
				fix = "put it in quotes"
			}
			d.mistyped(n, at, "a string", fix)
			return
		}
		v.SetString(n.Value)
	case reflect.Bool:
		if !ok || k != isBool {
			d.mistyped(n, at, "true or false", "")
			return
		}
		v.SetBool(n.Value[0] == 't' || n.Value[0] == 'T')
	case reflect.Int, reflect.Int64:
		if !ok || k != isInt {
			d.mistyped(n, at, "an integer", "")
			return
		}
		i, err := integer(n.Value)
		if err != nil {
			d.broke(n, codeOutOfRange, at, "", "the integer is beyond 64 bits")
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		if !ok || k != isInt && k != isFloat {
			d.mistyped(n, at, "a number", "")
			return
		}
		f, err := number(n.Value, k)
		if err != nil {
			d.broke(n, codeOutOfRange, at, "", "the number is not finite")
			return
		}
		v.SetFloat(f)
	}
}

// integer reads an integer of the core schema, in which a leading zero means nothing.
func integer(s string) (int64, error) {
	switch {
	case strings.HasPrefix(s, "0o"):
		return strconv.ParseInt(s[2:], 8, 64)
	case strings.HasPrefix(s, "0x"):
		return strconv.ParseInt(s[2:], 16, 64)
	}
	return strconv.ParseInt(s, 10, 64)
}

func number(s string, k kind) (float64, error) {
	if k == isInt && strings.HasPrefix(s, "0") && len(s) > 1 && (s[1] == 'o' || s[1] == 'x') {
		i, err := integer(s)
		return float64(i), err
	}
	f, err := strconv.ParseFloat(s, 64)
	if err == nil && (math.IsInf(f, 0) || math.IsNaN(f)) || strings.Contains(strings.ToLower(s), "n") {
		return 0, errors.New("not finite")
	}
	return f, err
}
