package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Audit asks how the pages of a site do.
type Audit struct {
	Site  string   `json:"site"`  // folder
	Pages []string `json:"pages"` // files in it
	Axe   string   `json:"axe"`   // path of axe.min.js
	// Screenshots is a folder for pictures of the first page.
	Screenshots string `json:"screenshots"`
	// Search is a word that the search must find.
	Search string `json:"search"`
}

// Page is one page in one colour scheme.
type Page struct {
	Path   string `json:"path"`
	Scheme string `json:"scheme"` // light, dark
	// Console are errors and warnings, of the page's scripts and of the browser.
	Console []string `json:"console"`
	// Failed and External are requests that came to nothing, and that left the site.
	Failed   []string `json:"failed"`
	External []string `json:"external"`
	// Violations are what axe found.
	Violations []Violation `json:"violations"`
	// Rules is how many rules of axe were looked at.
	Rules int `json:"rules"`
	// Wide are the elements that make a page of 360 pixels scroll sideways.
	Wide []string `json:"wide"`
	// Ground is the colour of the page.
	Ground string `json:"ground"`
	// Undrawn are pictures that the browser could not draw.
	Undrawn []string `json:"undrawn"`
}

// Violation is a rule of axe and an element that breaks it.
type Violation struct {
	Rule    string `json:"rule"`
	Help    string `json:"help"`
	Element string `json:"element"`
	Detail  string `json:"detail"`
	Count   int    `json:"count"`
}

// Keyboard is how the first page does without a mouse.
type Keyboard struct {
	// First is the text of what the first Tab reaches.
	First string `json:"first"`
	// Stops is how many elements Tab reaches; Navigation says that a link of
	// the list of pages is one of them.
	Stops      int  `json:"stops"`
	Navigation bool `json:"navigation"`
	// Unreached are controls that Tab never reaches, Unseen those that do not
	// show that they have the focus.
	Unreached []string `json:"unreached"`
	Unseen    []string `json:"unseen"`
	// SearchOpened says that "/" went to the search, Results how many lines it
	// showed, Landed where Enter led, Shows whether the word is there.
	SearchOpened bool   `json:"search_opened"`
	Results      int    `json:"results"`
	Landed       string `json:"landed"`
	Shows        bool   `json:"shows"`
	// Toggled are the colours of the page before and after the switch.
	Toggled []string `json:"toggled"`
}

//go:embed page.js
var pageFunctions string

const (
	desktopWidth, desktopHeight = 1280, 900
	phoneWidth, phoneHeight     = 360, 740
	patience                    = 60 * time.Second // for one page
)

func (a *Audit) run(ctx context.Context, response *Response) error {
	axe, err := os.ReadFile(a.Axe)
	if err != nil {
		return err
	}
	for _, name := range a.Pages {
		for _, scheme := range []string{"light", "dark"} {
			page, err := a.page(ctx, name, scheme, string(axe))
			if err != nil {
				return fmt.Errorf("%s (%s): %w", name, scheme, err)
			}
			response.Pages = append(response.Pages, page)
		}
	}
	if response.Keyboard, err = a.keyboard(ctx); err != nil {
		return fmt.Errorf("keyboard: %w", err)
	}
	return nil
}

func (a *Audit) url(name string) string {
	return fileURL(filepath.Join(a.Site, filepath.FromSlash(name)))
}

// tab is a new, empty tab.
func tab(ctx context.Context) (context.Context, func()) {
	ctx, closeTab := chromedp.NewContext(ctx)
	ctx, cancel := context.WithTimeout(ctx, patience)
	return ctx, func() { cancel(); closeTab() }
}

func scheme(name string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	})
}

// page opens a page in a tab of its own and notes what happens.
func (a *Audit) page(parent context.Context, name, colours, axe string) (Page, error) {
	p := Page{Path: name, Scheme: colours, Console: []string{}, Failed: []string{}, External: []string{}}
	ctx, done := tab(parent)
	defer done()
	var mu sync.Mutex
	urls := map[network.RequestID]string{}
	site := a.url("") + "/"
	add := func(list *[]string, text string) {
		// What is told is the same wherever the site lies.
		if text = strings.ReplaceAll(text, site, ""); !slices.Contains(*list, text) {
			*list = append(*list, text)
		}
	}
	chromedp.ListenTarget(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventConsoleAPICalled:
			if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
				var words []string
				for _, arg := range e.Args {
					words = append(words, strings.Trim(string(arg.Value), `"`)+arg.Description)
				}
				add(&p.Console, strings.Join(words, " "))
			}
		case *runtime.EventExceptionThrown:
			add(&p.Console, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
				add(&p.Console, e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			urls[e.RequestID] = e.Request.URL
			if !strings.HasPrefix(e.Request.URL, site) && !strings.HasPrefix(e.Request.URL, "data:") {
				add(&p.External, e.Request.URL)
			}
		case *network.EventLoadingFailed:
			if !e.Canceled {
				add(&p.Failed, urls[e.RequestID]+": "+e.ErrorText)
			}
		}
	})
	var found struct {
		Violations []Violation
		Rules      int
	}
	err := chromedp.Run(ctx,
		network.Enable(), log.Enable(),
		scheme(colours),
		emulation.SetDeviceMetricsOverride(desktopWidth, desktopHeight, 1, false),
		chromedp.Navigate(a.url(name)),
		chromedp.Evaluate(pageFunctions, nil),
		chromedp.Evaluate("audit.settled()", &p.Undrawn, awaited),
		a.shot(name, "desktop-"+colours+".png"),
		chromedp.Evaluate(axe+";0", nil),
		chromedp.Evaluate("audit.axe()", &found, awaited),
		chromedp.Evaluate("audit.ground()", &p.Ground),
		emulation.SetDeviceMetricsOverride(phoneWidth, phoneHeight, 1, true),
		chromedp.Reload(),
		chromedp.Evaluate(pageFunctions, nil),
		chromedp.Evaluate("audit.settled()", nil, awaited),
		chromedp.Evaluate("audit.wide()", &p.Wide),
		a.shot(name, "phone-"+colours+".png"),
	)
	mu.Lock()
	defer mu.Unlock()
	p.Violations, p.Rules = found.Violations, found.Rules
	return p, err
}

