package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"
)

// remembered reads the last checkpoint that was seen; nil when there is none.
// The place is the reader's own, so signatures are not checked again.
func (l *Log) remembered() (*Checkpoint, error) { return recall(l.opts.Remember) }

func recall(name string) (*Checkpoint, error) {
	if name == "" {
		return nil, nil
	}
	root, err := os.OpenRoot(filepath.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: remembered checkpoint: %w", err)
	}
	defer root.Close()
	raw, err := read(root, filepath.Base(name), MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("log: remembered checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(raw, nil)
	if err != nil {
		return nil, fmt.Errorf("log: remembered checkpoint %s: %w", name, err)
	}
	return &c, nil
}

// remember writes down a checkpoint that was checked, unless a longer log was
// seen meanwhile.
func (l *Log) remember(c Checkpoint) error {
	name := l.opts.Remember
	if name == "" {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("log: remember the checkpoint in %s: %w", name, err) }
	if before, err := recall(name); err == nil && before != nil && string(before.Raw) == string(c.Raw) {
		return nil
	}
	dir := filepath.Dir(name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	unlock, err := holdLock(context.Background(), lockedfile.MutexAt(name+".lock"))
	if err != nil {
		return fail(err)
	}
	defer unlock()
	before, err := recall(name)
	if err != nil {
		return err
	}
	if before != nil && before.Size > c.Size {
		return nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fail(err)
	}
	defer root.Close()
	// The lock makes the name free of other writers.
	tmp := filepath.Base(name) + ".tmp"
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := writeSynced(root, tmp, c.Raw); err != nil {
		return fail(err)
	}
	if err := root.Rename(tmp, filepath.Base(name)); err != nil {
		return fail(err)
	}
	top, err := root.Open(".")
	if err != nil {
		return fail(err)
	}
	defer top.Close()
	if err := top.Sync(); err != nil {
		return fail(err)
	}
	return nil
}

func writeSynced(root *os.Root, name string, content []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if _, err := file.Write(content); err != nil {
		file.Close()
		return err
	}
	if err := file.Sync(); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
