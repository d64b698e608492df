package postgres

import (
	"context"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
)

// record is the bytes of a row, as the digest's definition has them.
func record(prefix string, columns batch.Schema) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = digestExpr(prefix, c)
	}
	return "record_send(ROW(" + strings.Join(parts, ", ") + "))"
}

// word is four bytes of a hash as a number, so that sums stay exact.
func word(hash string, at int) string {
	return fmt.Sprintf("((get_byte(%[1]s, %[2]d)::bigint << 24) + (get_byte(%[1]s, %[3]d) << 16) + (get_byte(%[1]s, %[4]d) << 8) + get_byte(%[1]s, %[5]d))",
		hash, at, at+1, at+2, at+3)
}

// digestTable digests a table in the server: the rows never leave it.
func digestTable(ctx context.Context, conn *pgx.Conn, from, where string, spec digest.Spec) (digest.Digest, error) {
	empty, err := digest.NewBuilder(spec)
	if err != nil {
		return digest.Digest{}, err
	}
	d := empty.Digest()
	if spec.Level == digest.LevelNone {
		return d, nil
	}
	if spec.Level == digest.LevelCount {
		var n int64
		if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+from+where).Scan(&n); err != nil {
			return d, connector.Fail("digest.failed", err, "count the rows of %s", from)
		}
		d.Rows = uint64(n) //nolint:gosec // a count
		return d, nil
	}
	summed := "sha256(" + record("", spec.Columns) + ")"
	bucket := summed
	if len(spec.Key) > 0 {
		key, _ := spec.Columns.Pick(spec.Key)
		bucket = "sha256(" + record("", key) + ")"
		if spec.Level == digest.LevelKey {
			summed = bucket
		}
	}
	hashes := summed + " AS h"
	bucketOf := "h"
	if bucket != summed {
		hashes += ", " + bucket + " AS k"
		bucketOf = "k"
	}
	// OFFSET 0 keeps the planner from computing each hash once for every use of it.
	sql := fmt.Sprintf("SELECT ((get_byte(%[1]s, 0) << 8 | get_byte(%[1]s, 1)) >> %[2]d)::bigint AS bucket, %[3]s FROM (SELECT %[4]s FROM %[5]s%[6]s OFFSET 0) AS hashed GROUP BY 1",
		bucketOf, spec.Shift(), sums("h"), hashes, from, where)
	err = eachBucket(ctx, conn, sql, func(at int64, b digest.Bucket) {
		d.Buckets[at] = b
		d.Rows += b.Rows
	})
	if err != nil {
		return d, connector.Fail("digest.failed", err, "digest %s", from)
	}
	return d, nil
}

// sums are the columns of a bucket: its rows, and the sums of a hash's first four words.
func sums(hash string) string {
	columns := "count(*)"
	for at := 0; at < 16; at += 4 {
		columns += ", sum(" + word(hash, at) + ")::text"
	}
	return columns
}

// eachBucket runs a statement whose columns are the number of a bucket and its sums.
func eachBucket(ctx context.Context, conn *pgx.Conn, sql string, each func(number int64, b digest.Bucket)) error {
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var number, n int64
		var words [4]string
		if err := rows.Scan(&number, &n, &words[0], &words[1], &words[2], &words[3]); err != nil {
			return err
		}
		b := digest.Bucket{Rows: uint64(n)} //nolint:gosec // a count
		if b.A, err = lane(words[0], words[1]); err != nil {
			return err
		}
		if b.B, err = lane(words[2], words[3]); err != nil {
			return err
		}
		each(number, b)
	}
	return rows.Err()
}

// lane puts the sums of the upper and the lower words together, modulo 2^64.
func lane(upper, lower string) (uint64, error) {
	u, ok1 := new(big.Int).SetString(upper, 10)
	l, ok2 := new(big.Int).SetString(lower, 10)
	if !ok1 || !ok2 {
		return 0, fmt.Errorf("digest: sums %q and %q are no numbers", upper, lower)
	}
	u.Lsh(u, 32).Add(u, l)
	return u.And(u, new(big.Int).SetUint64(^uint64(0))).Uint64(), nil
}
