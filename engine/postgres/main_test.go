package postgres

import (
	"testing"

	"github.com/dpone/dpone/engine/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
