package gates

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// limiter bounds how many steps work at once, over all runs that are nested in
// one another: a step that starts a run of its own lends its place to it.
type limiter struct{ places *semaphore.Weighted }

type limiterKey struct{}

// nested returns the limiter of the step that ctx belongs to, or nil.
func nested(ctx context.Context) *limiter {
	l, _ := ctx.Value(limiterKey{}).(*limiter)
	return l
}

func (l *limiter) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, limiterKey{}, l)
}
