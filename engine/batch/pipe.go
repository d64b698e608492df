package batch

import (
	"errors"
	"io"
	"sync"
)

// Pipe moves rows through stages that work at the same time, each on a batch of its own:
// while one batch is written, the next one is read. read fills a batch and ends with
// io.EOF; then come the other stages, in order, of which the last one runs in the
// caller's goroutine. None keeps a batch, and all have ended when Pipe returns. The
// error is that of the last stage that has one.
func Pipe(s Schema, read func(*Batch) error, stage func(*Batch) error, more ...func(*Batch) error) error {
	stages := append([]func(*Batch) error{stage}, more...)
	free, quit := make(chan *Batch, len(stages)+1), make(chan struct{})
	for range len(stages) + 1 {
		free <- New(s)
	}
	problems := make([]error, len(stages)+1)
	var stop sync.Once
	end := func(at int, err error) {
		if err != nil {
			problems[at] = err
			stop.Do(func() { close(quit) })
		}
	}
	var working sync.WaitGroup
	ways := make([]chan *Batch, len(stages)) // ways[i] leads into stage i
	for i := range ways {
		ways[i] = make(chan *Batch)
	}
	working.Go(func() {
		defer close(ways[0])
		end(0, fill(read, free, ways[0], quit))
	})
	last := len(stages) - 1
	for i := range last {
		working.Go(func() {
			defer close(ways[i+1])
			end(i+1, pass(stages[i], ways[i], ways[i+1], quit))
		})
	}
	end(last+1, pass(stages[last], ways[last], free, quit))
	stop.Do(func() { close(quit) })
	working.Wait()
	for i := len(problems) - 1; i >= 0; i-- {
		if problems[i] != nil {
			return problems[i]
		}
	}
	return nil
}

// fill reads until the rows end, or nobody wants any more.
func fill(read func(*Batch) error, free <-chan *Batch, out chan<- *Batch, quit <-chan struct{}) error {
	for {
		select {
		case <-quit:
			return nil
		case b := <-free:
			if err := read(b); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			select {
			case <-quit:
				return nil
			case out <- b:
			}
		}
	}
}

// pass does the work of a stage on each batch and hands it on.
func pass(stage func(*Batch) error, in <-chan *Batch, out chan<- *Batch, quit <-chan struct{}) error {
	for b := range in {
		if err := stage(b); err != nil {
			return err
		}
		select {
		case <-quit:
			return nil
		case out <- b:
		}
	}
	return nil
}
