package workflows

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v3"

	"github.com/dpone/dpone/evidence/folder"
)

// dir is where GitHub looks for workflows.
const dir = ".github/workflows"

// Limits of what is read.
const (
	maxFile  = 256 << 10 // bytes of a file
	maxFiles = 200
)

// file is one workflow as it lies there.
type file struct {
	name, path string // ci.yml, .github/workflows/ci.yml
	lines      []string
	ast        *actionlint.Workflow // nil when it cannot be parsed
	jobs       []*actionlint.Job    // of ast, in the order of the file
	root       *yaml.Node           // nil when it cannot be parsed
	entry      *Workflow            // of the inventory, nil when it has none
	calls      []call               // targets that its steps call
	unclear    []string             // jobs with a command of which the target cannot be told
}

// call is a target that a step calls.
type call struct {
	job    string
	line   int
	target string
	mode   string // value of its flag -mode
}

// unreadable is a file of which nothing can be told.
type unreadable struct {
	path string
	err  error
}

// readFolder reads the workflows of a source tree in the order of their names. A file that is no regular one, or too
// large, is a finding; one that cannot be read is in l.broken. The error is that of a folder that is not there.
func (l *looker) readFolder(root string) error {
	tree, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer tree.Close()
	entries, err := fs.ReadDir(tree.FS(), dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		if ext := path.Ext(name); entry.IsDir() || ext != ".yml" && ext != ".yaml" {
			continue // GitHub does not look at it either
		}
		f := &file{name: name, path: path.Join(dir, name), entry: l.inventory.find(name)}
		if len(l.files) == maxFiles {
			l.add(codeFile, f, 0, fmt.Sprintf("more than %d workflows", maxFiles), "join workflows that call the same gate")
			break
		}
		l.files = append(l.files, f)
		source, err := folder.ReadRegular(tree, f.path, maxFile)
		switch {
		case errors.Is(err, folder.ErrTooLarge):
			l.add(codeFile, f, 0, fmt.Sprintf("larger than %d bytes", maxFile), "move what it does into a target")
		case err != nil && !entry.Type().IsRegular():
			l.add(codeFile, f, 0, "no regular file", "put the workflow itself there, not a link")
		case err != nil:
			l.broken = append(l.broken, unreadable{f.path, err})
		default:
			l.parse(f, source)
		}
	}
	return nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// parse reads the syntax tree and reports what is wrong with the syntax, together with what actionlint finds.
func (l *looker) parse(f *file, source []byte) {
	f.lines = strings.Split(string(source), "\n")
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		line := 0
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			line, _ = strconv.Atoi(m[1])
		}
		l.add(codeYAML, f, line, yamlLine.ReplaceAllString(strings.TrimPrefix(err.Error(), "yaml: "), ""), "mend the YAML; the line may be the one before")
		return
	}
	if len(document.Content) > 0 {
		f.root = document.Content[0]
	}
	if alias := findAlias(f.root); alias != nil {
		// A job that is put together from elsewhere cannot be read where it stands.
		l.add(codeAlias, f, alias.Line, "*"+alias.Value, "write it out where it is used")
		f.root = nil
		return
	}
	ast, problems, err := lint(source)
	if err != nil {
		l.add(codeSyntax, f, 0, err.Error(), "look at what is unusual in the file; actionlint itself gave up on it")
		return
	}
	broken := false
	for _, p := range problems {
		code, fix := codeLint, "see https://github.com/rhysd/actionlint/blob/v1.7.12/docs/checks.md"
		switch {
		case strings.HasPrefix(p.Message, "could not parse as YAML"):
			code, fix, broken = codeYAML, "mend the YAML; the line may be the one before", true
		case p.Kind == "syntax-check" && strings.Contains(p.Message, " is duplicated in "):
			code, fix = codeDuplicate, "leave one of them"
		case p.Kind == "syntax-check":
			code, fix = codeSyntax, "see https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax"
		}
		l.add(code, f, p.Line, p.Message, fix)
	}
	if ast == nil || broken {
		f.root = nil
		return
	}
	f.ast = ast
	for _, job := range ast.Jobs {
		if job != nil && job.ID != nil && job.Pos != nil {
			f.jobs = append(f.jobs, job)
		}
	}
	slices.SortFunc(f.jobs, func(a, b *actionlint.Job) int { return cmp.Compare(a.Pos.Line, b.Pos.Line) })
}

// lint parses a workflow and runs the rules of actionlint. It reads nothing but source: no configuration of the
// repository can switch a rule off. The error says that the library crashed.
func lint(source []byte) (ast *actionlint.Workflow, problems []*actionlint.Error, err error) {
	defer func() {
		if caught := recover(); caught != nil {
			ast, problems, err = nil, nil, fmt.Errorf("actionlint crashed: %v", caught)
		}
	}()
	linter, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{})
	if err != nil {
		return nil, nil, err
	}
	ast, _ = actionlint.Parse(source)
	// By this name it looks for no project around the file.
	problems, err = linter.Lint("<stdin>", bytes.Clone(source), nil)
	return ast, problems, err
}

// findAlias is the first alias below a node, or nil.
func findAlias(n *yaml.Node) *yaml.Node {
	if n == nil || n.Kind == yaml.AliasNode {
		return n
	}
	for _, child := range n.Content {
		if alias := findAlias(child); alias != nil {
			return alias
		}
	}
	return nil
}

// line is the text of a line, which counts from 1.
func (f *file) line(n int) string {
	if n < 1 || n > len(f.lines) {
		return ""
	}
	return f.lines[n-1]
}

// comment is what stands behind a # on a line.
func (f *file) comment(n int) string {
	_, comment, _ := strings.Cut(f.line(n), " #")
	return strings.TrimSpace(comment)
}

// reason is the comment of a line, or the one of its own on the line before.
func (f *file) reason(n int) string {
	if comment := f.comment(n); comment != "" {
		return comment
	}
	if before, ok := strings.CutPrefix(strings.TrimSpace(f.line(n-1)), "#"); ok {
		return strings.TrimSpace(before)
	}
	return ""
}
