package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Diagrams asks for pictures of Mermaid blocks.
type Diagrams struct {
	// Mermaid is the path of mermaid.min.js.
	Mermaid string  `json:"mermaid"`
	Blocks  []Block `json:"blocks"`
}

// Block is the text of a diagram.
type Block struct {
	ID     string `json:"id"` // becomes part of the picture
	Source string `json:"source"`
}

// Drawing is a picture, or why there is none. Line is that of the block, from 1, or 0.
type Drawing struct {
	ID    string `json:"id"`
	SVG   string `json:"svg,omitempty"`
	Error string `json:"error,omitempty"`
	Line  int    `json:"line,omitempty"`
}

//go:embed draw.js
var draw string

func (d *Diagrams) run(ctx context.Context, response *Response) error {
	dir, err := os.MkdirTemp("", "mermaid-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	page := filepath.Join(dir, "page.html")
	html := fmt.Sprintf(`<!doctype html><meta charset="utf-8"><title>Mermaid</title><script src="%s"></script>`, fileURL(d.Mermaid))
	if err := os.WriteFile(page, []byte(html), 0o600); err != nil {
		return err
	}
	ctx, cancel := chromedp.NewContext(ctx)
	defer cancel()
	blocks, err := json.Marshal(d.Blocks)
	if err != nil {
		return err
	}
	err = chromedp.Run(ctx,
		chromedp.Navigate(fileURL(page)),
		chromedp.Evaluate(fmt.Sprintf("(%s)(%s)", draw, blocks), &response.Drawings, awaited),
	)
	if err != nil {
		return fmt.Errorf("mermaid: %w", err)
	}
	return nil
}

func awaited(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

func fileURL(path string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path)}).String()
}
