// Package pins holds the module files of the developer tools that the gates
// start, for projects that use a gate and pin no tools of their own. They are
// copies of magefiles/tools/<tool>/go.mod and go.sum, and of the code of tools
// of our own, which cannot be embedded because they are modules; a test keeps
// both the same.
package pins

import (
	"embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/dpone/dpone/gates/tool"
)

//go:embed */*.txt
var embedded embed.FS

// Find returns a tool by name, pinned by root/magefiles/tools/<name>/go.mod
// where that exists and by the copy in this package otherwise.
func Find(root, name string) tool.Tool {
	own := filepath.Join(root, "magefiles", "tools", name)
	if _, err := os.Stat(filepath.Join(own, "go.mod")); err == nil {
		return tool.Tool{Name: name, Pin: os.DirFS(own)}
	}
	return tool.Tool{Name: name, Pin: copied{name}}
}

// copied shows the copy of a tool's pin under the names that the files have.
type copied struct{ tool string }

// Open opens go.mod, go.sum or a file of code.
func (c copied) Open(name string) (fs.File, error) {
	if name == "." {
		return embedded.Open(c.tool)
	}
	return embedded.Open(c.tool + "/" + name + suffix)
}

// ReadDir lists the files under the names that they have.
func (c copied) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := embedded.ReadDir(path.Join(c.tool, name))
	for i := range entries {
		entries[i] = original{entries[i]}
	}
	return entries, err
}

const suffix = ".txt"

// original is an entry without the suffix of the copy.
type original struct{ fs.DirEntry }

func (o original) Name() string { return strings.TrimSuffix(o.DirEntry.Name(), suffix) }
