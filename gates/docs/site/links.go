package site

import (
	"errors"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

// link follows every link of every page and gives it its place in the site.
func (b *builder) link() {
	for _, p := range b.pages {
		for _, l := range p.links {
			b.out.Links++
			if l.image {
				b.followImage(p, l)
			} else {
				b.follow(p, l)
			}
		}
	}
	b.orphans()
}

// follow resolves one link of a page.
func (b *builder) follow(p *page, l link) {
	u, ok := b.target(p, l)
	if !ok {
		return
	}
	switch u.Scheme {
	case "":
	case "https", "http", "mailto":
		return // without a network nobody can tell more
	default:
		b.find(CodeLink, p.path, l.line, "link to a page, or to an https address", "a link with the scheme %q", u.Scheme)
		return
	}
	if u.Path == "" {
		b.anchored(p, l, p, u.Fragment)
		return
	}
	name := path.Join(path.Dir(p.path), u.Path)
	if name == ".." || strings.HasPrefix(name, "../") {
		b.find(CodeLink, p.path, l.line, "link to a file of the repository", "%q leads out of the repository", l.dest)
		return
	}
	folder := strings.HasSuffix(u.Path, "/") || b.dirs[name]
	if to := b.byRef[name]; to != nil {
		b.toPage(p, l, to, u.Fragment)
		return
	}
	if to := b.byRef[path.Join(name, "README.md")]; to != nil && folder {
		b.toPage(p, l, to, u.Fragment)
		return
	}
	switch {
	case folder && b.dirs[name]:
		l.set(b.hosted("tree", name, ""))
	case b.exists(name):
		b.toFile(p, l, name, u.Fragment)
	case b.inDocs(name) && path.Ext(name) == ".md":
		b.find(CodePage, p.path, l.line, b.suggest("write the page, or mend the link", name, b.pageNames()), "the page %q does not exist", l.dest)
	default:
		b.find(CodeLink, p.path, l.line, b.suggest("mend the link", name, keys(b.files)), "the file %q does not exist", l.dest)
	}
}

// target reads what a link says. It refuses what leads somewhere else on each host.
func (b *builder) target(p *page, l link) (*url.URL, bool) {
	u, err := url.Parse(l.dest)
	switch {
	case err != nil:
		var reason *url.Error
		if errors.As(err, &reason) {
			err = reason.Err
		}
		b.find(CodeLink, p.path, l.line, "mend the address", "%q is no address: %v", l.dest, err)
	case l.dest == "":
		b.find(CodeLink, p.path, l.line, "write where it leads", "the link is empty")
	case u.Scheme == "" && (u.Host != "" || strings.HasPrefix(u.Path, "/")):
		b.find(CodeLink, p.path, l.line, "write it relative to the page", "%q is not relative: it leads elsewhere on each host", l.dest)
	default:
		return u, true
	}
	return nil, false
}

func (b *builder) toPage(from *page, l link, to *page, fragment string) {
	if from != to && !slices.Contains(from.leadsTo, to.path) {
		from.leadsTo = append(from.leadsTo, to.path)
	}
	b.anchored(from, l, to, fragment)
}

// anchored is a link to a page of the site, with a section or without.
func (b *builder) anchored(from *page, l link, to *page, fragment string) {
	where := ""
	if from != to {
		where = relative(from.out, to.out)
	}
	if fragment != "" {
		b.hasAnchor(from, l, to, fragment)
		where += "#" + (&url.URL{Fragment: fragment}).EscapedFragment()
	}
	if where == "" {
		where = path.Base(to.out)
	}
	l.set(where)
}

func (b *builder) hasAnchor(from *page, l link, to *page, fragment string) {
	if !to.anchors[fragment] {
		b.find(CodeAnchor, from.path, l.line, b.suggest("mend the link", fragment, keys(to.anchors)), "the anchor \"#%s\" is not in %s", fragment, to.path)
	}
}

// lineAnchor is what a code host gives the lines of a file.
var lineAnchor = regexp.MustCompile(`^L\d+(-L\d+)?$`)

// toFile is a link to a file that is no page of the site: the code host shows it.
func (b *builder) toFile(p *page, l link, name, fragment string) {
	switch {
	case fragment == "" || lineAnchor.MatchString(fragment):
	case path.Ext(name) != ".md":
		b.find(CodeAnchor, p.path, l.line, "mend the link", "%s has no sections, so it has no \"#%s\"", name, fragment)
	default:
		to := b.others[name]
		if to == nil {
			to = &page{path: name}
			if err := to.load(b.fsys); err != nil {
				b.find(CodeLink, p.path, l.line, "make it readable", "%v", err)
				return
			}
			to.parse()
			b.others[name] = to
		}
		b.hasAnchor(p, l, to, fragment)
	}
	l.set(b.hosted("blob", name, fragment))
}

// hosted is the address of a file, or of a folder, on the code host.
func (b *builder) hosted(kind, name, fragment string) string {
	u := url.URL{Path: path.Join(kind, b.commit, name), Fragment: fragment}
	return b.Repository + "/" + u.String()
}

// followImage holds that a picture is part of the site.
func (b *builder) followImage(p *page, l link) {
	u, ok := b.target(p, l)
	if !ok {
		return
	}
	if u.Scheme != "" {
		b.find(CodeExternal, p.path, l.line, "put the picture below "+b.Docs, "the picture %q is fetched from elsewhere", l.dest)
		return
	}
	name := path.Join(path.Dir(p.path), u.Path)
	if !b.inDocs(name) || !b.exists(name) {
		b.find(CodeLink, p.path, l.line, "put the picture below "+b.Docs, "the picture %q does not exist below %s", l.dest, b.Docs)
		return
	}
	to := strings.TrimPrefix(name, b.Docs+"/")
	if !slices.ContainsFunc(b.out.Files, func(f File) bool { return f.Path == to }) {
		raw, err := fs.ReadFile(b.fsys, name)
		if err == nil && path.Ext(name) == ".svg" {
			_, err = readPicture(raw)
		}
		if err != nil {
			b.find(CodeDiagram, name, 0, "draw it again", "%v", err)
			return
		}
		b.add(to, raw)
	}
	l.set(relative(p.out, to))
}

// orphans finds the pages that a reader who starts at the first page never meets.
func (b *builder) orphans() {
	start := b.byRef[b.index()]
	if start == nil {
		return // that is said already
	}
	met := map[string]bool{start.path: true}
	for queue := []*page{start}; len(queue) > 0; queue = queue[1:] {
		for _, name := range queue[0].leadsTo {
			if !met[name] {
				met[name] = true
				queue = append(queue, b.byRef[name])
			}
		}
	}
	for _, p := range b.pages {
		if !met[p.path] {
			b.find(CodeOrphan, p.path, 0, "link to it from "+b.index()+" or from a page that is met from there", "no link leads to the page")
		}
	}
}

// relative is the way from one file of the site to another.
func relative(from, to string) string {
	up := strings.Count(from, "/")
	rel := strings.Repeat("../", up) + to
	// Files of one folder need no way up and down again.
	if dir := path.Dir(from); dir != "." && path.Dir(to) == dir {
		rel = path.Base(to)
	}
	return (&url.URL{Path: rel}).String()
}

func (b *builder) pageNames() []string {
	names := make([]string, len(b.pages))
	for i, p := range b.pages {
		names[i] = p.path
	}
	return names
}

func keys(set map[string]bool) []string {
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// suggest adds to a fix the name that was most likely meant.
func (b *builder) suggest(fix, name string, all []string) string {
	best, least := "", max(2, len(name)/4)+1
	for _, other := range all {
		if d := len(name) - len(other); d >= least || -d >= least {
			continue
		}
		if d := distance(name, other); d < least {
			best, least = other, d
		}
	}
	if best == "" {
		// The right file in another folder is the other usual mistake.
		for _, other := range all {
			if path.Base(other) == path.Base(name) && path.Base(name) != "README.md" && strings.Contains(name, "/") {
				best = other
				break
			}
		}
	}
	if best == "" {
		return fix
	}
	return fix + "; did you mean " + best + "?"
}

// distance is how many bytes have to be changed, added or taken away.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
