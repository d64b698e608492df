package seal

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// directory is an open directory, seen without ever following a link below
// the root of the evidence.
type directory interface {
	// list returns the next n entries at most, and io.EOF after the last.
	list(n int) ([]entry, error)
	// enter opens a directory in this one; a link is an error.
	enter(name string) (directory, error)
	// open opens a regular file in this one. Anything else is an error; an
	// open never waits.
	open(name string) (content, error)
	Close() error
}

// entry is a name in a directory, with the type bits of its mode.
type entry struct {
	name string
	mode fs.FileMode
}

// content is an open regular file.
type content interface {
	io.ReadCloser
	// size is in bytes, at the time of the opening.
	size() int64
	// links is how many names the file has; 1 when the system does not say.
	links() uint64
}

// errReplaced says that what was listed was something else when it was opened.
var errReplaced = errors.New("was replaced meanwhile")

// typeError says that what was opened is not a regular file.
type typeError struct{ mode fs.FileMode }

func (e typeError) Error() string { return kind(e.mode) }

// openTop opens the root of the evidence. The path is the caller's own and may
// go through links.
func openTop(root string, opts Options) (directory, error) {
	if !opts.portable {
		if d, err := openNative(root); !errors.Is(err, errors.ErrUnsupported) {
			return d, err
		}
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	return newRootDir(r)
}

// rootDir is a directory by means that every system has. [os.Root] follows
// links that stay inside; each opening is compared with what was listed, so
// that none is followed.
type rootDir struct {
	root  *os.Root
	names *os.File
}

func newRootDir(root *os.Root) (*rootDir, error) {
	names, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	return &rootDir{root: root, names: names}, nil
}

func (d *rootDir) Close() error { return errors.Join(d.names.Close(), d.root.Close()) }

func (d *rootDir) list(n int) ([]entry, error) {
	batch, err := d.names.ReadDir(n)
	entries := make([]entry, len(batch))
	for i, e := range batch {
		entries[i] = entry{e.Name(), e.Type()}
	}
	return entries, err
}

func (d *rootDir) enter(name string) (directory, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	root, err := d.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := newRootDir(root)
	if err != nil {
		return nil, err
	}
	now, err := opened.names.Stat()
	if err == nil && !os.SameFile(before, now) {
		err = errReplaced
	}
	if err != nil {
		_ = opened.Close() // the error above is the one to tell
		return nil, err
	}
	return opened, nil
}

func (d *rootDir) open(name string) (content, error) {
	before, err := d.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, typeError{before.Mode()}
	}
	file, err := d.root.OpenFile(name, os.O_RDONLY|noWait, 0)
	if err != nil {
		return nil, err
	}
	now, err := file.Stat()
	if err == nil && !os.SameFile(before, now) {
		err = errReplaced
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return osFile{file, now}, nil
}

type osFile struct {
	*os.File
	info fs.FileInfo
}

func (f osFile) size() int64   { return f.info.Size() }
func (f osFile) links() uint64 { return hardLinks(f.info) }

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case m&fs.ModeSocket != 0:
		return "a socket"
	case m&fs.ModeDevice != 0:
		return "a device"
	case m&fs.ModeDir != 0:
		return "a directory"
	}
	return "not a regular file"
}
