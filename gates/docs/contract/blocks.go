package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/gates/docs/page"
)

// Kind is what becomes of a block of code.
type Kind uint8

// The kinds. The first four are held by a test or by the rule itself; a mark
// <!-- not run: reason --> above the block takes it out.
const (
	Shown  Kind = iota // for the reader alone: text, console, diff, mermaid
	Shell              // run, in one shell for the page
	GoCode             // a whole file, which compiles
	YAML               // a manifest, or a part of a workflow
	JSON               // parses
	Wrong              // of no known language
)

// languages are the words that may stand behind a fence.
var languages = map[string]Kind{
	"sh": Shell, "go": GoCode, "yaml": YAML, "json": JSON,
	"text": Shown, "console": Shown, "diff": Shown, "mermaid": Shown, "sql": Shown, "markdown": Shown, "csv": Shown, "toml": Shown, "html": Shown,
}

// KindOf is what becomes of a block.
func KindOf(b page.Block) Kind {
	if b.Generated {
		return Shown // what generates it answers for it
	}
	if kind, ok := languages[b.Lang]; ok {
		return kind
	}
	return Wrong
}

// Run says whether a test has to run the block.
func Run(b page.Block) bool { k := KindOf(b); return !b.Marked && (k == Shell || k == GoCode) }

// blocks holds that each block is of a known language, and that what can be told without running it holds.
func (l *looker) blocks() (int, error) {
	looked := 0
	for _, p := range l.pages {
		for i, b := range p.Blocks {
			looked++
			var before *page.Block
			if i > 0 {
				before = &p.Blocks[i-1]
			}
			if why, fix := judge(p, b, before); why != "" {
				l.find(CodeBlock, p.Path, b.Line, why, fix)
			}
		}
	}
	return looked, nil
}

// instead are the languages to write for those that are often meant.
var instead = map[string]string{"bash": "sh", "shell": "sh", "zsh": "sh", "golang": "go", "yml": "yaml", "txt": "text", "output": "text", "md": "markdown"}

// judge says what is wrong with a block, and what to do.
func judge(p *page.Page, b page.Block, before *page.Block) (why, fix string) {
	kind := KindOf(b)
	switch {
	case b.Lang == "" && !b.Generated:
		return "the block names no language", "sh for what is run, text for what is only shown"
	case kind == Wrong:
		if use, ok := instead[b.Lang]; ok {
			return "the language " + b.Lang, "write " + use
		}
		return "the language " + b.Lang + " is not known here", "one of sh, go, yaml, json; text for what is only shown"
	case b.Marked && b.NotRun == "":
		return "the mark gives no reason", "<!-- not run: REASON -->"
	case b.Marked && kind == Shown:
		return "the block is never run, so it needs no mark", "drop <!-- not run: " + b.NotRun + " -->"
	case b.Output && (before == nil || !Run(*before)):
		return "it is marked as output, but the block before it is not run", "drop <!-- output -->, or run that block"
	case b.Output && kind != Shown:
		return "it is marked as output, but its language is run", "write text"
	case b.Marked || kind == Shown:
		return "", ""
	case strings.TrimSpace(b.Text) == "":
		return "the block is empty", "drop it"
	}
	switch kind {
	case GoCode:
		if _, err := parser.ParseFile(token.NewFileSet(), fmt.Sprintf("%s:%d", p.Path, b.Line), b.Text, parser.SkipObjectResolution); err != nil {
			return "not a whole file of Go: " + first(err), "begin with package and imports, or say why not: <!-- not run: REASON -->"
		}
	case JSON:
		if err := json.Unmarshal([]byte(b.Text), new(any)); err != nil {
			return "not JSON: " + first(err), "correct it"
		}
	case YAML:
		if err := checkYAML(p.Path, b.Text); err != nil {
			return first(err), "correct it, or say why it is not held: <!-- not run: REASON -->"
		}
	}
	return "", ""
}

// first is the first line of an error.
func first(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// checkYAML reads a part of a workflow as YAML, and everything else as a manifest.
func checkYAML(name, text string) error {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return fmt.Errorf("not YAML: %w", err)
	}
	if len(document.Content) == 0 {
		return errors.New("not YAML: the block says nothing")
	}
	root := document.Content[0]
	var keys []string
	if root.Kind == yaml.MappingNode {
		for i := 0; i < len(root.Content); i += 2 {
			keys = append(keys, root.Content[i].Value)
		}
	}
	for _, key := range []string{"on", "jobs", "permissions", "steps", "concurrency"} {
		if slices.Contains(keys, key) {
			return nil // workflows:check knows the whole files
		}
	}
	_, err := manifest.Parse(name, []byte(text))
	return err
}

// Programs are the first words of the commands of a block for a shell: what has to be there to run it.
func Programs(b page.Block) []string {
	var names []string
	for _, c := range parseShell(b.Text) {
		if words := bare(c.words); len(words) > 0 && !slices.Contains(names, words[0]) {
			names = append(names, words[0])
		}
	}
	return names
}
