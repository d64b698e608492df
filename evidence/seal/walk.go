package seal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
)

// Options say what to expect and how much to take. The zero value is strict.
type Options struct {
	// IndexSHA256 is the digest that index.json must have, in lower-case hex,
	// as a log entry or a signature holds it. Empty means that it is not known.
	// [Verify], [Read] and [Copy].
	IndexSHA256 string
	// Outside are the files that speak about the index and so cannot be in it
	// (its signature, its proof): exact paths, or directories as "proofs/".
	// They may be there, they are not listed, their bytes are not looked at.
	Outside []string
	// RefuseHardLinks refuses a file that has another name somewhere.
	RefuseHardLinks bool
	// RefuseEmptyArtifacts refuses a file of the role artifact without bytes.
	RefuseEmptyArtifacts bool
	// Look is asked about each file that [Verify] is about to read. The function
	// that it returns, if any, is given the content when that is what the index
	// says, so that whoever wants to look into a file need not read it again. The
	// content is held in memory and is not to be kept; many goroutines call both.
	Look func(File) func(content []byte)
	// MaxFiles bounds files and directories together, MaxBytes the sum of the
	// sizes; 0 means DefaultMaxFiles and DefaultMaxBytes.
	MaxFiles int
	MaxBytes int64
	// Workers is how many files are read at once; 0 means GOMAXPROCS.
	Workers int

	// portable keeps to what every system has; for tests.
	portable bool
}

// Limits when [Options] say nothing.
const (
	DefaultMaxFiles = 50_000
	DefaultMaxBytes = 256 << 30
)

