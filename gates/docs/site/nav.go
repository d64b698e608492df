package site

import (
	"path"
	"slices"
	"strings"
)

// section is a part of the sidebar: a page, or a folder with its pages.
type section struct {
	Name  string // of a folder that has no page of its own
	Page  *page
	Pages []*page
}

// order sorts the pages for reading: as the first page links to them, then by
// name; the pages of a folder stay together, as its README.md links to them.
func (b *builder) order() {
	rank := map[string]int{b.index(): -1}
	if first := b.byRef[b.index()]; first != nil {
		for i, name := range first.leadsTo {
			rank[name] = i
		}
	}
	place := func(p *page) int {
		if r, ok := rank[p.path]; ok {
			return r
		}
		return len(b.pages)
	}
	groups := map[string][]*page{}
	var tops []string // keys of groups
	for _, p := range b.pages {
		key := p.path
		if dir := path.Dir(p.path); dir != b.Docs {
			// A folder in a folder belongs to the upper one.
			key, _, _ = strings.Cut(strings.TrimPrefix(dir, b.Docs+"/"), "/")
			key = b.Docs + "/" + key
		}
		if groups[key] == nil {
			tops = append(tops, key)
		}
		groups[key] = append(groups[key], p)
	}
	least := func(key string) int {
		lowest := len(b.pages)
		for _, p := range groups[key] {
			lowest = min(lowest, place(p))
		}
		return lowest
	}
	slices.SortStableFunc(tops, func(x, y string) int { return least(x) - least(y) })
	b.pages = b.pages[:0]
	for _, key := range tops {
		pages := groups[key]
		if len(pages) == 1 && pages[0].path == key {
			b.nav = append(b.nav, section{Page: pages[0]})
			b.pages = append(b.pages, pages[0])
			continue
		}
		s := section{Name: title(path.Base(key))}
		own := map[string]int{}
		if front := b.byRef[key+"/README.md"]; front != nil {
			s.Page = front
			for i, name := range front.leadsTo {
				own[name] = i + 1
			}
		}
		slices.SortStableFunc(pages, func(x, y *page) int {
			within := func(p *page) int {
				if p == s.Page {
					return 0
				}
				if at := own[p.path]; at > 0 {
					return at
				}
				return 1000 + place(p)
			}
			return within(x) - within(y)
		})
		for _, p := range pages {
			if p != s.Page {
				s.Pages = append(s.Pages, p)
			}
		}
		b.nav = append(b.nav, s)
		b.pages = append(b.pages, pages...)
	}
	for i, p := range b.pages {
		if i > 0 {
			p.prev, b.pages[i-1].next = b.pages[i-1], p
		}
		b.out.Pages = append(b.out.Pages, p.path)
	}
}

// title is the name of a folder for a reader.
func title(folder string) string {
	words := strings.NewReplacer("-", " ", "_", " ").Replace(folder)
	if len(words) <= 3 {
		return strings.ToUpper(words) // adr, api
	}
	return strings.ToUpper(words[:1]) + words[1:]
}
