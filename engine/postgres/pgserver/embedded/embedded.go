// Package embedded downloads the PostgreSQL programs for a machine that has
// none. Its Start is a fallback for package pgserver:
//
//	opts := pgserver.FromEnvironment()
//	opts.Fallback = embedded.Start
//	server, err := pgserver.Start(ctx, opts)
//
// It is a package of its own so that only those who want the download link the
// library (github.com/fergusstrange/embedded-postgres) and what it needs.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/dpone/dpone/engine/postgres/pgserver"
)

// version is the PostgreSQL that is downloaded. It is written out, and not the
// library's default, so that an update of the library changes no server.
const version = embeddedpostgres.V17

// repository is where the programs come from: the zonky builds on Maven Central.
// The variable DPONE_IT_PG_REPOSITORY names a mirror of it.
func repository() string {
	if mirror := os.Getenv("DPONE_IT_PG_REPOSITORY"); mirror != "" {
		return mirror
	}
	return "https://repo1.maven.org/maven2"
}

// Start downloads the programs once per user and machine and starts a server
// with them by pgserver.Start. When they cannot be had, the error is
// pgserver.ErrNoServer with the reason.
func Start(ctx context.Context, opts pgserver.Options) (*pgserver.Server, error) {
	dir, err := home()
	if err != nil {
		return nil, fmt.Errorf("%w: no folder for the programs: %w", pgserver.ErrNoServer, err)
	}
	return start(ctx, opts, dir)
}

// start keeps the programs in the folder home.
func start(ctx context.Context, opts pgserver.Options, home string) (*pgserver.Server, error) {
	binDir, err := programs(ctx, opts, home)
	if err != nil {
		return nil, fmt.Errorf("%w: no programs on this machine, and the download failed: %w; fix: apt-get install postgresql, or name a mirror in DPONE_IT_PG_REPOSITORY, or set DPONE_IT_PG_DSN", pgserver.ErrNoServer, err)
	}
	opts.BinDir, opts.DSN, opts.Fallback = binDir, "", nil
	return pgserver.Start(ctx, opts)
}

// programs gives the folder of the programs, downloaded when it is not there.
func programs(ctx context.Context, opts pgserver.Options, home string) (string, error) {
	ready := filepath.Join(home, fmt.Sprintf("%s-%s-%s", version, runtime.GOOS, runtime.GOARCH))
	binDir := filepath.Join(ready, "bin")
	unlock, err := lockedfile.MutexAt(filepath.Join(home, "lock")).Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binDir); err == nil {
		return binDir, nil
	}
	if err := context.Cause(ctx); err != nil {
		return "", err
	}
	if opts.Log != nil {
		opts.Log(fmt.Sprintf("pgserver: downloading PostgreSQL %s from %s", version, repository()))
	}
	work, err := os.MkdirTemp(home, "download-")
	if err != nil {
		return "", err
	}
	// The library knows no context: when ours ends, the download goes on in the
	// background in a folder of its own and is thrown away.
	var finished sync.WaitGroup
	defer func() {
		go func() {
			finished.Wait()
			os.RemoveAll(work)
		}()
	}()
	result := make(chan error, 1)
	finished.Go(func() { result <- download(work) })
	select {
	case <-ctx.Done():
		return "", context.Cause(ctx)
	case err := <-result:
		if err != nil {
			return "", err
		}
	}
	if err := os.Rename(filepath.Join(work, "programs"), ready); err != nil {
		return "", err
	}
	return binDir, nil
}

// home is the folder of the downloads; the variable DPONE_IT_PG_CACHE names another one. The account that a root caller runs the
// server as cannot read root's cache folder, and so root has one elsewhere.
func home() (string, error) {
	parent, err := os.UserCacheDir()
	if os.Geteuid() == 0 {
		parent, err = "/var/cache", nil
	}
	if err != nil {
		return "", err
	}
	dir := filepath.Join(parent, "dpone", "postgresql")
	if named := os.Getenv("DPONE_IT_PG_CACHE"); named != "" {
		dir = named
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	return dir, nil
}

// download fetches and unpacks the programs. The library has no call for that
// alone, but its start does it first and then runs initdb, which refuses an
// encoding that does not exist: so its start ends there, as any user, and never
// runs a server.
func download(work string) error {
	const initdbFailed = "unable to init database"
	err := embeddedpostgres.NewDatabase(embeddedpostgres.DefaultConfig().
		Version(version).
		BinaryRepositoryURL(repository()).
		CachePath(filepath.Join(work, "archive")).
		RuntimePath(filepath.Join(work, "run")).
		DataPath(filepath.Join(work, "data")).
		BinariesPath(filepath.Join(work, "programs")).
		Encoding("none").
		Port(0).
		Logger(io.Discard)).
		Start()
	switch {
	case err == nil:
		return errors.New("the library started a server with an encoding that does not exist")
	case strings.HasPrefix(err.Error(), initdbFailed):
		return nil
	}
	return err
}
