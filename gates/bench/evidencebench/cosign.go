package evidencebench

import (
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/dpone/dpone/evidence/folder"
)

// FindCosign is the path of a cosign program, or empty: the one that is named,
// else the newest in the tool cache that is as it was built, else the one on the
// PATH. cache is the folder of the cache; the user's own if empty. It builds none:
// that takes minutes, and what is measured is only the peer.
func FindCosign(named, cache string) string {
	if named != "" {
		return named
	}
	if cache == "" {
		if user, err := os.UserCacheDir(); err == nil {
			cache = filepath.Join(user, "dpone", "tools")
		}
	}
	found, _ := filepath.Glob(filepath.Join(cache, "cosign-v*", "cosign")) // those of releases; the pattern is good
	path, newest := "", time.Time{}
	for _, candidate := range found {
		info, err := os.Stat(candidate)
		if err != nil || !info.ModTime().After(newest) || !intact(candidate) {
			continue
		}
		path, newest = candidate, info.ModTime()
	}
	if path != "" {
		return path
	}
	path, err := exec.LookPath("cosign")
	if err != nil {
		return ""
	}
	return path
}

// intact says whether a binary is what package tool built.
func intact(path string) bool {
	want, err := os.ReadFile(path + ".sha256")
	if err != nil {
		return false
	}
	have, err := folder.Digest(path)
	return err == nil && have.SHA256 == string(want)
}
