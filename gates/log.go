package gates

import (
	"io"
	"sync"
)

// stepLog serialises writers of one log and remembers the first error: the
// work goes on without its log, and the step says in the end that it is not whole.
type stepLog struct {
	mu     sync.Mutex
	w      io.Writer
	closed bool
	err    error
}

func (l *stepLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil && !l.closed {
		_, l.err = l.w.Write(p)
	}
	return len(p), nil
}