func (o Options) withDefaults() Options {
	if o.MaxFiles == 0 {
		o.MaxFiles = DefaultMaxFiles
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o
}

func (o Options) outside(path string) bool {
	for _, out := range o.Outside {
		if path == out || strings.HasSuffix(out, "/") && strings.HasPrefix(path, out) {
			return true
		}
	}
	return false
}

const (
	bufferSize = 256 << 10
	// tmpPrefix begins the name of an index that is being written.
	tmpPrefix = ".tmp-" + IndexJSON + "-"
	listBatch = 512
)

// found is a regular file that the walk met.
type found struct {
	dir  *dir
	name string
	path string
	// want is the place of the entry in the index, for Verify and Copy.
	want int
}

// dir is an open directory that stays open while a worker may need it.
type dir struct {
	directory
	refs atomic.Int32
}

func newDir(d directory) *dir {
	shared := &dir{directory: d}
	shared.keep()
	return shared
}

func (d *dir) keep() { d.refs.Add(1) }

func (d *dir) drop() {
	if d.refs.Add(-1) == 0 {
		_ = d.Close() // it was only read
	}
}

// walker goes through a directory without following any link.
type walker struct {
	ctx  context.Context
	opts Options
	// file is called for each regular file that is to be looked at; the
	// directory is open during the call, and longer if kept.
	file     func(found) error
	entries  int
	problems []Problem
}

func (w *walker) add(code Code, path, detail string) {
	w.problems = append(w.problems, Problem{code, path, detail})
}

// errLimit ends work that would be too much; the problem is noted.
var errLimit = errors.New("limit exceeded")

func (w *walker) walk(d *dir, prefix string, depth int) error {
	folded := map[string]string{}
	for {
		if w.ctx.Err() != nil {
			return context.Cause(w.ctx)
		}
		batch, err := d.list(listBatch)
		for _, e := range batch {
			if err := w.entry(d, folded, prefix, e, depth); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			w.add(CodeUnreadable, strings.TrimSuffix(prefix, "/"), reason(err))
			return nil
		}
	}
}

func (w *walker) entry(d *dir, folded map[string]string, prefix string, e entry, depth int) error {
	path := prefix + e.name
	if w.entries++; w.entries > w.opts.MaxFiles+1 { // the index is one more
		w.add(CodeLimit, "", fmt.Sprintf("more than %d files and directories", w.opts.MaxFiles))
		return errLimit
	}
	if code, why := checkElement(e.name); code != "" {
		w.add(code, path, why)
		return nil
	}
	if len(path) > maxPath {
		w.add(CodeUnsafeName, path, "the path has more than 4096 bytes")
		return nil
	}
	key := fold(e.name)
	if before, ok := folded[key]; ok {
		w.add(CodeNameCollision, max(path, prefix+before), fmt.Sprintf("differs from %q only in case", min(path, prefix+before)))
	}
	folded[key] = e.name
	switch {
	case e.mode.IsDir():
		return w.enter(d, path, e.name, depth)
	case !e.mode.IsRegular():
		w.add(CodeNotRegular, path, kind(e.mode))
		return nil
	case path == IndexJSON || w.opts.outside(path):
		return nil
	}
	return w.file(found{dir: d, name: e.name, path: path})
}

func (w *walker) enter(parent *dir, path, name string, depth int) error {
	if depth+2 > maxDepth {
		w.add(CodeLimit, path, "the path has more than 64 elements")
		return nil
	}
	opened, err := parent.enter(name)
	if err != nil {
		w.problems = append(w.problems, *openProblem(path, err))
		return nil
	}
	d := newDir(opened)
	defer d.drop()
	return w.walk(d, path+"/", depth+1)
}

// openProblem says why something could not be opened.
func openProblem(path string, err error) *Problem {
	var wrong typeError
	switch {
	case errors.As(err, &wrong):
		return &Problem{CodeNotRegular, path, reason(err)}
	case errors.Is(err, errReplaced):
		return &Problem{CodeChanged, path, reason(err)}
	}
	return &Problem{CodeUnreadable, path, reason(err)}
}

// reason is the text of an error without the path, which a problem has already
// and which differs from machine to machine.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

// open opens the file that the walk saw.
func (f found) open(opts Options) (content, *Problem) {
	file, err := f.dir.open(f.name)
	if err != nil {
		return nil, openProblem(f.path, err)
	}
	if n := file.links(); n > 1 && opts.RefuseHardLinks {
		_ = file.Close() // it was only read
		return nil, &Problem{CodeNotRegular, f.path, fmt.Sprintf("a hard link: the file has %d names", n)}
	}
	return file, nil
}

// digester reads one file after the other with one buffer.
type digester struct {
	buf  []byte
	hash hash.Hash
	seen bytes.Buffer // the content of a file that is looked into
}

func newDigester() *digester {
	return &digester{buf: make([]byte, bufferSize), hash: sha256.New()}
}

// digest reads size bytes, which also go to out when that is not nil: the
// bytes that are hashed are the bytes that are written.
func (d *digester) digest(ctx context.Context, path string, size int64, file io.Reader, out io.Writer) (string, *Problem) {
	d.hash.Reset()
	for left := size; left > 0; {
		if ctx.Err() != nil {
			return "", &Problem{CodeInterrupted, path, context.Cause(ctx).Error()}
		}
		n, err := file.Read(d.buf[:min(left, bufferSize)])
		left -= int64(n)
		d.hash.Write(d.buf[:n]) // a hash never fails
		if out != nil {
			if _, err := out.Write(d.buf[:n]); err != nil {
				return "", &Problem{CodeUnreadable, path, "copy: " + reason(err)}
			}
		}
		switch {
		case left == 0:
		case errors.Is(err, io.EOF):
			return "", &Problem{CodeChanged, path, "the file became shorter while it was read"}
		case err != nil:
			return "", &Problem{CodeUnreadable, path, reason(err)}
		}
	}
	var raw [sha256.Size]byte
	return hex.EncodeToString(d.hash.Sum(raw[:0])), nil
}

// pool runs work on files that arrive through its channel.
type pool struct {
	ctx  context.Context
	jobs chan found
	wait sync.WaitGroup

	mu       sync.Mutex
	problems []Problem
}

// newPool starts the workers. start is called for each and returns what it
// does with a file.
func newPool(ctx context.Context, workers int, start func(worker int) func(found) []Problem) *pool {
	p := &pool{ctx: ctx, jobs: make(chan found, 4*workers)}
	for i := range workers {
		p.wait.Go(func() {
			work := start(i)
			for f := range p.jobs {
				// After the end of the context the rest is only let go.
				if ctx.Err() == nil {
					if problems := work(f); len(problems) > 0 {
						p.mu.Lock()
						p.problems = append(p.problems, problems...)
						p.mu.Unlock()
					}
				}
				f.dir.drop()
			}
		})
	}
	return p
}

func (p *pool) give(f found) error {
	f.dir.keep()
	select {
	case p.jobs <- f:
		return nil
	case <-p.ctx.Done():
		f.dir.drop()
		return context.Cause(p.ctx)
	}
}

// end waits for the workers.
func (p *pool) end() []Problem {
	close(p.jobs)
	p.wait.Wait()
	return p.problems
}
