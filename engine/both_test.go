package engine

import (
	"context"
	"errors"
	"testing"

	"gotest.tools/v3/assert"
)

// TestBoth: two servers are asked at the same time, and the first error ends the other side.
func TestBoth(t *testing.T) {
	t.Parallel()
	broke := errors.New("broke")
	fails := func(context.Context) error { return broke }
	waits := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	well := func(context.Context) error { return nil }

	r := &run{remote: true}
	met := make(chan struct{})
	assert.NilError(t, r.both(t.Context(),
		func(context.Context) error { met <- struct{}{}; return nil },
		func(context.Context) error { <-met; return nil },
	))
	for name, sides := range map[string][2]func(context.Context) error{
		"source": {fails, waits}, "sink": {waits, fails}, "source alone": {fails, well}, "sink alone": {well, fails},
	} {
		assert.Equal(t, r.both(t.Context(), sides[0], sides[1]), broke, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, r.both(ended, waits, waits), context.Canceled)

	// Files are looked at one after the other: the source first, and nothing is opened beside one that fails.
	r.remote = false
	assert.Equal(t, r.both(t.Context(), fails, func(context.Context) error { t.Error("the sink was opened"); return nil }), broke)
	order := ""
	assert.NilError(t, r.both(t.Context(),
		func(context.Context) error { order += "source "; return nil },
		func(context.Context) error { order += "sink"; return nil },
	))
	assert.Equal(t, order, "source sink")
}
