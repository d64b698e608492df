package verify

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The limits of an archive that may be opened.
const (
	maxMembers   = 20_000
	maxExpansion = 100 // times the size of the archive
	maxName      = 255 // bytes of an element of a path
	// maxDirectory is what the members of a zip take that are that many and have
	// long names, in bytes.
	maxDirectory = 16 << 20
	// maxSmall is what a small archive may become whatever the ratio: a short
	// text compresses better than any bomb needs to.
	maxSmall = 1 << 20
)

// errUnsafe is wrapped by every refusal of [Archive].
var errUnsafe = errors.New("unsafe archive")

// IsUnsafe says whether an error of [Archive] is a refusal, and not one of the system.
func IsUnsafe(err error) bool { return errors.Is(err, errUnsafe) }

// Archive says whether a zip, tar or tar.gz file may be opened: regular files
// and folders only, under names that stay inside and do not meet, at most
// 20,000 members and 100 times the bytes of the archive. It reads every member
// to its end and writes nothing. The error of a refusal names the member; see
// [IsUnsafe].
func Archive(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return unsafe("", "not a regular file")
	}
	c := &members{ctx: ctx, seen: map[string]bool{}, left: max(maxSmall, info.Size()*maxExpansion)}
	var head [2]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return unsafe("", "no archive")
	}
	switch {
	case string(head[:]) == "PK":
		return c.zip(f, info.Size())
	case head == [2]byte{0x1f, 0x8b}:
		unzipped, err := gzip.NewReader(f)
		if err != nil {
			return unsafe("", "%v", err)
		}
		return c.tar(unzipped)
	}
	return c.tar(f)
}

func unsafe(name, format string, args ...any) error {
	if name != "" {
		return fmt.Errorf("%w: %s: %s", errUnsafe, quoted(name), fmt.Sprintf(format, args...))
	}
	return fmt.Errorf("%w: %s", errUnsafe, fmt.Sprintf(format, args...))
}

// members counts what an archive would write.
type members struct {
	ctx  context.Context
	seen map[string]bool
	n    int
	left int64
}

func (m *members) member(name string, dir bool) error {
	if m.n++; m.n > maxMembers {
		return unsafe("", "more than %d members", maxMembers)
	}
	if err := m.ctx.Err(); err != nil {
		return err
	}
	if dir {
		name = strings.TrimSuffix(name, "/")
	}
	if !safePath(name) {
		return unsafe(name, "the name leads elsewhere, or not every system has it")
	}
	key := strings.ToLower(name)
	if m.seen[key] {
		if dir {
			return nil
		}
		return unsafe(name, "there twice, or with another in other case")
	}
	m.seen[key] = true
	return nil
}

func (m *members) read(name string, from io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(buf)
		if m.left -= int64(n); m.left < 0 {
			return unsafe(name, "more than %d times the bytes of the archive", maxExpansion)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return unsafe(name, "%v", err)
		}
	}
}

func (m *members) zip(f io.ReaderAt, size int64) error {
	// The directory at the end is read whole, so what is read of it is bounded.
	directory := &bounded{from: f, left: maxDirectory}
	r, err := zip.NewReader(directory, size)
	if directory.left < 0 {
		return unsafe("", "its directory has more than %d bytes", maxDirectory)
	}
	directory.left = math.MaxInt64
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return unsafe("", "%v", err)
	}
	for _, member := range r.File {
		mode := member.Mode()
		if err := m.member(member.Name, mode.IsDir()); err != nil {
			return err
		}
		switch {
		case mode.IsDir():
			continue
		case !mode.IsRegular():
			return unsafe(member.Name, "neither a regular file nor a folder")
		}
		content, err := member.Open()
		if err != nil {
			return unsafe(member.Name, "%v", err)
		}
		err = m.read(member.Name, content)
		content.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *members) tar(f io.Reader) error {
	// What is skipped between members counts, too.
	r := tar.NewReader(&counted{f, m})
	for {
		header, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			if m.n == 0 {
				return unsafe("", "no archive, or one without members")
			}
			return nil
		case errors.Is(err, tar.ErrInsecurePath):
		case err != nil:
			if IsUnsafe(err) || m.ctx.Err() != nil {
				return err
			}
			return unsafe("", "%v", err)
		}
		if err := m.member(header.Name, header.Typeflag == tar.TypeDir); err != nil {
			return err
		}
		switch header.Typeflag {
		case tar.TypeDir:
		case tar.TypeReg:
			if err := m.drain(header, r); err != nil {
				if IsUnsafe(err) || m.ctx.Err() != nil {
					return err
				}
				return unsafe(header.Name, "%v", err)
			}
		default:
			return unsafe(header.Name, "neither a regular file nor a folder")
		}
	}
}

// drain reads a member of a tar to its end. Holes in it take no bytes of the
// archive, and count as what they become.
func (m *members) drain(header *tar.Header, from io.Reader) error {
	if header.Size > m.left {
		return unsafe(header.Name, "more than %d times the bytes of the archive", maxExpansion)
	}
	before := m.left
	buf := make([]byte, 64<<10)
	size := int64(0)
	for {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		n, err := from.Read(buf)
		size += int64(n)
		if errors.Is(err, io.EOF) {
			m.left = min(m.left, before-size)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// counted stops a stream that grows too large.
type counted struct {
	from io.Reader
	m    *members
}

func (c *counted) Read(b []byte) (int, error) {
	if err := c.m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := c.from.Read(b)
	if c.m.left -= int64(n); c.m.left < 0 {
		return n, unsafe("", "more than %d times the bytes of the archive", maxExpansion)
	}
	return n, err
}

// safePath says whether a path, relative and with forward slashes, names one
// file below where it is used on every system.
func safePath(name string) bool {
	if name == "" || len(name) > 4096 || !utf8.ValidString(name) || path.IsAbs(name) || path.Clean(name) != name || name == "." {
		return false
	}
	for _, element := range strings.Split(name, "/") {
		if element == ".." || len(element) > maxName || strings.HasSuffix(element, ".") || strings.HasSuffix(element, " ") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return r == '\\' || r == ':' || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	})
}

// bounded stops a reader that reads too much.
type bounded struct {
	from io.ReaderAt
	left int64
}

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return b.from.ReadAt(p, at)
}
