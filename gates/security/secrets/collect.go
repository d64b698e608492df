package secrets

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha1" // #nosec G505 -- it names objects of git, and protects nothing
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/proc"
)

const (
	// maxItem bounds an object or a file that is looked at, and maxList what is
	// read of git's lists, in bytes.
	maxItem = 64 << 20
	maxList = 512 << 20
)

type kind uint8

const (
	planted kind = iota // our own token
	treeFile
	blob
	commitMessage
	tagMessage
)

// item is something to be looked at. It lies in the scratch directory, in a
// folder whose name is its number.
type item struct {
	kind   kind
	path   string   // in the repository; of a blob, the first that it had
	commit string   // of a blob, the first that held it; of a message, its own
	files  []string // of a blob, the files of the working tree that are the same
}

// where names the item for a reader.
func (i item) where() string {
	switch i.kind {
	case commitMessage:
		return "message of commit " + i.commit
	case tagMessage:
		return "message of tag " + i.commit
	case blob:
		if i.commit == "" {
			return i.path + " in the index"
		}
		return i.path + " of commit " + short(i.commit)
	}
	return i.path
}

func short(oid string) string { return oid[:min(len(oid), 12)] }

// collection is all that is looked at.
type collection struct {
	dir      string
	items    []item
	blobs    map[string]int // number of the item, by object name
	files    int            // of the working tree
	tooLarge []item
	missing  []string
}

func (c *collection) count(k kind) int {
	n := 0
	for _, i := range c.items {
		if i.kind == k {
			n++
		}
	}
	return n
}

// collect lays out every object that a ref, HEAD or the index leads to, and
// every file of the working tree that is tracked or could be.
func collect(ctx context.Context, p *gates.Pass) (*collection, error) {
	c := &collection{dir: filepath.Join(p.Scratch, itemsDir), blobs: map[string]int{}}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return nil, err
	}
	list, err := p.Exec(ctx, p.Commands[cmdReachable], captured())
	if err != nil {
		return nil, err
	}
	reachable, missing, err := parseReachable(list.Stdout)
	if err != nil {
		return nil, err
	}
	c.missing = missing
	log, err := p.Exec(ctx, p.Commands[cmdOrigins], captured())
	if err != nil {
		return nil, err
	}
	origins, err := parseOrigins(log.Stdout)
	if err != nil {
		return nil, err
	}
	if err := c.objects(ctx, p, reachable, origins); err != nil {
		return nil, err
	}
	files, err := p.Exec(ctx, p.Commands[cmdTree], captured())
	if err != nil {
		return nil, err
	}
	if err := c.tree(p.Root, string(files.Stdout)); err != nil {
		return nil, err
	}
	if len(c.items) == 0 {
		return nil, fmt.Errorf("%w: there is neither a commit nor a file", gates.ErrNothingRan)
	}
	return c, nil
}

// captured keeps the standard output in memory and out of the log: names of
// files and objects only, but as many as there are.
func captured() proc.Options {
	return proc.Options{Stdout: io.Discard, Capture: maxList}
}

// objects writes the objects down as git streams them.
func (c *collection) objects(ctx context.Context, p *gates.Pass, reachable map[string]string, origins map[string]origin) error {
	left := len(reachable)
	reader, writer := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := parseObjects(reader, func(oid, kindName string, size int64, content io.Reader) error {
			name, ok := reachable[oid]
			if !ok {
				return nil // garbage that no ref leads to, and that nobody can fetch
			}
			left--
			it := item{path: name}
			switch kindName {
			case "blob":
				it.kind = blob
				if o, ok := origins[oid]; ok {
					it.path, it.commit = o.path, o.commit
				}
				if it.path == "" {
					it.path = "blob " + short(oid)
				}
			case "commit":
				it.kind, it.path, it.commit = commitMessage, "", oid
			case "tag":
				it.kind, it.path, it.commit = tagMessage, "", oid
			default:
				return nil
			}
			if it.kind == blob && size <= maxItem {
				c.blobs[oid] = len(c.items)
			}
			return c.add(it, size, content)
		})
		reader.CloseWithError(err)
		done <- err
	}()
	_, err := p.Exec(ctx, p.Commands[cmdObjects], proc.Options{Stdout: writer})
	writer.CloseWithError(err)
	if readErr := <-done; readErr != nil && !errors.Is(readErr, err) {
		return readErr
	}
	if err != nil {
		return err
	}
	if left != 0 {
		return fmt.Errorf("git did not show %d of the %d objects that its refs lead to", left, len(reachable))
	}
	return nil
}

// tree adds the files of the working tree; most of them are blobs that are there
// already. Links are no content of theirs.
func (c *collection) tree(root, list string) error {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	seen := map[string]bool{}
	for name := range strings.SplitSeq(list, "\x00") {
		if name == "" || seen[name] {
			continue // an unmerged file is listed once for each side
		}
		seen[name] = true
		local := filepath.FromSlash(name)
		info, err := dir.Lstat(local)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
			continue // deleted, a link, or a repository inside this one
		}
		if err != nil {
			return fmt.Errorf("working tree: %w", err)
		}
		c.files++
		file, err := dir.Open(local)
		if err != nil {
			return fmt.Errorf("working tree: %w", err)
		}
		err = c.addFile(name, info.Size(), file)
		file.Close()
		if err != nil {
			return fmt.Errorf("working tree: %s: %w", name, err)
		}
	}
	return nil
}