// shot takes a picture of the first page.
func (a *Audit) shot(name, file string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		if name != a.Pages[0] || a.Screenshots == "" {
			return nil
		}
		var png []byte
		if err := chromedp.CaptureScreenshot(&png).Do(ctx); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(a.Screenshots, file), png, 0o644)
	})
}

// stop is an element that Tab reached.
type stop struct {
	Path       string `json:"path"`
	Text       string `json:"text"`
	Navigation bool   `json:"navigation"`
	Seen       bool   `json:"seen"`
	Again      bool   `json:"again"`
}

// maxStops bounds how often Tab is pressed.
const maxStops = 600

func (a *Audit) keyboard(parent context.Context) (*Keyboard, error) {
	ctx, done := tab(parent)
	defer done()
	k := &Keyboard{Unreached: []string{}, Unseen: []string{}}
	err := chromedp.Run(ctx,
		scheme("light"),
		emulation.SetDeviceMetricsOverride(desktopWidth, desktopHeight, 1, false),
		chromedp.Navigate(a.url(a.Pages[0])),
		chromedp.Evaluate(pageFunctions, nil),
		chromedp.Evaluate("audit.settled()", nil, awaited),
	)
	if err != nil {
		return nil, err
	}
	for range maxStops {
		var s *stop
		if err := chromedp.Run(ctx, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate("audit.stop()", &s)); err != nil {
			return nil, err
		}
		if s == nil || s.Again {
			break // the focus left the page, or came round
		}
		if k.Stops++; k.Stops == 1 {
			k.First = s.Text
		}
		k.Navigation = k.Navigation || s.Navigation
		if !s.Seen {
			k.Unseen = append(k.Unseen, s.Path)
		}
	}
	if err := chromedp.Run(ctx, chromedp.Evaluate("audit.unreached()", &k.Unreached)); err != nil {
		return nil, err
	}
	return k, a.search(parent, k)
}

// search uses the search and the switch of colours by keyboard alone.
func (a *Audit) search(parent context.Context, k *Keyboard) error {
	ctx, done := tab(parent)
	defer done()
	word, err := json.Marshal(a.Search)
	if err != nil {
		return err
	}
	err = chromedp.Run(ctx,
		scheme("light"),
		emulation.SetDeviceMetricsOverride(desktopWidth, desktopHeight, 1, false),
		chromedp.Navigate(a.url(a.Pages[0])),
		chromedp.Evaluate(pageFunctions, nil),
		chromedp.Evaluate("audit.settled()", nil, awaited),
		chromedp.Evaluate("audit.toggle()", &k.Toggled),
		chromedp.KeyEvent("/"),
		chromedp.Evaluate("audit.searching()", &k.SearchOpened),
	)
	if err != nil || !k.SearchOpened {
		return err
	}
	if err := chromedp.Run(ctx, chromedp.KeyEvent(a.Search), chromedp.Evaluate("audit.results()", &k.Results, awaited)); err != nil || k.Results == 0 {
		return err
	}
	loaded := make(chan struct{}, 1)
	chromedp.ListenTarget(ctx, func(event any) {
		if _, ok := event.(*runtime.EventExecutionContextCreated); ok {
			select {
			case loaded <- struct{}{}:
			default:
			}
		}
	})
	if err := chromedp.Run(ctx, chromedp.KeyEvent(kb.Enter)); err != nil {
		return err
	}
	select {
	case <-loaded:
	case <-time.After(5 * time.Second): // Enter led nowhere, or to the same page
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	err = chromedp.Run(ctx,
		chromedp.WaitReady("body"),
		chromedp.Location(&k.Landed),
		chromedp.Evaluate(fmt.Sprintf("document.body.innerText.toLowerCase().includes(%s.toLowerCase())", word), &k.Shows),
	)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("the result did not open: %w", err)
	}
	k.Landed = strings.TrimPrefix(k.Landed, a.url("")+"/")
	return err
}
