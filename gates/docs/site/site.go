// Package site turns a folder of Markdown pages into a web site, and is strict
// about it: whatever would lead a reader nowhere is a [Finding] with file and line.
//
// The pages stay plain: they read on a code host as they are, carry no front
// matter, and README.md is the page of its folder. The same pages and options
// give the same bytes. The site needs no server and asks nobody for anything:
// every link is relative, search works from files, scripts and styles are its own.
package site

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Codes of findings.
const (
	CodeLink      = "docs.link"      // a link that leads to nothing, or that no reader should follow
	CodeAnchor    = "docs.anchor"    // a link to a section that the page does not have
	CodePage      = "docs.page"      // a page that is missing
	CodeHeading   = "docs.heading"   // no title, more than one, or a level left out
	CodeDuplicate = "docs.duplicate" // two sections of a page with one anchor
	CodeOrphan    = "docs.orphan"    // a page that no link leads to
	CodeAlt       = "docs.alt"       // a picture without a text
	CodeExternal  = "docs.external"  // something that a reader's browser would fetch from elsewhere
	CodeLanguage  = "docs.language"  // a code block in a language that is not known
	CodeMermaid   = "docs.mermaid"   // a Mermaid block that has no picture, or does not parse
	CodeDiagram   = "docs.diagram"   // a picture of a diagram that is not used, or not safe
	CodeHTML      = "docs.html"      // HTML that is not on the list
)

// Codes are the codes of all findings, sorted.
func Codes() []string {
	return []string{
		CodeAlt, CodeAnchor, CodeDiagram, CodeDuplicate, CodeExternal, CodeHeading,
		CodeHTML, CodeLanguage, CodeLink, CodeMermaid, CodeOrphan, CodePage,
	}
}

// Options say what the site is made of.
type Options struct {
	// Docs is the folder of the pages, relative to the root; "docs" if empty.
	Docs string `json:"docs"`
	// Title stands on every page; "Documentation" if empty.
	Title string `json:"title"`
	// Repository is the address of the source on a code host, for example
	// "https://github.com/dpone/dpone". Links to files outside Docs lead there.
	Repository string `json:"repository"`
	// Source tells of the source; every file below the root and no commit if nil. It
	// is asked while the pages are read.
	Source func(ctx context.Context) (Source, error) `json:"-"`
	// Preview adds the script of the local server, which shows findings and
	// loads a page again when it changed.
	Preview bool `json:"-"`
}

// Source is what the pages belong to.
type Source struct {
	// Files are those of the source, relative to the root, with forward slashes.
	// A link to another one is broken.
	Files []string
	// Commit is the version that links to such files show; "HEAD" if empty.
	Commit string
}

// Diagrams is the folder of the pictures of Mermaid blocks, below Docs.
const Diagrams = "diagrams"

func (o Options) defaults() Options {
	o.Docs = path.Clean(cmp.Or(o.Docs, "docs"))
	o.Title = cmp.Or(o.Title, "Documentation")
	o.Repository = strings.TrimSuffix(o.Repository, "/")
	return o
}

// Finding is a defect of the pages.
type Finding struct {
	Code string `json:"code"`
	// Path is relative to the root; Line counts from 1, 0 means the whole file.
	Path    string `json:"path"`
	Line    int    `json:"line,omitempty"`
	Message string `json:"message"`
	Fix     string `json:"fix"`
}

// File is a file of the site, by its path with forward slashes.
type File struct {
	Path    string
	Content []byte
}

// Site is what came of the pages. It is complete even when there are findings,
// so that it can be looked at.
type Site struct {
	Files    []File    // sorted by path
	Findings []Finding // sorted by file and line
	Pages    []string  // paths of the pages in the site, in reading order
	Links    int       // how many links were followed
	Diagrams []Diagram // every Mermaid block, in reading order
	// Unused are the pictures, relative to the root, that no block has.
	Unused []string
}

// ErrNoPages is returned when there is nothing to build.
var ErrNoPages = errors.New("there is no page")

// Build reads the pages below fsys and makes the site. An error means that it
// could not be told how good the pages are; findings are no error.
func Build(ctx context.Context, fsys fs.FS, o Options) (*Site, error) {
	o = o.defaults()
	if !fs.ValidPath(o.Docs) {
		return nil, fmt.Errorf("docs: folder %q is not a path below the root", o.Docs)
	}
	b := &builder{
		Options: o, fsys: fsys, files: map[string]bool{}, there: map[string]bool{}, dirs: map[string]bool{".": true},
		byRef: map[string]*page{}, others: map[string]*page{}, drawn: map[string]picture{}, out: &Site{},
	}
	if err := b.read(ctx); err != nil {
		return nil, err
	}
	b.link()
	b.order()
	b.pictures()
	if err := b.render(ctx); err != nil {
		return nil, err
	}
	slices.SortFunc(b.out.Files, func(x, y File) int { return strings.Compare(x.Path, y.Path) })
	slices.SortStableFunc(b.out.Findings, func(x, y Finding) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), x.Line-y.Line, strings.Compare(x.Code, y.Code), strings.Compare(x.Message, y.Message))
	})
	return b.out, nil
}

