package pgserver

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// initialise makes the data folder, by a copy of the template when there is one.
// initdb takes more than half of a start.
func (s *Server) initialise(ctx context.Context) error {
	if s.opts.NoCache {
		return s.initdb(ctx, s.data)
	}
	cache, err := s.templateFolder()
	if err != nil {
		s.opts.say("no template: %v", err)
		return s.initdb(ctx, s.data)
	}
	template := filepath.Join(cache, "data")
	if _, err := os.Stat(template); err != nil {
		return s.makeTemplate(ctx, cache)
	}
	err = s.useTemplate(ctx, cache)
	if err == nil || ctx.Err() != nil {
		return err
	}
	// A cleaner of old files, or a power cut, may have left half of it.
	s.opts.say("removing a template that cannot be used: %v", err)
	if err := errors.Join(os.RemoveAll(s.data), os.RemoveAll(template)); err != nil {
		return err
	}
	return s.initdb(ctx, s.data)
}

// templateFolder is the cache folder for clusters of these programs.
func (s *Server) templateFolder() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	key := sha256.New()
	fmt.Fprintln(key, "1", s.binDir, strings.Join(initdbArgs(), " "))
	for _, name := range []string{"postgres", "initdb"} {
		info, err := os.Stat(filepath.Join(s.binDir, name))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(key, name, info.Size(), info.ModTime().UnixNano())
	}
	cache := filepath.Join(base, "dpone", "pgserver", hex.EncodeToString(key.Sum(nil)[:8]))
	return cache, os.MkdirAll(cache, 0o700)
}

// makeTemplate runs initdb and puts a copy of the result in the cache. Of
// several processes one does it; the others wait and use the template.
func (s *Server) makeTemplate(ctx context.Context, cache string) error {
	unlock, err := lock(ctx, filepath.Join(cache, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(filepath.Join(cache, "data")); err == nil {
		return s.useTemplate(ctx, cache)
	}
	if err := s.initdb(ctx, s.data); err != nil {
		return err
	}
	if err := publishTemplate(ctx, s.data, cache); err != nil {
		if ctx.Err() != nil {
			return err
		}
		s.opts.say("no template: %v", err)
	}
	return nil
}

// publishTemplate copies a data folder that no server has used yet into the
// cache. The last step is a rename, so that the template is whole or not there.
func publishTemplate(ctx context.Context, data, cache string) error {
	next := filepath.Join(cache, "next")
	if err := os.RemoveAll(next); err != nil { // of a process that died here
		return err
	}
	defer os.RemoveAll(next)
	size, err := copyTree(ctx, data, next, nil)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(cache, "size"), []byte(size.String()), 0o600); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(cache, "data"))
}

func (s *Server) useTemplate(ctx context.Context, cache string) error {
	want, err := os.ReadFile(filepath.Join(cache, "size"))
	if err != nil {
		return err
	}
	size, err := copyTree(ctx, filepath.Join(cache, "data"), s.data, s.account)
	if err != nil {
		return err
	}
	if size.String() != string(want) {
		return fmt.Errorf("the template in %s has %s, but had %s", cache, size, want)
	}
	return renewIdentity(s.data)
}

// lock takes a lock between processes, or gives up when the context ends.
func lock(ctx context.Context, path string) (func(), error) {
	type result struct {
		unlock func()
		err    error
	}
	got := make(chan result, 1)
	go func() {
		unlock, err := lockedfile.MutexAt(path).Lock()
		got <- result{unlock, err}
	}()
	select {
	case r := <-got:
		return r.unlock, r.err
	case <-ctx.Done():
		go func() {
			if r := <-got; r.err == nil {
				r.unlock()
			}
		}()
		return nil, fmt.Errorf("wait for %s: %w", path, context.Cause(ctx))
	}
}

// renewIdentity gives a copied cluster a system identifier of its own. Every
// cluster has one, and replication, backups and dpone's own state take two
// clusters with the same identifier for the same one.
//
// The identifier is in two places: the first 8 bytes of global/pg_control, which
// end with a CRC-32C of all bytes before it (struct ControlFileData,
// src/include/catalog/pg_control.h), and bytes 24 to 31 of each log segment
// (struct XLogLongPageHeaderData, src/include/access/xlog_internal.h). Numbers
// are in the byte order of the machine.
func renewIdentity(data string) error {
	order := binary.NativeEndian
	path := filepath.Join(data, "global", "pg_control")
	control, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("new system identifier: %w", err)
	}
	end := checksumOffset(control)
	if end < 0 {
		return fmt.Errorf("new system identifier: %s has no checksum that matches", path)
	}
	before := order.Uint64(control)
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return fmt.Errorf("new system identifier: %w", err)
	}
	// As the server makes it: seconds in the upper half.
	after := uint64(time.Now().Unix())<<32 | uint64(order.Uint32(random[:]))
	order.PutUint64(control, after)
	order.PutUint32(control[end:], crc32.Checksum(control[:end], castagnoli))

	segments, err := filepath.Glob(filepath.Join(data, "pg_wal", strings.Repeat("[0-9A-F]", 24)))
	if err != nil || len(segments) == 0 {
		return fmt.Errorf("new system identifier: no log segment in %s (%w)", data, err)
	}
	for _, segment := range segments {
		if err := renewSegment(segment, before, after); err != nil {
			return fmt.Errorf("new system identifier: %w", err)
		}
	}
	if err := overwrite(path, 0, control); err != nil {
		return fmt.Errorf("new system identifier: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checksumOffset finds the checksum of a pg_control file. Where it is depends on
// the version of the server, somewhere in the first 512 bytes.
func checksumOffset(control []byte) int {
	for end := 64; end+4 <= min(len(control), 512); end += 4 {
		if binary.NativeEndian.Uint32(control[end:]) == crc32.Checksum(control[:end], castagnoli) {
			return end
		}
	}
	return -1
}

func renewSegment(path string, before, after uint64) error {
	const (
		infoOffset = 2
		longHeader = 2 // bit of the info field
		idOffset   = 24
	)
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	var header [idOffset + 8]byte
	if _, err := io.ReadFull(file, header[:]); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	order := binary.NativeEndian
	if order.Uint16(header[infoOffset:])&longHeader == 0 || order.Uint64(header[idOffset:]) != before {
		return fmt.Errorf("%s: does not begin with the system identifier %d", path, before)
	}
	return overwrite(path, idOffset, order.AppendUint64(nil, after))
}

func overwrite(path string, offset int64, bytes []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(bytes, offset)
	return errors.Join(err, file.Close())
}

// treeSize is how much a copy copied.
type treeSize struct{ files, bytes int64 }

func (s treeSize) String() string { return fmt.Sprintf("%d files, %d bytes", s.files, s.bytes) }

// copyTree copies a data folder to one that does not exist, and gives it to the
// account. On file systems that can, the copies share their blocks.
func copyTree(ctx context.Context, from, to string, owner *account) (treeSize, error) {
	var size treeSize
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		switch {
		case entry.IsDir():
			err = os.Mkdir(target, 0o700)
		case entry.Type().IsRegular():
			var n int64
			n, err = copyFile(path, target)
			size.files++
			size.bytes += n
		default:
			return fmt.Errorf("%s is neither file nor folder; a cluster with tablespaces cannot be copied", path)
		}
		if err != nil {
			return err
		}
		return owner.own(target)
	})
	if err != nil {
		return size, fmt.Errorf("copy %s: %w", from, err)
	}
	return size, nil
}

func copyFile(from, to string) (int64, error) {
	source, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(target, source) // copy_file_range(2) on Linux
	return n, errors.Join(err, target.Close())
}
