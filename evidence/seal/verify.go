package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync/atomic"
)

// Result is what a check of a directory came to.
type Result struct {
	// Root is the directory, as given.
	Root string
	// Index is what index.json says. It is filled in as far as it could be
	// read; only with OK is it to be believed.
	Index Index
	// Files and Bytes count what was really read and found as the index says.
	Files int
	Bytes int64
	// Problems are all reasons to refuse the evidence, sorted by path and
	// code; none means that it is as it was sealed.
	Problems []Problem
}

// OK says that the evidence is as it was sealed.
func (r Result) OK() bool { return len(r.Problems) == 0 }

// Err is nil when OK, and otherwise an [*Error] with all problems.
func (r Result) Err() error {
	if r.OK() {
		return nil
	}
	return &Error{Op: "verify", Root: r.Root, Problems: r.Problems}
}

// Has says whether a problem of this code was found.
func (r Result) Has(code Code) bool {
	for _, p := range r.Problems {
		if p.Code == code {
			return true
		}
	}
	return false
}

// Verify reads index.json and every file below root and compares. Nothing but
// the bytes counts. All problems are found in one pass; a context that ends
// is a problem as well, so that a check that did not finish is never OK.
func Verify(ctx context.Context, root string, opts Options) Result {
	return verify(ctx, root, opts, nil)
}

// Read reads the index of a directory as strictly as [Verify] does, and
// nothing else. Its files may be anything.
func Read(root string, opts Options) (Index, error) {
	top, err := os.OpenRoot(root)
	if err != nil {
		return Index{}, &Error{Op: "read the index of", Root: root, Cause: err}
	}
	defer top.Close()
	x, _, problems := readIndex(top, opts)
	if len(problems) > 0 {
		return Index{}, &Error{Op: "read the index of", Root: root, Problems: ordered(problems)}
	}
	return x, nil
}

// verify is Verify; with stage, each file also goes to a copy.
func verify(ctx context.Context, root string, opts Options, stage *stage) Result {
	opts = opts.withDefaults()
	result := Result{Root: root}
	finish := func(problems []Problem) Result {
		result.Problems = ordered(problems)
		return result
	}
	unopened := func(err error) Result {
		code := CodeUnreadable
		if errors.Is(err, fs.ErrNotExist) {
			code = CodeMissing
		}
		return finish([]Problem{{code, "", reason(err)}})
	}
	top, err := os.OpenRoot(root)
	if err != nil {
		return unopened(err)
	}
	defer top.Close()
	opened, err := openTop(root, opts)
	if err != nil {
		return unopened(err)
	}
	d := newDir(opened)
	defer d.drop()
	x, raw, problems := readIndex(top, opts)
	result.Index = x
	// Without a list there is nothing to compare the files with; what they
	// are on their own is still told.
	listed := x.Files != nil
	if listed && len(x.Files) == 0 {
		problems = append(problems, Problem{CodeEmpty, "", "the index lists no file"})
	}
	// No more than the index says is read of any file.
	total := int64(0)
	for _, f := range x.Files {
		if f.Size > opts.MaxBytes-total {
			problems = append(problems, Problem{CodeLimit, "", fmt.Sprintf("more than %d bytes", opts.MaxBytes)})
			return finish(problems)
		}
		total += max(f.Size, 0)
	}

	var files atomic.Int64
	var size atomic.Int64
	seen := make([]bool, len(x.Files))
	workers := newPool(ctx, opts.Workers, func(int) func(found) []Problem {
		digester := newDigester()
		return func(f found) []Problem {
			want := x.Files[f.want]
			if problems := digester.compare(ctx, f, want, opts, stage); len(problems) > 0 {
				return problems
			}
			files.Add(1)
			size.Add(want.Size)
			return nil
		}
	})
	w := &walker{ctx: ctx, opts: opts}
	w.file = func(f found) error {
		if !listed {
			return nil
		}
		i, ok := x.search(f.path)
		if !ok {
			w.add(CodeUnlisted, f.path, "the index does not list the file")
			return nil
		}
		seen[i] = true
		f.want = i
		return workers.give(f)
	}
	err = w.walk(d, "", 0)
	problems = append(problems, workers.end()...)
	problems = append(problems, w.problems...)
	if err == nil {
		err = ctx.Err()
	}
	switch {
	case err == nil:
		problems = append(problems, missing(x.Files, seen, w.problems)...)
		if stage != nil && len(problems) == 0 {
			if err := stage.write(IndexJSON, raw); err != nil {
				problems = append(problems, Problem{CodeUnreadable, IndexJSON, err.Error()})
			}
		}
	case errors.Is(err, errLimit): // among the problems
	case ctx.Err() != nil:
		problems = append(problems, Problem{CodeInterrupted, "", ctx.Err().Error()})
	default:
		problems = append(problems, Problem{CodeUnreadable, "", err.Error()})
	}
	result.Files, result.Bytes = int(files.Load()), size.Load()
	return finish(problems)
}

