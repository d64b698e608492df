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
	sum := func(at int) string { return "sum(" + word("h", at) + ")::text" }
	// OFFSET 0 keeps the planner from computing each hash once for every use of it.
	sql := fmt.Sprintf("SELECT (get_byte(%[1]s, 0) << 8 | get_byte(%[1]s, 1)) >> %[2]d AS bucket, count(*), %[3]s, %[4]s, %[5]s, %[6]s FROM (SELECT %[7]s FROM %[8]s%[9]s OFFSET 0) AS hashed GROUP BY 1",
		bucketOf, bucketShift(len(d.Buckets)), sum(0), sum(4), sum(8), sum(12), hashes, from, where)
	rows, err := conn.Query(ctx, sql)
	if err != nil {
		return d, connector.Fail("digest.failed", err, "digest %s", from)
	}
	defer rows.Close()
	for rows.Next() {
		var at int
		var n int64
		var words [4]string
		if err := rows.Scan(&at, &n, &words[0], &words[1], &words[2], &words[3]); err != nil {
			return d, connector.Fail("digest.failed", err, "digest %s", from)
		}
		b := digest.Bucket{Rows: uint64(n)} //nolint:gosec // a count
		if b.A, err = lane(words[0], words[1]); err != nil {
			return d, err
		}
		if b.B, err = lane(words[2], words[3]); err != nil {
			return d, err
		}
		d.Buckets[at] = b
		d.Rows += b.Rows
	}
	if err := rows.Err(); err != nil {
		return d, connector.Fail("digest.failed", err, "digest %s", from)
	}
	return d, nil
}

// bucketShift turns the first two bytes of a hash into one of n buckets, a power of two.
func bucketShift(n int) int {
	shift := 16
	for n > 1 {
		n >>= 1
		shift--
	}
	return shift
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
