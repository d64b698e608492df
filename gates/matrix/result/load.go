package result

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence/folder"
)

// maxEntries bounds the files of a run folder that Load looks at.
const maxEntries = 50_000

// maxProblems bounds the files that an error of Load names.
const maxProblems = 20

// Load reads the results of a run folder, sorted by case, as if the folder came from somebody
// else: regular files only, nothing outside of the folder, bounded sizes, names that agree
// with what is in the files (so that no case can be there twice), and both artifacts of each
// case. Other files are not looked at.
// Any problem is an error that names the file, and there are no results then.
func Load(dir string) ([]Case, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("results of a run: %w", err)
	}
	defer root.Close()
	names, err := behaviors(root)
	if err != nil {
		return nil, fmt.Errorf("results in %s: %w", dir, err)
	}
	all := make([]Case, 0, len(names))
	var problems []error
	for _, name := range names {
		c, err := loadOne(root, name)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
		all = append(all, c)
	}
	if n := len(problems); n > maxProblems {
		problems = append(problems[:maxProblems], fmt.Errorf("and %d more", n-maxProblems))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fmt.Errorf("results in %s: %w", dir, err)
	}
	return all, nil
}

// behaviors are the names of the files with results, sorted.
func behaviors(root *os.Root) ([]string, error) {
	here, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer here.Close()
	entries, err := here.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(entries) > maxEntries {
		return nil, fmt.Errorf("more than %d files", maxEntries)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(strings.ToLower(e.Name()), BehaviorSuffix) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func loadOne(root *os.Root, name string) (Case, error) {
	raw, err := folder.ReadRegular(root, name, MaxCase)
	if err != nil {
		return Case{}, err
	}
	c, err := Read(raw)
	if err != nil {
		return Case{}, err
	}
	if want := BehaviorFile(c.ID); name != want {
		return Case{}, fmt.Errorf("it holds the result of case %s, whose file is %s", c.ID, want)
	}
	want, err := EncodeCase(c.Case)
	if err != nil {
		return Case{}, err
	}
	have, err := folder.ReadRegular(root, CaseFile(c.ID), MaxCase)
	if err != nil {
		return Case{}, fmt.Errorf("the other artifact of the case: %w", err)
	}
	if !bytes.Equal(have, want) {
		return Case{}, fmt.Errorf("%s says something else of the case", CaseFile(c.ID))
	}
	return c, nil
}
