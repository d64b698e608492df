package digest_test

import (
	"fmt"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/digest"
	"github.com/dpone/dpone/engine/logical"
)

// The worked example of the package comment.
func Example() {
	balance := logical.Type{Kind: logical.Numeric, Precision: 10, Scale: 2}
	spec := digest.Spec{
		Level: digest.LevelFull,
		Columns: batch.Schema{
			{Name: "id", Type: logical.Type{Kind: logical.Int32}},
			{Name: "name", Type: logical.Type{Kind: logical.Text}},
			{Name: "balance", Type: balance},
		},
		Key:     []string{"id"},
		Buckets: 4,
	}
	rows := batch.New(spec.Columns)
	for _, person := range []struct {
		id      int32
		name    []byte
		balance string
	}{{1, []byte("Ada"), "1.50"}, {2, nil, "0.00"}, {3, []byte{}, "-12.34"}} {
		rows.Columns[0].Append(logical.AppendInt32(nil, person.id))
		if person.name == nil {
			rows.Columns[1].AppendNull()
		} else {
			rows.Columns[1].Append(person.name)
		}
		amount, err := logical.ParseText(nil, balance, []byte(person.balance))
		if err != nil {
			fmt.Println(err)
			return
		}
		rows.Columns[2].Append(amount)
		rows.EndRow()
	}
	builder, err := digest.NewBuilder(spec)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := builder.AddBatch(rows); err != nil {
		fmt.Println(err)
		return
	}
	d := builder.Digest()
	fmt.Println(d)
	for i, bucket := range d.Buckets {
		fmt.Printf("%d: %d rows, A %016x, B %016x\n", i, bucket.Rows, bucket.A, bucket.B)
	}
	// Output:
	// dpone-digest-1:full:3:3b4d63f5bf9fbc536185fdc9cee19d6f68cb7717948f9703d8ab6052a8f3e1fd
	// 0: 1 rows, A 25239cf66041348c, B 165b22b811738f8d
	// 1: 1 rows, A 92f37af27f5abd58, B 720d28707124a38e
	// 2: 0 rows, A 0000000000000000, B 0000000000000000
	// 3: 1 rows, A fe948568836f301d, B a73f88485a570a3f
}
