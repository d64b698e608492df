package contract

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/spelling"
	"github.com/dpone/dpone/gates/docs/page"
	"github.com/dpone/dpone/gates/target"
)

// shown is a command that a page shows.
type shown struct {
	page  *page.Page
	line  int
	words []string
}

// shownCommands are those of the blocks of a shell, of the steps in YAML, and of code in the text that begins with mage.
func shownCommands(p *page.Page) []shown {
	var all []shown
	add := func(line int, text string) {
		for _, c := range parseShell(text) {
			if words := bare(c.words); len(words) > 0 {
				all = append(all, shown{p, line + c.line, words})
			}
		}
	}
	for _, s := range p.Spans {
		if text := strings.NewReplacer("[", "", "]", "").Replace(s.Text); startsMage(text) {
			add(s.Line, text)
		}
	}
	for _, b := range p.Blocks {
		switch b.Lang {
		case "sh", "bash", "shell", "zsh":
			add(b.Line, b.Text)
		case "console":
			for i, line := range strings.Split(b.Text, "\n") {
				if text, ok := strings.CutPrefix(strings.TrimSpace(line), "$ "); ok {
					add(b.Line+i, text)
				}
			}
		case "yaml", "yml":
			for i, line := range strings.Split(b.Text, "\n") {
				if m := runStep.FindStringSubmatch(line); m != nil {
					add(b.Line+i, m[1])
				}
			}
		}
	}
	return all
}

var (
	runStep = regexp.MustCompile(`^\s*(?:- )?run:\s+[|>]?-?\s*(.+)$`)
	setting = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)
)

func startsMage(text string) bool {
	return strings.HasPrefix(text, "mage ") || strings.HasPrefix(text, "go tool mage ") || strings.HasPrefix(text, "exec mage ")
}

// bare drops what may stand before a command without being one.
func bare(words []string) []string {
	for len(words) > 0 {
		switch w := words[0]; {
		case setting.MatchString(w), w == "exec", w == "env", w == "time", w == "!", w == "then", w == "do", w == "else", w == "if":
			words = words[1:]
		case w == "go" && len(words) > 2 && words[1] == "tool" && words[2] == "mage":
			return words[2:]
		default:
			return words
		}
	}
	return nil
}

// commands holds that each command of mage, and each test that is named, exists.
func (l *looker) commands() (int, error) {
	looked := 0
	for _, p := range l.pages {
		for _, c := range shownCommands(p) {
			var err error
			switch {
			case c.words[0] == "mage":
				err = l.checkMage(c.words[1:])
			case c.words[0] == "go" && len(c.words) > 2 && slices.Contains([]string{"test", "vet", "build", "run"}, c.words[1]):
				err = l.checkGo(c.words[1:])
			default:
				continue
			}
			looked++
			var wrong *wrongError
			if errors.As(err, &wrong) {
				l.find(CodeCommand, p.Path, c.line, strings.Join(c.words, " ")+": "+wrong.why, wrong.fix)
			} else if err != nil {
				return looked, err
			}
		}
	}
	return looked, nil
}

// wrongError says what is wrong with a command, and what to write.
type wrongError struct{ why, fix string }

func (e *wrongError) Error() string { return e.why }

// ownFlags are those of mage that run no target.
var ownFlags = []string{"-compile", "-clean", "-init", "-version"}