type builder struct {
	Options
	fsys   fs.FS
	commit string
	files  map[string]bool // of the source
	there  map[string]bool // what was asked of those
	dirs   map[string]bool
	pages  []*page // in reading order, once order was called
	byRef  map[string]*page
	// others are Markdown files outside Docs that a link with an anchor leads to.
	others map[string]*page
	nav    []section
	drawn  map[string]picture // by the path of the picture
	out    *Site
}

// read parses the pages, and learns meanwhile what the source is.
func (b *builder) read(ctx context.Context) error {
	below, err := walk(b.fsys, b.Docs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("docs: %w", err)
	}
	for _, name := range below {
		if path.Ext(name) == ".md" {
			b.pages = append(b.pages, &page{path: name, out: outPath(strings.TrimPrefix(name, b.Docs+"/"))})
		}
	}
	var source Source
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		if b.Source != nil {
			source, err = b.Source(groupCtx)
		} else {
			source.Files, err = walk(b.fsys, ".")
		}
		return err
	})
	group.Go(func() error { return b.parse(groupCtx) })
	if err := group.Wait(); err != nil {
		return fmt.Errorf("docs: %w", err)
	}
	b.adopt(source)
	if len(b.pages) == 0 {
		return fmt.Errorf("%w: no .md file below %s", ErrNoPages, b.Docs)
	}
	return nil
}

// walk lists the files below a folder.
func walk(fsys fs.FS, dir string) ([]string, error) {
	var names []string
	err := fs.WalkDir(fsys, dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, name)
		}
		return err
	})
	return names, err
}

func (b *builder) inDocs(name string) bool { return strings.HasPrefix(name, b.Docs+"/") }

// outPath is where a page goes: README.md is the index of its folder.
func outPath(name string) string {
	dir, file := path.Split(name)
	if file == "README.md" {
		return dir + "index.html"
	}
	return dir + strings.TrimSuffix(file, ".md") + ".html"
}

func (b *builder) find(code, file string, line int, fix, format string, args ...any) {
	b.out.Findings = append(b.out.Findings, Finding{code, file, line, fmt.Sprintf(format, args...), fix})
}

// each calls do with every page, several at a time. do may change its page and
// nothing else. The longest page comes first, so that none is waited for alone.
func (b *builder) each(ctx context.Context, do func(*page) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	pages := slices.SortedFunc(slices.Values(b.pages), func(x, y *page) int { return len(y.source) - len(x.source) })
	for _, p := range pages {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			return do(p)
		})
	}
	return group.Wait()
}

// parse reads all pages and notes what each says of itself.
func (b *builder) parse(ctx context.Context) error {
	for _, do := range []func(*page) error{
		func(p *page) error { return p.load(b.fsys) },
		func(p *page) error {
			p.parse()
			p.draw(b.fsys, b.Docs)
			return nil
		},
	} {
		if err := b.each(ctx, do); err != nil {
			return err
		}
	}
	return nil
}

// adopt keeps the pages that are part of the source: one that git ignores is
// none that others get.
func (b *builder) adopt(source Source) {
	b.commit = cmp.Or(source.Commit, "HEAD")
	for _, name := range source.Files {
		b.files[name] = true
		for dir := path.Dir(name); !b.dirs[dir]; dir = path.Dir(dir) {
			b.dirs[dir] = true
		}
	}
	b.pages = slices.DeleteFunc(b.pages, func(p *page) bool { return p.gone || !b.files[p.path] })
	for _, p := range b.pages {
		b.byRef[p.path] = p
		b.out.Findings = append(b.out.Findings, p.findings...)
	}
	if b.byRef[b.index()] == nil {
		b.find(CodePage, b.index(), 0, "write it, with a link to each page", "the first page is missing")
	}
}

// index is the first page.
func (b *builder) index() string { return b.Docs + "/README.md" }

// exists says whether a file is part of the source and really there.
func (b *builder) exists(name string) bool {
	if !b.files[name] {
		return false
	}
	there, asked := b.there[name]
	if !asked {
		info, err := fs.Stat(b.fsys, name)
		there = err == nil && !info.IsDir()
		b.there[name] = there
	}
	return there
}

func (b *builder) add(name string, content []byte) {
	b.out.Files = append(b.out.Files, File{name, content})
}

// lineOf is the line of an offset, from 1.
func lineOf(source []byte, offset int) int {
	offset = min(max(offset, 0), len(source))
	return bytes.Count(source[:offset], []byte("\n")) + 1
}