// missing names the entries that the walk did not meet. One that it met and
// found to be a link, say, is there, with a problem of its own.
func missing(files []File, seen []bool, told []Problem) []Problem {
	met := make(map[string]bool, len(told))
	for _, p := range told {
		met[p.Path] = true
	}
	var problems []Problem
	for i, f := range files {
		if !seen[i] && !met[f.Path] && f.Path != IndexJSON {
			problems = append(problems, Problem{CodeMissing, f.Path, "the index lists the file, the directory does not have it"})
		}
	}
	return problems
}

// compare reads a file and holds it against the index. A file of another size
// is not read.
func (d *digester) compare(ctx context.Context, f found, want File, opts Options, stage *stage) []Problem {
	file, problem := f.open(opts)
	if problem != nil {
		return []Problem{*problem}
	}
	defer file.Close()
	if file.size() != want.Size {
		return []Problem{{CodeSizeMismatch, f.path, fmt.Sprintf("%d bytes, the index says %d", file.size(), want.Size)}}
	}
	var problems []Problem
	if want.Size == 0 && (!want.Role.MayBeEmpty() || want.Role == RoleArtifact && opts.RefuseEmptyArtifacts) {
		problems = append(problems, Problem{CodeEmpty, f.path, fmt.Sprintf("a file of the role %s has no bytes", want.Role)})
	}
	var sum string
	var look func([]byte)
	switch {
	case stage != nil:
		sum, problem = stage.copy(ctx, d, f.path, want.Size, file)
	case opts.Look != nil:
		look = opts.Look(want)
		fallthrough
	default:
		var content io.Writer
		if look != nil {
			d.seen.Reset()
			content = &d.seen
		}
		sum, problem = d.digest(ctx, f.path, want.Size, file, content)
	}
	switch {
	case problem != nil:
		problems = append(problems, *problem)
	case sum != want.SHA256:
		problems = append(problems, Problem{CodeDigestMismatch, f.path, fmt.Sprintf("sha256 %s, the index says %s", sum, want.SHA256)})
	case look != nil:
		look(d.seen.Bytes())
	}
	return problems
}

// readIndex reads index.json, a regular file of at most MaxIndex bytes.
func readIndex(root *os.Root, opts Options) (Index, []byte, []Problem) {
	one := func(code Code, detail string) (Index, []byte, []Problem) {
		return Index{}, nil, []Problem{{code, IndexJSON, detail}}
	}
	info, err := root.Lstat(IndexJSON)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return one(CodeMissing, "there is no index")
	case err != nil:
		return one(CodeUnreadable, reason(err))
	case !info.Mode().IsRegular():
		return one(CodeNotRegular, kind(info.Mode()))
	case opts.RefuseHardLinks && hardLinks(info) > 1:
		return one(CodeNotRegular, fmt.Sprintf("a hard link: the file has %d names", hardLinks(info)))
	case info.Size() > MaxIndex:
		return one(CodeLimit, fmt.Sprintf("%d bytes, at most %d", info.Size(), MaxIndex))
	}
	file, err := root.OpenFile(IndexJSON, os.O_RDONLY|noWait, 0)
	if err != nil {
		return one(CodeUnreadable, reason(err))
	}
	defer file.Close()
	if now, err := file.Stat(); err != nil || !os.SameFile(info, now) {
		return one(CodeChanged, "the file was replaced")
	}
	raw, err := io.ReadAll(io.LimitReader(file, MaxIndex+1))
	if err != nil {
		return one(CodeUnreadable, reason(err))
	}
	x, problems := decode(raw)
	if opts.IndexSHA256 != "" && x.SHA256 != opts.IndexSHA256 {
		problems = append(problems, Problem{CodeDigestMismatch, IndexJSON, fmt.Sprintf("sha256 %s, expected %s", x.SHA256, opts.IndexSHA256)})
	}
	return x, raw, problems
}
