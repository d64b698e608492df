// Package folder lays out a run on disk. It owns every path of the layout and
// nothing else:
//
//	<artifacts>/<area>/<run>/     one folder a run, never reused
//	    record.json record.md     the record and its reading form
//	    junit.xml coverage.xml    what other tools read
//	    logs/<step>.log           one log a step
//	    index.json                every other file by content (package seal)
//	<artifacts>/<area>/latest     points at the newest run
//
// A file appears whole or not at all: it is written under a temporary name in
// the same directory, flushed to disk, then renamed. The only files that grow
// in place are the logs.
package folder

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dpone/dpone/evidence"
)

// Names of the files of a run, relative to its folder.
const (
	RecordJSON  = "record.json"
	RecordMD    = "record.md"
	JUnitXML    = "junit.xml"
	CoverageXML = "coverage.xml"
	IndexJSON   = "index.json"
	LogDir      = "logs"
	Latest      = "latest"

	reserve   = ".reserve"
	tmpPrefix = ".tmp-"
)

// reserveSize is set aside when a run opens and given back before its record
// is written, so that a disk that a log filled still takes the record.
const reserveSize = 512 << 10

// Folder is the folder of one run.
type Folder struct {
	area string // <artifacts>/<area>
	run  string
}

// Create makes the folder of a new run in artifacts/area. Its name sorts by
// time and cannot meet that of another run that starts in the same moment.
// Errors name the directory that could not be made or written to.
func Create(artifacts, area string, now time.Time) (*Folder, error) {
	parent := filepath.Join(artifacts, area)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	for range 16 {
		var salt [4]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return nil, fmt.Errorf("run folder: random name: %w", err)
		}
		run := now.UTC().Format("20060102T150405Z") + "-" + hex.EncodeToString(salt[:])
		err := os.Mkdir(filepath.Join(parent, run), 0o755)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("run folder: %w", err)
		}
		f := &Folder{area: parent, run: run}
		if err := os.Mkdir(f.Path(LogDir), 0o755); err != nil {
			return nil, fmt.Errorf("run folder: %w", err)
		}
		// Real bytes, not a hole: only written blocks are taken from the disk.
		if err := os.WriteFile(f.Path(reserve), bytes.Repeat([]byte{0xa5}, reserveSize), 0o600); err != nil {
			return nil, fmt.Errorf("run folder: reserve for the record: %w", err)
		}
		return f, nil
	}
	return nil, fmt.Errorf("run folder: no free name in %s", parent)
}

// Run is the name of the run.
func (f *Folder) Run() string { return f.run }

// Dir is the path of the folder.
func (f *Folder) Dir() string { return filepath.Join(f.area, f.run) }

// Path is the path of a file of the run, given with forward slashes.
func (f *Folder) Path(name string) string {
	return filepath.Join(f.Dir(), filepath.FromSlash(name))
}

// LogName is the name of the log of a step: letters, digits, '.', '_' and '-'
// of the ID, everything else as '-'.
func LogName(step string) string {
	return LogDir + "/" + strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '_':
			return r
		}
		return '-'
	}, step) + ".log"
}

// Release gives back the space that Create set aside. It is called when the
// files of the end are about to be written.
func (f *Folder) Release() error {
	if err := os.Remove(f.Path(reserve)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("run folder: %w", err)
	}
	return nil
}

// WriteFile writes a file of the run whole or not at all.
func (f *Folder) WriteFile(name string, content []byte) error {
	return writeWhole(f.Path(name), content)
}

// ErrTooLarge is wrapped when a file is larger than it may be.
var ErrTooLarge = errors.New("too large")

// ReadFile reads a file that a program wrote into the run folder: a regular
// file of at most limit bytes that is really there.
func (f *Folder) ReadFile(name string, limit int64) ([]byte, error) {
	return ReadIn(f.Dir(), name, limit)
}

// ReadIn is [ReadRegular] for one file of a folder.
func ReadIn(dir, name string, limit int64) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return ReadRegular(root, name, limit)
}

// ReadRegular reads a file as if somebody else had put it there: it is a regular file
// of at most limit bytes, no link and no pipe, and the one that was looked at.
func ReadRegular(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	file, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	opened, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, opened) {
		return nil, fmt.Errorf("%s was exchanged while it was read: %w", name, fs.ErrInvalid)
	}
	raw, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, fmt.Errorf("%s: %w: more than %d bytes, at most %d are read", name, ErrTooLarge, limit, limit)
	}
	return raw, nil
}

func writeWhole(path string, content []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), tmpPrefix)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			// The first error is the one to tell; the leftover is not indexed.
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if _, err := tmp.Write(content); err != nil {
		return err
	}
	if err := tmp.Chmod(0o644); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// Digest reads a file and returns its size and SHA-256, with Path as given.
func Digest(path string) (evidence.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return evidence.File{}, err
	}
	defer file.Close()
	return DigestReader(path, file)
}

// DigestReader is Digest for content that is open already.
func DigestReader(path string, content io.Reader) (evidence.File, error) {
	hash := sha256.New()
	size, err := io.Copy(hash, content)
	if err != nil {
		return evidence.File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return evidence.File{Path: path, Size: size, SHA256: hex.EncodeToString(hash.Sum(nil))}, nil
}

// MarkLatest lets "latest" in the area point at this run. Where the system
// has no symbolic links, "latest" is a file that holds the name of the run.
func (f *Folder) MarkLatest() error {
	latest := filepath.Join(f.area, Latest)
	// A name of its own, then a rename: two runs that end together leave one
	// whole pointer, and a reader never finds none.
	tmp := filepath.Join(f.area, tmpPrefix+Latest+"-"+f.run)
	if err := os.Symlink(f.run, tmp); err == nil {
		if err := os.Rename(tmp, latest); err != nil {
			_ = os.Remove(tmp)
			return fmt.Errorf("mark %s: %w", latest, err)
		}
		return nil
	}
	return writeWhole(latest, []byte(f.run+"\n"))
}

// Fallback is where run folders go when they cannot go where they should: a
// place that is most often on another file system, and of the user's own.
func Fallback() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("dpone_artifacts-%d", os.Getuid()))
}
