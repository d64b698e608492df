// SPDX-License-Identifier: MIT

package slug_test

import (
	"testing"

	"example.com/slug"
)

func TestOf(t *testing.T) {
	if got := slug.Of("  The Gate Model "); got != "the-gate-model" {
		t.Errorf("got %q", got)
	}
}
