package seal

import (
	"io"
	"io/fs"
	"os"
	"syscall"
)

// fdDir is a directory by openat(2) with O_NOFOLLOW: the system itself refuses
// every link, so that nothing needs to be looked at twice. With ten thousand
// small files, this is what keeps the sealing close to the hashing.
type fdDir struct{ names *os.File }

func openNative(root string) (directory, error) {
	fd, err := openat(atFDCWD, root, syscall.O_DIRECTORY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: root, Err: err}
	}
	return &fdDir{names: os.NewFile(uintptr(fd), root)}, nil
}

const atFDCWD = -0x64

func openat(dir int, name string, flags int) (int, error) {
	for {
		fd, err := syscall.Openat(dir, name, syscall.O_RDONLY|syscall.O_CLOEXEC|flags, 0)
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

func (d *fdDir) Close() error { return d.names.Close() }

func (d *fdDir) list(n int) ([]entry, error) {
	batch, err := d.names.ReadDir(n)
	entries := make([]entry, len(batch))
	for i, e := range batch {
		entries[i] = entry{e.Name(), e.Type()}
	}
	return entries, err
}

func (d *fdDir) enter(name string) (directory, error) {
	fd, err := openat(int(d.names.Fd()), name, syscall.O_DIRECTORY|syscall.O_NOFOLLOW)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &fdDir{names: os.NewFile(uintptr(fd), name)}, nil
}

func (d *fdDir) open(name string) (content, error) {
	fd, err := openat(int(d.names.Fd()), name, syscall.O_NOFOLLOW|syscall.O_NONBLOCK)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	f := &fdFile{fd: fd}
	if err := syscall.Fstat(fd, &f.stat); err != nil {
		_ = f.Close() // the error above is the one to tell
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if f.stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		_ = f.Close() // the error above is the one to tell
		return nil, typeError{fs.ModeIrregular}
	}
	return f, nil
}

// fdFile is an open file without the poller, which has no use for it.
type fdFile struct {
	fd   int
	stat syscall.Stat_t
}

func (f *fdFile) size() int64   { return f.stat.Size }
func (f *fdFile) links() uint64 { return uint64(f.stat.Nlink) } //nolint:unconvert // narrower on some processors
func (f *fdFile) Close() error  { return syscall.Close(f.fd) }

func (f *fdFile) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(f.fd, p)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