func (l *looker) checkMage(args []string) error {
	if len(args) > 0 {
		if flag, _, _ := strings.Cut(args[0], "="); slices.Contains(ownFlags, flag) {
			return nil
		}
	}
	filled, open := l.fill(args)
	if filled == nil {
		return nil
	}
	calls, err := l.checker.Check(filled...)
	var usage *target.UsageError
	if errors.As(err, &usage) {
		why, fix := usage.Short()
		return &wrongError{why, fix}
	}
	if err != nil {
		return err
	}
	for _, c := range calls {
		for flag, value := range c.Flags {
			if open[flag] {
				continue
			}
			if err := l.checkValue(c.Target, flag, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill puts an example in the place of each placeholder, and names the flags that had one. The result is nil for a
// line whose target is a placeholder itself, of a namespace that exists.
func (l *looker) fill(args []string) ([]string, map[string]bool) {
	open := map[string]bool{}
	filled := make([]string, 0, len(args))
	current := ""
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			namespace, rest, member := strings.Cut(arg, ":")
			if isPlaceholder(rest) && l.hasNamespace(namespace) || !member && isPlaceholder(arg) {
				return nil, nil
			}
			current = arg
			filled = append(filled, arg)
			continue
		}
		name, value, has := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if param, known := l.checker.Param(current, name); has && known && isPlaceholder(value) {
			open[param.Name] = true
			arg = arg[:strings.Index(arg, "=")+1] + target.Example(param.Type)
		}
		filled = append(filled, arg)
	}
	return filled, open
}

func (l *looker) hasNamespace(name string) bool {
	return slices.ContainsFunc(l.checker.Targets(), func(t target.Target) bool {
		return strings.HasPrefix(strings.ToLower(t.Name), strings.ToLower(name)+":")
	})
}

var capitals = regexp.MustCompile(`^[A-Z][A-Z0-9_]*$`)

// isPlaceholder says whether a reader is to put something else in the place: <run>, DIR, N, $NAME, ...
func isPlaceholder(value string) bool {
	return strings.ContainsAny(value, "<$…*") || strings.Contains(value, "...") && !strings.Contains(value, "/") || capitals.MatchString(value)
}

// checkValue holds a value against the words that its flag takes.
func (l *looker) checkValue(name, flag, value string) error {
	for _, v := range l.values {
		if match, err := path.Match(v.Target, name); err != nil || !match || v.Flag != flag {
			if err != nil {
				return fmt.Errorf("option values: %w", err)
			}
			continue
		}
		for word := range strings.SplitSeq(value, ",") {
			if isPlaceholder(word) || slices.Contains(v.Words, word) {
				continue
			}
			e := &wrongError{why: fmt.Sprintf("-%s of %s takes no %q", flag, name, word), fix: "one of " + brief(v.Words)}
			if near := spelling.Nearest(word, v.Words, max(2, len(word)/2)); near != "" {
				e.why += "; the nearest is " + near
				e.fix = "-" + flag + "=" + near
			}
			return e
		}
	}
	return nil
}

// brief lists words, and not all of many.
func brief(words []string) string {
	const most = 12
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
}

var testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)

// checkGo holds that the packages of a command of Go are there, and the tests that it names.
func (l *looker) checkGo(args []string) error {
	var folders []string
	pattern := ""
	for i, arg := range args[1:] {
		name, value, has := strings.Cut(arg, "=")
		switch {
		case strings.HasPrefix(arg, "./"):
			folder := path.Clean(strings.TrimSuffix(arg, "..."))
			if info, err := fs.Stat(l.tree, folder); err != nil || !info.IsDir() && path.Ext(folder) != ".go" {
				return &wrongError{"there is no folder " + folder, "correct the path"}
			}
			if strings.HasSuffix(arg, "...") {
				folder += "/**"
			}
			folders = append(folders, folder)
		case name == "-run" || name == "-fuzz" || name == "-bench":
			if pattern = value; !has && i+2 < len(args) {
				pattern = args[i+2]
			}
		}
	}
	pattern, _, _ = strings.Cut(pattern, "/")
	if args[0] != "test" || pattern == "" || isPlaceholder(pattern) {
		return nil
	}
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return &wrongError{err.Error(), "correct the pattern"}
	}
	for _, folder := range folders {
		names, err := l.testsIn(folder)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(names, wanted.MatchString) {
			return nil
		}
	}
	return &wrongError{"no test there has a name like " + pattern, "correct the name"}
}

// testsIn are the names of the tests of a folder, or with /** of all below it.
func (l *looker) testsIn(folder string) ([]string, error) {
	folder, deep := strings.CutSuffix(folder, "/**")
	var names []string
	err := fs.WalkDir(l.tree, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != folder && (!deep || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(name, "_test.go") {
			return nil
		}
		raw, err := fs.ReadFile(l.tree, name)
		for _, m := range testName.FindAllStringSubmatch(string(raw), -1) {
			names = append(names, m[1])
		}
		return err
	})
	return names, err
}
