package embedded

import (
	"archive/zip"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"
	"gotest.tools/v3/poll"

	"github.com/dpone/dpone/engine/postgres/pgserver"
)

// mirror serves an archive of the form that the zonky builds have. The programs in
// it are scripts that only say what they are not.
func mirror(t *testing.T) (requests *atomic.Int64) {
	t.Helper()
	archive, err := os.ReadFile("testdata/programs.txz")
	assert.NilError(t, err)
	requests = &atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if !strings.HasSuffix(r.URL.Path, ".jar") {
			http.NotFound(w, r)
			return
		}
		jar := zip.NewWriter(w)
		file, err := jar.Create("postgres-any.txz")
		if err == nil {
			_, err = file.Write(archive)
		}
		if err == nil {
			err = jar.Close()
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("DPONE_IT_PG_REPOSITORY", server.URL)
	return requests
}

// TestDownload fetches the programs once, and tries to start a server with them.
func TestDownload(t *testing.T) {
	requests := mirror(t)
	home := t.TempDir()
	var said []string
	opts := pgserver.Options{Log: func(line string) { said = append(said, line) }, NoCache: true}
	dir, err := programs(context.Background(), opts, home)
	assert.NilError(t, err)
	_, err = os.Stat(filepath.Join(dir, "initdb"))
	assert.NilError(t, err)
	assert.Assert(t, len(said) == 1 && strings.Contains(said[0], "downloading PostgreSQL 17"), "%q", said)

	before := requests.Load()
	_, err = start(context.Background(), opts, home)
	assert.Assert(t, err != nil, "scripts became a server")
	assert.Equal(t, requests.Load(), before)
}

// TestNoMirror tells the reason and the fix.
func TestNoMirror(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	t.Setenv("DPONE_IT_PG_REPOSITORY", server.URL)
	t.Setenv("DPONE_IT_PG_CACHE", t.TempDir())
	_, err := Start(context.Background(), pgserver.Options{})
	assert.ErrorIs(t, err, pgserver.ErrNoServer)
	assert.ErrorContains(t, err, "apt-get install postgresql")
}

func TestEndedContext(t *testing.T) {
	requests := mirror(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := start(ctx, pgserver.Options{}, t.TempDir())
	assert.ErrorIs(t, err, pgserver.ErrNoServer)
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, requests.Load(), int64(0))
}

// TestContextEndsInDownload returns while the mirror is still silent, and leaves nothing.
func TestContextEndsInDownload(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	answer := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-answer
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	t.Setenv("DPONE_IT_PG_REPOSITORY", server.URL)
	home := t.TempDir()
	_, err := start(ctx, pgserver.Options{}, home)
	assert.ErrorIs(t, err, context.Canceled)
	close(answer)
	poll.WaitOn(t, func(poll.LogT) poll.Result {
		entries, err := os.ReadDir(home)
		if err != nil {
			return poll.Error(err)
		}
		if len(entries) == 1 && entries[0].Name() == "lock" {
			return poll.Success()
		}
		return poll.Continue("%v are still there", entries)
	})
}

func TestRepository(t *testing.T) {
	t.Setenv("DPONE_IT_PG_REPOSITORY", "")
	assert.Equal(t, repository(), "https://repo1.maven.org/maven2")
}
