package batch

import (
	"cmp"
	"errors"
	"io"
)

// Pipe moves rows through two batches: while one is written, the next one is read.
// read fills a batch and ends with io.EOF; it is called from a goroutine of its own,
// which has ended when Pipe returns. Neither keeps the batch. The error is that of
// write, else that of read.
func Pipe(s Schema, read, write func(*Batch) error) error {
	free, full := make(chan *Batch, 2), make(chan *Batch)
	free <- New(s)
	free <- New(s)
	quit, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(full)
		ended <- fill(read, free, full, quit)
	}()
	err := drain(write, full, free)
	close(quit)
	return cmp.Or(err, <-ended)
}

// fill reads until the rows end, or nobody wants any more.
func fill(read func(*Batch) error, free <-chan *Batch, full chan<- *Batch, quit <-chan struct{}) error {
	for {
		select {
		case <-quit:
			return nil
		case b := <-free:
			err := read(b)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			select {
			case <-quit:
				return nil
			case full <- b:
			}
		}
	}
}

func drain(write func(*Batch) error, full <-chan *Batch, free chan<- *Batch) error {
	for b := range full {
		if err := write(b); err != nil {
			return err
		}
		free <- b
	}
	return nil
}
