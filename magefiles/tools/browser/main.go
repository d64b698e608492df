// Command browser opens pages in a headless Chromium and tells what it saw. It
// comes to no verdict: the gate that starts it does.
//
// Its one argument is a file with a [Request] as JSON, "-" for standard input;
// it writes a [Response] as JSON to standard output. It ends with 1, and a
// reason on standard error, when the browser could not be asked.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
)

// Request says what to do; a part that is nil is left out.
type Request struct {
	// Browser is the path of the program.
	Browser  string    `json:"browser"`
	Audit    *Audit    `json:"audit,omitempty"`
	Diagrams *Diagrams `json:"diagrams,omitempty"`
}

// Response is what was seen.
type Response struct {
	Browser  string    `json:"browser"` // name and version
	Pages    []Page    `json:"pages,omitempty"`
	Keyboard *Keyboard `json:"keyboard,omitempty"`
	Drawings []Drawing `json:"drawings,omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "browser:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: browser request.json")
	}
	if args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		stdin = file
	}
	var request Request
	decoder := json.NewDecoder(stdin)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(request.Browser),
		// A page is not to look different because of the machine's screen.
		chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.Flag("font-render-hinting", "none"),
		// What a page asks of others is seen, and answered by nobody.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND"),
	)
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium has none for root
	}
	ctx, cancel := chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithErrorf(func(string, ...any) {}))
	defer cancel()
	var response Response
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		_, response.Browser, _, _, _, err = browser.GetVersion().Do(ctx)
		return err
	}))
	if err != nil {
		return fmt.Errorf("start %s: %w", request.Browser, err)
	}
	if request.Audit != nil {
		if err := request.Audit.run(ctx, &response); err != nil {
			return err
		}
	}
	if request.Diagrams != nil {
		if err := request.Diagrams.run(ctx, &response); err != nil {
			return err
		}
	}
	return json.NewEncoder(stdout).Encode(response)
}
