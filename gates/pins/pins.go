// Package pins holds the module files of the developer tools that the gates
// start, for projects that use a gate and pin no tools of their own. They are
// copies of magefiles/tools/<tool>/go.mod and go.sum, which cannot be embedded
// because they are modules; a test keeps both the same.
package pins

import (
	"embed"
	"io/fs"
	"os"
	"path/filepath"

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

// Open opens go.mod or go.sum.
func (c copied) Open(name string) (fs.File, error) {
	return embedded.Open(c.tool + "/" + name + ".txt")
}
