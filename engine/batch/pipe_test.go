package batch_test

import (
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/logical"
)

var oneColumn = batch.Schema{{Name: "id", Type: logical.Type{Kind: logical.Int64}}}

// numbers reads n batches of one row each.
func numbers(n int) func(*batch.Batch) error {
	at := 0
	return func(b *batch.Batch) error {
		if at == n {
			return io.EOF
		}
		at++
		b.Reset()
		b.Columns[0].Append([]byte{byte(at)})
		b.EndRow()
		return nil
	}
}

func TestPipe(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 2, 3, 100} {
		var first, second []byte
		collect := func(to *[]byte) func(*batch.Batch) error {
			return func(b *batch.Batch) error {
				*to = append(*to, b.Columns[0].Value(0)...)
				return nil
			}
		}
		assert.NilError(t, batch.Pipe(oneColumn, numbers(n), collect(&first), collect(&second)))
		assert.Equal(t, len(first), n)
		assert.DeepEqual(t, first, second)
		for i := range first {
			assert.Equal(t, first[i], byte(i+1))
		}
	}
}

// TestPipeAtOnce: each stage has a batch at the same time.
func TestPipeAtOnce(t *testing.T) {
	t.Parallel()
	reading, between := make(chan struct{}), make(chan struct{})
	rows, reads, seen := numbers(3), 0, 0
	assert.NilError(t, batch.Pipe(oneColumn,
		func(b *batch.Batch) error {
			if reads++; reads == 3 {
				reading <- struct{}{}
			}
			return rows(b)
		},
		func(*batch.Batch) error {
			if seen++; seen == 2 {
				between <- struct{}{}
			}
			return nil
		},
		func(b *batch.Batch) error {
			if b.Columns[0].Value(0)[0] == 1 {
				<-reading // the third is read
				<-between // and the second is looked at, while the first is written
			}
			return nil
		},
	))
}

// TestPipeEnds: after the error of any stage the others end, and nothing is written any more.
func TestPipeEnds(t *testing.T) {
	t.Parallel()
	broke := errors.New("broke")
	after := func(n int, err error) func(*batch.Batch) error {
		at := 0
		return func(*batch.Batch) error {
			if at++; at > n {
				return err
			}
			return nil
		}
	}
	for name, c := range map[string]struct {
		read  func(*batch.Batch) error
		stage func(*batch.Batch) error
		write func(*batch.Batch) error
		want  error
	}{
		"read":    {after(5, broke), after(1000, nil), after(1000, nil), broke},
		"stage":   {numbers(200), after(5, broke), after(1000, nil), broke},
		"write":   {numbers(200), after(1000, nil), after(5, broke), broke},
		"at once": {numbers(200), after(0, broke), after(0, broke), broke},
	} {
		var written atomic.Int32
		err := batch.Pipe(oneColumn, c.read, c.stage, func(b *batch.Batch) error {
			written.Add(1)
			return c.write(b)
		})
		assert.ErrorIs(t, err, c.want, name)
		assert.Assert(t, written.Load() <= 6, name)
	}
}
