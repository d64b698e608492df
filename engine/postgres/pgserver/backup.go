package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup writes a copy of the data folder to a folder that does not exist yet,
// from which Restore can bring it back. Of a running server it is one that
// pg_basebackup takes, with the log that it needs; of a stopped one it is a
// plain copy. The files belong to the caller. Tablespaces are not supported.
func (s *Server) Backup(ctx context.Context, dir string) error {
	return s.locked("back up the server", func() (err error) {
		if _, err := os.Lstat(dir); err == nil {
			return fmt.Errorf("%s exists already", dir)
		}
		from := s.data
		if s.process != nil {
			// The account of the server may not reach the caller's folder.
			work, err := os.MkdirTemp(s.folder, "backup-")
			if err != nil {
				return err
			}
			defer os.RemoveAll(work)
			if err := s.account.own(work); err != nil {
				return err
			}
			from = filepath.Join(work, "data")
			if _, err := s.Do(ctx, "pg_basebackup", "--pgdata="+from, "--checkpoint=fast", "--wal-method=stream", "--no-sync", "--no-manifest"); err != nil {
				return err
			}
		}
		if _, err := copyTree(ctx, from, dir, nil); err != nil {
			return errors.Join(err, os.RemoveAll(dir))
		}
		return nil
	})
}

// Restore ends the server and puts the copy that Backup wrote in the place of
// its data. StartAgain starts it. As with every file-level restore the server has
// the system identifier and the timeline of the backup, but the older data.
func (s *Server) Restore(ctx context.Context, dir string) error {
	return s.locked("restore the server", func() error {
		if _, err := os.Stat(filepath.Join(dir, "PG_VERSION")); err != nil {
			return fmt.Errorf("not a backup: %w", err)
		}
		if err := s.halt(ctx, 0); err != nil {
			return err
		}
		if err := os.RemoveAll(s.data); err != nil {
			return err
		}
		_, err := copyTree(ctx, dir, s.data, s.account)
		return err
	})
}
