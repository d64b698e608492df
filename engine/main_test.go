package engine_test

import (
	"os"
	"testing"

	"github.com/dpone/dpone/engine/postgres/pgtest"
)

// TestMain is also the program that the kill tests start: a run that ends itself
// at the point that the environment names.
func TestMain(m *testing.M) {
	if point := os.Getenv(killPoint); point != "" {
		victim(point)
		return
	}
	pgtest.Main(m)
}
