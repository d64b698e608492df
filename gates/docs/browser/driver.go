package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/proc"
	"github.com/dpone/dpone/gates/tool"
)

// driver is the pinned tool that talks to Chromium; its module is of its own,
// so that nobody who uses a gate downloads a browser's protocol.
const driver = "browser"

// The JSON that the driver reads and writes; its code says what the fields mean.
type (
	request struct {
		Browser  string          `json:"browser"`
		Audit    *audit          `json:"audit,omitempty"`
		Diagrams *diagramRequest `json:"diagrams,omitempty"`
	}
	audit struct {
		Site        string   `json:"site"`
		Pages       []string `json:"pages"`
		Axe         string   `json:"axe"`
		Screenshots string   `json:"screenshots"`
		Search      string   `json:"search"`
	}
	diagramRequest struct {
		Mermaid string  `json:"mermaid"`
		Blocks  []block `json:"blocks"`
	}
	block struct {
		ID     string `json:"id"`
		Source string `json:"source"`
	}
	response struct {
		Browser  string    `json:"browser"`
		Pages    []page    `json:"pages"`
		Keyboard *keyboard `json:"keyboard"`
		Drawings []drawing `json:"drawings"`
	}
	page struct {
		Path       string      `json:"path"`
		Scheme     string      `json:"scheme"`
		Console    []string    `json:"console"`
		Failed     []string    `json:"failed"`
		External   []string    `json:"external"`
		Violations []violation `json:"violations"`
		Rules      int         `json:"rules"`
		Wide       []string    `json:"wide"`
		Ground     string      `json:"ground"`
		Undrawn    []string    `json:"undrawn"`
	}
	violation struct {
		Rule    string `json:"rule"`
		Help    string `json:"help"`
		Element string `json:"element"`
		Detail  string `json:"detail"`
		Count   int    `json:"count"`
	}
	keyboard struct {
		First        string   `json:"first"`
		Stops        int      `json:"stops"`
		Navigation   bool     `json:"navigation"`
		Unreached    []string `json:"unreached"`
		Unseen       []string `json:"unseen"`
		SearchOpened bool     `json:"search_opened"`
		Results      int      `json:"results"`
		Landed       string   `json:"landed"`
		Shows        bool     `json:"shows"`
		Toggled      []string `json:"toggled"`
	}
	drawing struct {
		ID    string `json:"id"`
		SVG   string `json:"svg"`
		Error string `json:"error"`
		Line  int    `json:"line"`
	}
)

func tools(root string) []tool.Tool { return []tool.Tool{pins.Find(root, driver)} }

func driverCommand() proc.Command {
	return proc.Command{Name: driver, Args: []string{"$SCRATCH/request.json"}}
}

// maxResponse bounds what the driver says, in bytes.
const maxResponse = 256 << 20

// ask runs the driver. What it says is held to be what the code above knows.
func ask(ctx context.Context, p *gates.Pass, r request) (*response, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.Scratch, "request.json"), raw, 0o600); err != nil {
		return nil, err
	}
	out := &proc.Buffer{Max: maxResponse}
	if _, err := p.Exec(ctx, driverCommand(), proc.Options{Stdout: out}); err != nil {
		return nil, fmt.Errorf("the browser could not be asked: %w", err)
	}
	if out.Over {
		return nil, fmt.Errorf("the browser said more than %d bytes: %w", maxResponse, proc.ErrOutput)
	}
	var answer response
	if err := json.Unmarshal([]byte(out.String()), &answer); err != nil {
		return nil, fmt.Errorf("what the browser driver said: %w", err)
	}
	return &answer, nil
}

// programs are the names of Chromium and its relatives.
var programs = []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"}

var errNoBrowser = errors.New("there is no Chromium on this machine")

func findBrowser(o Options) (string, error) {
	for _, name := range append([]string{o.Browser}, programs...) {
		if name == "" {
			continue
		}
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		if name == o.Browser {
			return "", fmt.Errorf("%w: %s", errNoBrowser, name)
		}
	}
	return "", errNoBrowser
}