// addFile adds a file of the working tree.
func (c *collection) addFile(name string, size int64, file *os.File) error {
	if size <= maxItem {
		// Git names a blob by this digest. Those of a repository that uses SHA-256
		// just do not meet: then the file is looked at twice.
		hash := sha1.New() // #nosec G401 -- it names objects of git, and protects nothing
		fmt.Fprintf(hash, "blob %d\x00", size)
		if _, err := io.Copy(hash, file); err != nil {
			return err
		}
		if n, ok := c.blobs[hex.EncodeToString(hash.Sum(nil))]; ok {
			c.items[n].files = append(c.items[n].files, name)
			return nil
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	return c.add(item{kind: treeFile, path: name}, size, file)
}

// add writes an item down.
func (c *collection) add(it item, size int64, content io.Reader) error {
	if size > maxItem {
		c.tooLarge = append(c.tooLarge, it)
		return nil
	}
	reader := bufio.NewReaderSize(content, sniff)
	head, err := reader.Peek(sniff)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	dir := filepath.Join(c.dir, strconv.Itoa(len(c.items)))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(filepath.Join(dir, nameFor(it.path, head)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	c.items = append(c.items, it)
	_, err = io.Copy(file, io.LimitReader(reader, maxItem))
	return errors.Join(err, file.Close())
}

// plant adds a token that gitleaks has to find, and returns the item's number.
// It is made up anew each time, so that none stands in our own source.
func (c *collection) plant() (int, error) {
	random := rand.Text() + rand.Text()
	token := "ghp_" + random[:36]
	text := "token = \"" + token + "\"\n"
	return len(c.items), c.add(item{kind: planted, path: "planted"}, int64(len(text)), strings.NewReader(text))
}

// sniff is how much of a file git looks at to tell text from the rest.
const sniff = 8000

// ruled are the names by which some of gitleaks' rules choose their files.
var ruled = regexp.MustCompile(`(?i)\.(?:php|tf|hcl|ya?ml)$`)

var plainEnding = regexp.MustCompile(`^[A-Za-z0-9.]{1,40}$`)

// nameFor is the name under which content is shown to gitleaks. Its list of
// names that it never opens (pictures, lock files, vendored folders) goes by the
// path, so text gets a path that is not on it; what is not text keeps its
// ending, by which archives are known.
func nameFor(name string, head []byte) string {
	base := path.Base(name)
	_, endings, _ := strings.Cut(base, ".")
	switch {
	case strings.EqualFold(base, "nuget.config"):
		return "nuget.config"
	case bytes.IndexByte(head, 0) >= 0 && plainEnding.MatchString(endings):
		return "content." + endings
	case bytes.IndexByte(head, 0) < 0 && ruled.MatchString(base):
		return "content" + strings.ToLower(path.Ext(base))
	}
	return "content.txt"
}

// origin is where an object was first.
type origin struct{ commit, path string }

var oidPattern = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// parseReachable reads "git rev-list --objects --missing=print": an object name a
// line, with a path behind a space where it has one, or "?" and the name of an
// object that is not here.
func parseReachable(out []byte) (map[string]string, []string, error) {
	objects := map[string]string{}
	var missing []string
	for line := range strings.Lines(string(out)) {
		oid, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if absent, ok := strings.CutPrefix(oid, "?"); ok && oidPattern.MatchString(absent) {
			missing = append(missing, absent)
			continue
		}
		if !oidPattern.MatchString(oid) {
			return nil, nil, fmt.Errorf("git rev-list: cannot read %.80q", line)
		}
		if objects[oid] == "" {
			objects[oid] = name
		}
	}
	return objects, missing, nil
}

// parseOrigins reads "git log --raw -z --format=format:%H": the name of a
// commit, a line feed and its first change, a zero byte between the parts;
// ":100644 100644 <old> <new> M" and the path for each change.
func parseOrigins(out []byte) (map[string]origin, error) {
	origins := map[string]origin{}
	commit := ""
	parts := strings.Split(string(out), "\x00")
	for i := 0; i < len(parts); i++ {
		part := strings.Trim(parts[i], "\n")
		if name, change, ok := strings.Cut(part, "\n"); ok && oidPattern.MatchString(name) {
			commit, part = name, change
		}
		if part == "" {
			continue
		}
		if oidPattern.MatchString(part) {
			commit = part // a commit that changes nothing
			continue
		}
		fields := strings.Fields(strings.TrimPrefix(part, ":"))
		if !strings.HasPrefix(part, ":") || len(fields) != 5 || commit == "" || i+1 == len(parts) || !oidPattern.MatchString(fields[3]) {
			return nil, fmt.Errorf("git log --raw: cannot read %.120q", part)
		}
		i++
		if _, known := origins[fields[3]]; !known {
			origins[fields[3]] = origin{commit: commit, path: parts[i]}
		}
	}
	return origins, nil
}

// parseObjects reads "git cat-file --batch": "<name> <type> <size>" and a line
// feed, then that many bytes and a line feed. What visit leaves unread is
// skipped.
func parseObjects(r io.Reader, visit func(oid, kind string, size int64, content io.Reader) error) error {
	in := bufio.NewReaderSize(r, 256<<10)
	for {
		header, err := in.ReadString('\n')
		if err != nil {
			if errors.Is(err, io.EOF) && header == "" {
				return nil
			}
			return fmt.Errorf("git cat-file: %w in %.80q", io.ErrUnexpectedEOF, header)
		}
		fields := strings.Fields(header)
		if len(fields) != 3 || !oidPattern.MatchString(fields[0]) {
			return fmt.Errorf("git cat-file: cannot read %.80q", header)
		}
		size, err := strconv.ParseInt(fields[2], 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("git cat-file: object %s has the size %.40q", fields[0], fields[2])
		}
		content := &io.LimitedReader{R: in, N: size}
		if err := visit(fields[0], fields[1], size, content); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
		if end, err := in.ReadByte(); err != nil || end != '\n' || content.N != 0 {
			return fmt.Errorf("git cat-file: object %s does not end where it should", fields[0])
		}
	}
}
