package release

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/gates"
)

// Limits of the subjects.
const (
	maxSubjects = 20_000 // files
	maxSums     = 8 << 20
)

// subject is a file that is shipped.
type subject struct {
	name   string // the last element of the path: what it is called where it is shipped
	path   string // below the root, with forward slashes
	size   int64
	sha256 string
	copy   string // where the bytes are that were hashed
}

// subjectName is what every system and every host of releases keeps as it is,
// and what sha256sum writes without escapes.
var subjectName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~@-]{0,199}$`)

// ownName says that a name is one of ours, which lie beside the subjects where
// both are shipped.
func ownName(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "sha256sums", "record.json", "record.md", "index.json", "junit.xml", reportJSON, reportMD:
		return true
	}
	kind, _, ok := strings.Cut(name, ".")
	return ok && strings.HasSuffix(name, ".json") && slices.Contains([]string{"sbom", "provenance", "release"}, kind)
}

// takeSubjects finds the subjects and copies them.
func (a *attestation) takeSubjects(ctx context.Context, p *gates.Pass) error {
	dir, err := os.MkdirTemp("", "dpone-subjects-")
	if err != nil {
		return fmt.Errorf("copies of the subjects: %w", err)
	}
	a.dir = dir
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	paths, err := a.find(p, root)
	if err != nil {
		return err
	}
	var taken []subject
	var bytes int64
	for i, name := range paths {
		p.Progress(i, len(paths), name)
		to := filepath.Join(dir, path.Base(name))
		if _, err := os.Lstat(to); err == nil {
			// A name that is there twice, or in two cases, is told later.
			other, err := os.MkdirTemp(dir, "again-")
			if err != nil {
				return err
			}
			to = filepath.Join(other, path.Base(name))
		}
		s, problem, err := take(ctx, root, name, to)
		if err != nil {
			return err
		}
		observed := problem
		if problem == "" {
			observed = fmt.Sprintf("%d bytes, sha256:%s", s.size, s.sha256)
			taken, bytes = append(taken, s), bytes+s.size
		}
		a.check(p, evidence.Expect("attest.subject", name, problem == "", observed, "a regular file with content",
			"build it again, and give the path of the file itself, below the source tree"))
	}
	slices.SortFunc(taken, func(a, b subject) int {
		return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.path, b.path))
	})
	a.checkNames(p, taken)
	a.subjects = taken
	p.Fact("%s, %.1f MB", count(len(taken), "file"), float64(bytes)/1e6)
	return nil
}

// find resolves the patterns to paths, each once.
func (a *attestation) find(p *gates.Pass, root *os.Root) ([]string, error) {
	var paths []string
	for _, pattern := range a.Subjects {
		found := []string{pattern}
		if strings.ContainsAny(pattern, `*?[`) {
			var err error
			if found, err = fs.Glob(root.FS(), pattern); err != nil {
				return nil, fmt.Errorf("subject %s: %w", pattern, err)
			}
			if len(found) == 0 {
				a.check(p, evidence.Expect("attest.subject", pattern, false, "no file has such a name", "a regular file with content",
					"build the artifacts first; the pattern is relative to the source tree"))
			}
		}
		paths = append(paths, found...)
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	if len(paths) > maxSubjects {
		return nil, fmt.Errorf("%d subjects, at most %d: ship an archive of them", len(paths), maxSubjects)
	}
	return paths, nil
}

// take copies a file to a path and hashes what it copies. The problem says why it cannot
// be a subject; an error, why that could not be told.
func take(ctx context.Context, root *os.Root, name, target string) (subject, string, error) {
	file, size, problem, err := open(root, name)
	if problem != "" || err != nil {
		return subject{}, problem, err
	}
	defer file.Close()
	if size == 0 {
		return subject{}, "an empty file", nil
	}
	s := subject{name: path.Base(name), path: name, copy: target}
	to, err := os.OpenFile(s.copy, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return subject{}, "", err
	}
	s.size, s.sha256, err = digest(ctx, io.TeeReader(file, to))
	if err = errors.Join(err, to.Close()); err != nil {
		return subject{}, "", fmt.Errorf("copy %s: %w", name, err)
	}
	if s.size != size {
		return subject{}, fmt.Sprintf("it had %d bytes and then %d: it is being written", size, s.size), nil
	}
	return s, "", nil
}

// open opens a file of the tree that is a regular one by its own name, and
// whose folders are none but folders.
func open(root *os.Root, name string) (file *os.File, size int64, problem string, err error) {
	var named fs.FileInfo
	elements := strings.Split(name, "/")
	for i := range elements {
		part := strings.Join(elements[:i+1], "/")
		if named, err = root.Lstat(part); errors.Is(err, fs.ErrNotExist) {
			return nil, 0, "it is not there", nil
		}
		if err != nil {
			return nil, 0, "", fmt.Errorf("subject: %w", err)
		}
		switch last := i == len(elements)-1; {
		case named.Mode()&fs.ModeSymlink != 0:
			return nil, 0, part + " is a link", nil
		case last && !named.Mode().IsRegular(), !last && !named.IsDir():
			return nil, 0, fmt.Sprintf("%s is not a regular file (%s)", part, named.Mode().Type()), nil
		}
	}
	if file, err = root.Open(name); err != nil {
		return nil, 0, "", fmt.Errorf("subject: %w", err)
	}
	opened, err := file.Stat()
	if err == nil && !os.SameFile(named, opened) {
		problem = "it was exchanged while it was opened"
	}
	if problem != "" || err != nil {
		file.Close()
		return nil, 0, problem, err
	}
	return file, opened.Size(), "", nil
}

// digest reads to the end, in constant memory.
func digest(ctx context.Context, from io.Reader) (int64, string, error) {
	hash := sha256.New()
	buffer := make([]byte, 256<<10)
	size, err := io.CopyBuffer(hash, &reader{ctx, from}, buffer)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}

// reader stops when the context ends. It hides that a file could copy itself.
type reader struct {
	ctx  context.Context
	from io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.from.Read(p)
}

// checkNames holds that each subject can be told by its name alone, which is
// all that a statement has. The subjects are sorted by name.
func (a *attestation) checkNames(p *gates.Pass, taken []subject) {
	folded := map[string]string{}
	for _, s := range taken {
		observed, ok := s.name, true
		switch earlier, twice := folded[strings.ToLower(s.name)]; {
		case !subjectName.MatchString(s.name):
			observed, ok = fmt.Sprintf("%q", s.name), false
		case ownName(s.name):
			observed, ok = "a name that this gate writes itself", false
		case twice:
			observed, ok = "the name of "+earlier, false
		}
		folded[strings.ToLower(s.name)] = s.path
		if !ok {
			a.check(p, evidence.Expect("attest.subject.name", s.path, false, observed, "a name of its own, of letters, digits and ._+~@-",
				"rename the file: statements and checksums know subjects by the last part of the path"))
		}
	}
	if len(taken) > 0 {
		a.check(p, evidence.Expect("attest.subject.name", "all subjects", len(folded) == len(taken), count(len(folded), "name"), count(len(taken), "name"), "rename those that share a name"))
	}
}

// checksums are the subjects as sha256sum writes them.
func (a *attestation) checksums() []byte {
	var b strings.Builder
	for _, s := range a.subjects {
		fmt.Fprintf(&b, "%s  %s\n", s.sha256, s.name)
	}
	return []byte(b.String())
}

// checkUnchanged reads SHA256SUMS back from the run folder and holds the
// originals against it: what was copied is what is there.
func (a *attestation) checkUnchanged(ctx context.Context, p *gates.Pass) error {
	raw, err := p.Folder().ReadFile(sumsName, maxSums)
	if err != nil {
		return err
	}
	sums := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(string(raw))); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), "  ")
		sums[name] = sum
	}
	root, err := os.OpenRoot(p.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	for i, s := range a.subjects {
		p.Progress(i, len(a.subjects), s.path)
		observed, err := again(ctx, root, s, sums[s.name])
		if err != nil {
			return err
		}
		if observed != "" {
			a.check(p, evidence.Expect("attest.subject.unchanged", s.path, false, observed, "sha256:"+sums[s.name],
				"nothing may write to the artifacts while they are attested; build them again"))
		}
	}
	a.check(p, evidence.Expect("attest.checksums", sumsName, len(sums) == len(a.subjects), count(len(sums), "file"), count(len(a.subjects), "file"), "look at the step's log"))
	return nil
}

// again says what is different about a subject now; empty means nothing.
func again(ctx context.Context, root *os.Root, s subject, want string) (string, error) {
	file, _, problem, err := open(root, s.path)
	if problem != "" || err != nil {
		return problem, err
	}
	defer file.Close()
	_, sum, err := digest(ctx, file)
	if err != nil || sum == want {
		return "", err
	}
	return "sha256:" + sum, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if s, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, s)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
