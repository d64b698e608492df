// Package toolcheck lets a test leave out what needs a tool that takes minutes
// to build.
package toolcheck

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/dpone/dpone/gates/pins"
	"github.com/dpone/dpone/gates/tool"
)

// Env is the variable that asks for all tests, however long a tool takes to build.
const Env = "DPONE_TEST_SLOW_TOOLS"

// Cached skips the test when the tool is not in the cache, unless Env is 1: then
// the test builds it.
func Cached(t testing.TB, name string) {
	t.Helper()
	if os.Getenv(Env) == "1" {
		return
	}
	version, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		t.Fatalf("go env GOVERSION: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cache := tool.Cache{Dir: os.Getenv("DPONE_TOOL_CACHE"), Go: strings.TrimSpace(string(version))}
	if _, err := cache.Resolve(ctx, pins.Find("", name), io.Discard, func(tool.Spec) { cancel() }); err != nil {
		t.Skipf("%s is not in the cache, and takes minutes to build; %s=1 asks for it (%v)", name, Env, err)
	}
}
