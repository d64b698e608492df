// Package serve shows the site on this machine while its pages are written: it
// builds it again after each change, lets the open page load again, and tells
// the findings in the terminal and in the page.
package serve

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/docs/site"
	"github.com/dpone/dpone/gates/source"
)

// Options of the server.
type Options struct {
	Site site.Options
	// Root is the root of the source.
	Root string
	// Port on 127.0.0.1; 0 takes a free one.
	Port int
	// Poll is how often the pages are looked at; 300ms if 0.
	Poll time.Duration
	// Stdout takes what happens.
	Stdout io.Writer
	// Ready is called with the address once the first build is there. It may be nil.
	Ready func(address string)
}

// patience bounds how long a request waits for a change, and the end for its requests.
const patience = 20 * time.Second

// Run serves until ctx ends, which is no error. A port that cannot be had is a
// *[gates.UsageError].
func Run(ctx context.Context, o Options) error {
	if o.Port < 0 || o.Port > 65535 {
		return &gates.UsageError{Problem: fmt.Sprintf("-port=%d: give a port from 0 to 65535", o.Port)}
	}
	if ctx.Err() != nil {
		return nil
	}
	if o.Poll == 0 {
		o.Poll = 300 * time.Millisecond
	}
	o.Site.Preview = true
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port)))
	if err != nil {
		return &gates.UsageError{Problem: fmt.Sprintf("-port=%d: %v; give another one, or 0 for any", o.Port, err)}
	}
	s := &server{Options: o, changed: make(chan struct{})}
	s.rebuild(ctx)
	address := "http://" + listener.Addr().String() + "/"
	fmt.Fprintf(o.Stdout, "docs:serve  %s  (Ctrl-C ends it)\n", address)
	if o.Ready != nil {
		o.Ready(address)
	}
	web := &http.Server{Handler: s, ReadHeaderTimeout: patience, BaseContext: func(net.Listener) context.Context { return ctx }}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()
	tick := time.NewTicker(o.Poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			// Requests that wait for a change have ended with ctx.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			if err := web.Shutdown(last); err != nil {
				return web.Close()
			}
			return nil
		case err := <-served:
			return fmt.Errorf("docs:serve: %w", err)
		case <-tick.C:
			if s.fingerprint() != s.seen {
				s.rebuild(ctx)
			}
		}
	}
}

// server holds the newest site.
type server struct {
	Options
	seen string // of the pages, when the site was built

	mu      sync.Mutex
	changed chan struct{} // closed when a new site is there
	state   state
	files   map[string][]byte
}

// state is what the page asks for.
type state struct {
	Version  int            `json:"version"`
	Findings []site.Finding `json:"findings"`
	Error    string         `json:"error,omitempty"`
}

// fingerprint changes when a file below the pages does.
func (s *server) fingerprint() string {
	var b strings.Builder
	_ = filepath.WalkDir(filepath.Join(s.Root, filepath.FromSlash(s.docs())), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil //nolint:nilerr // a file that is gone is a change, too
		}
		if info, err := entry.Info(); err == nil {
			fmt.Fprintf(&b, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
		}
		return nil
	}) // the visitor returns no error
	return b.String()
}

func (s *server) docs() string {
	if s.Site.Docs == "" {
		return "docs"
	}
	return s.Site.Docs
}

// rebuild makes the site of what is there now, and tells of it.
func (s *server) rebuild(ctx context.Context) {
	s.seen = s.fingerprint()
	began := time.Now()
	made, err := s.build(ctx)
	if ctx.Err() != nil {
		return
	}
	next := state{Findings: []site.Finding{}}
	files := map[string][]byte{}
	if err != nil {
		next.Error = err.Error()
		fmt.Fprintf(s.Stdout, "  ERR  %s\n", printable(err.Error()))
	} else {
		next.Findings = append(next.Findings, made.Findings...)
		for _, f := range made.Files {
			files[f.Path] = f.Content
		}
		mark := "ok  "
		if len(made.Findings) > 0 {
			mark = "FAIL"
		}
		fmt.Fprintf(s.Stdout, "  %s %d pages, %d links, %d findings  %s\n", mark, len(made.Pages), made.Links, len(made.Findings), time.Since(began).Round(time.Millisecond))
		for _, f := range made.Findings {
			where := f.Path
			if f.Line > 0 {
				where += ":" + strconv.Itoa(f.Line)
			}
			fmt.Fprintf(s.Stdout, "  %s  %s  [%s]\n      -> %s\n", printable(where), printable(f.Message), f.Code, printable(f.Fix))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	next.Version = s.state.Version + 1
	s.state = next
	if err == nil {
		s.files = files
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) build(ctx context.Context) (*site.Site, error) {
	root, err := os.OpenRoot(s.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	o := s.Site
	o.Source = func(ctx context.Context) (site.Source, error) {
		files, err := source.Open(s.Root).Files(ctx)
		return site.Source{Files: files}, err
	}
	return site.Build(ctx, root.FS(), o)
}

// printable keeps text from outside from moving the cursor.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

//go:embed preview.js
var previewJS []byte

//go:embed preview.css
var previewCSS []byte

// types are those of the files of a site.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp", ".txt": "text/plain; charset=utf-8",
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	// Another site that resolves to this machine is not to read what is here.
	if host, _, err := net.SplitHostPort(r.Host); err != nil || host != "127.0.0.1" && host != "localhost" {
		http.Error(w, "ask for 127.0.0.1", http.StatusForbidden)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	switch name := path.Clean(r.URL.Path); name {
	case "/-/state":
		s.tell(w, r)
	case "/-/preview.js":
		send(w, name, previewJS)
	case "/-/preview.css":
		send(w, name, previewCSS)
	default:
		s.mu.Lock()
		files := s.files
		s.mu.Unlock()
		name = strings.TrimPrefix(name, "/")
		content, ok := files[name]
		if !ok {
			index := path.Join(name, "index.html")
			if content, ok = files[index]; ok && name != "" && !strings.HasSuffix(r.URL.Path, "/") {
				http.Redirect(w, r, "/"+name+"/", http.StatusFound)
				return
			}
			name = index
		}
		if !ok {
			http.Error(w, "there is no such page", http.StatusNotFound)
			return
		}
		send(w, name, content)
	}
}

func send(w http.ResponseWriter, name string, content []byte) {
	kind := types[path.Ext(name)]
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(content) // a browser that went away needs nothing
}

// tell answers at once when the page is of another version, and otherwise when
// a new one is there.
func (s *server) tell(w http.ResponseWriter, r *http.Request) {
	known := r.URL.Query().Get("version")
	s.mu.Lock()
	now, changed := s.state, s.changed
	s.mu.Unlock()
	if known == strconv.Itoa(now.Version) {
		select {
		case <-changed:
		case <-r.Context().Done():
		case <-time.After(patience):
		}
		s.mu.Lock()
		now = s.state
		s.mu.Unlock()
	}
	raw, err := json.Marshal(now)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(raw) // a browser that went away needs nothing
}
