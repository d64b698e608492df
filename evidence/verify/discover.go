package verify

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/evidence/folder"
	"github.com/dpone/dpone/evidence/seal"
)

const (
	// logDir is what the folder of a log is called by custom.
	logDir         = "evidence_log"
	checkpointName = "checkpoint"
	sumsName       = "SHA256SUMS"
)

// found is where things lie, relative to the root.
type found struct {
	folders []string
	loose   []looseFile
	logs    []string
}

type looseFile struct {
	path string
	size int64
}

// discover finds the evidence. It says whether there is any to look at.
func (p *pass) discover() bool {
	info, err := os.Stat(p.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.fail(Code(seal.CodeMissing), "", "", "there is no folder")
		return false
	case err != nil:
		p.fail(Code(seal.CodeUnreadable), "", "", "%s", reasonOf(err))
		return false
	case !info.IsDir():
		p.fail(Code(seal.CodeNotRegular), "", "", "not a folder")
		return false
	}
	root, err := os.OpenRoot(p.root)
	if err != nil {
		p.fail(Code(seal.CodeUnreadable), "", "", "%s", reasonOf(err))
		return false
	}
	defer root.Close()
	if !p.list(root, ".", 0) {
		return false
	}
	if len(p.found.folders)+len(p.found.loose) == 0 && p.ctx.Err() == nil {
		p.fail(Code(seal.CodeEmpty), "", "", "there is no evidence")
		return false
	}
	slices.Sort(p.found.folders)
	slices.Sort(p.found.logs)
	slices.SortFunc(p.found.loose, func(a, b looseFile) int { return strings.Compare(a.path, b.path) })
	return true
}

func (p *pass) limits() (folders, loose int) {
	folders, loose = maxFolders, maxLoose
	if p.policy != nil {
		if l := p.policy.Limits.Folders; l > 0 {
			folders = min(folders, l)
		}
		if l := p.policy.Limits.Loose; l > 0 {
			loose = min(loose, l)
		}
	}
	return folders, loose
}

// list lists a directory, which is entered without following links. It says
// whether there is room for more.
func (p *pass) list(root *os.Root, dir string, depth int) bool {
	if p.ctx.Err() != nil {
		return true // told at the end
	}
	limitFolders, limitLoose := p.limits()
	if depth > maxDepth {
		p.fail(Code(seal.CodeLimit), dir, "", "more than %d folders inside one another", maxDepth)
		return true
	}
	entries, err := names(root, limitLoose+limitFolders)
	if err != nil {
		p.fail(Code(seal.CodeUnreadable), clean(dir), "", "%s", reasonOf(err))
		return true
	}
	types := map[string]fs.FileMode{}
	for _, e := range entries {
		types[e.Name()] = e.Type()
	}
	if _, sealed := types[folder.IndexJSON]; sealed {
		if len(p.found.folders) == limitFolders {
			p.fail(Code(seal.CodeLimit), "", "", "more than %d sealed folders", limitFolders)
			return false
		}
		p.found.folders = append(p.found.folders, dir)
		return true
	}
	if _, run := types[folder.RecordJSON]; run {
		p.fail(Code(seal.CodeMissing), path.Join(dir, folder.IndexJSON), "", "there is a record and no index: the folder was never sealed, or its index was taken away")
		return true
	}
	_, tiles := types["tile"]
	if _, head := types[checkpointName]; head && (tiles || path.Base(dir) == logDir) || path.Base(dir) == logDir {
		p.found.logs = append(p.found.logs, dir)
		return true
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		switch mode := e.Type(); {
		case e.Name() == folder.Latest && p.latest(root, e, types):
		case mode.IsRegular() && p.besideLog(dir, e.Name()):
		case e.Name() == logDir+".checkpoint" && mode.IsRegular():
			p.fail(CodeLogTruncated, path.Join(dir, logDir), "", "the log is gone: only what was seen of it last is here")
		case mode.IsDir():
			inner, err := enter(root, e.Name())
			if err != nil {
				p.fail(Code(seal.CodeUnreadable), name, "", "%s", reasonOf(err))
				continue
			}
			more := p.list(inner, name, depth+1)
			inner.Close()
			if !more {
				return false
			}
		case !mode.IsRegular():
			p.fail(Code(seal.CodeNotRegular), name, "", "a link, a pipe or a device")
		default:
			if len(p.found.loose) == limitLoose {
				p.fail(Code(seal.CodeLimit), "", "", "more than %d files outside of sealed folders", limitLoose)
				return false
			}
			info, err := e.Info()
			if err != nil {
				p.fail(Code(seal.CodeUnreadable), name, "", "%s", reasonOf(err))
				continue
			}
			p.found.loose = append(p.found.loose, looseFile{name, info.Size()})
		}
	}
	return true
}

// names returns at most limit entries, and more than that as an error.
func names(root *os.Root, limit int) ([]fs.DirEntry, error) {
	dir, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(limit + 1)
	if len(entries) > limit {
		return nil, errors.New("too many names in one folder")
	}
	if err != nil && len(entries) == 0 && !isEnd(err) {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// enter opens a directory that was listed, and nothing that took its place.
func enter(root *os.Root, name string) (*os.Root, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	inner, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	now, err := inner.Stat(".")
	if err != nil || !before.IsDir() || !os.SameFile(before, now) {
		inner.Close()
		return nil, errors.New("was replaced meanwhile")
	}
	return inner, nil
}

// latest says whether an entry is the pointer to the newest run that package
// folder keeps in an area: a link to a folder beside it, or a file with its name.
func (p *pass) latest(root *os.Root, e fs.DirEntry, names map[string]fs.FileMode) bool {
	target := ""
	switch mode := e.Type(); {
	case mode&fs.ModeSymlink != 0:
		target, _ = root.Readlink(e.Name())
	case mode.IsRegular():
		raw, err := folder.ReadRegular(root, e.Name(), 256)
		if err != nil {
			return false
		}
		target = strings.TrimSuffix(string(raw), "\n")
	}
	mode, ok := names[target]
	return ok && mode.IsDir()
}

// besideLog says whether a file is what a log keeps beside its folder, which was
// listed before: its memory and its locks.
func (p *pass) besideLog(dir, name string) bool {
	for _, suffix := range []string{".checkpoint", ".lock", ".checkpoint.lock"} {
		if log, ok := strings.CutSuffix(name, suffix); ok && slices.Contains(p.found.logs, path.Join(dir, log)) {
			return true
		}
	}
	return false
}

// clean is a path below the root, empty for the root itself.
func clean(dir string) string {
	if dir == "." {
		return ""
	}
	return dir
}

// under is a path below the root for the system.
func (p *pass) under(name string) string { return filepath.Join(p.root, filepath.FromSlash(name)) }
