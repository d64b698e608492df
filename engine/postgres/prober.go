package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/dpone/dpone/engine/batch"
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/digest"
)

// prober narrows down differences in the server: hashes leave it, rows do not.
type prober struct {
	conn *pgx.Conn
	from string // what is digested, with its conditions
}

var _ digest.Prober = (*prober)(nil)

// Prober digests a request's rows in the snapshot.
func (s *snapshot) Prober(r connector.Request) (digest.Prober, error) {
	list, err := s.table.named(r.Columns)
	if err != nil {
		return nil, err
	}
	conditions, err := s.conditions(r)
	if err != nil {
		return nil, err
	}
	return &prober{conn: s.conn, from: "(SELECT " + list + " FROM " + s.from() + where(conditions) + ") AS probed"}, nil
}

// Prober digests a table of the transaction.
func (t *tx) Prober(table string) digest.Prober { return &prober{conn: t.conn, from: table} }

// hashed gives the rows' hashes: k of the key, h of what is summed, and with
// keys r, the bytes of the key's row.
func (p *prober) hashed(spec digest.Spec, keys bool) string {
	key := spec.Columns
	if len(spec.Key) > 0 {
		key, _ = spec.Columns.Pick(spec.Key)
	}
	list := "sha256(" + record("", key) + ") AS k"
	if spec.Level == digest.LevelFull {
		list += ", sha256(" + record("", spec.Columns) + ") AS h"
	} else {
		list += ", ''::bytea AS h"
	}
	if keys {
		list += ", " + record("", key) + " AS r"
	}
	// OFFSET 0 keeps the planner from computing each hash once for every use of it.
	return "(SELECT " + list + " FROM " + p.from + " OFFSET 0) AS hashed"
}

// leading is the first bits of a hash as a number; all 64 of them are a signed one.
func leading(hash string, bits int) string {
	if bits == 0 {
		return "0::bigint"
	}
	return fmt.Sprintf("(('x' || encode(substr(%s, 1, 8), 'hex'))::bit(64) >> %d)::bigint", hash, 64-bits)
}

func within(parts []digest.Prefix) string {
	if len(parts) == 0 {
		return "false"
	}
	values := make([]string, len(parts))
	for i, p := range parts {
		values[i] = strconv.FormatInt(int64(p.Value), 10) //nolint:gosec // the same bits, as the server has them
	}
	return leading("k", parts[0].Bits) + " = ANY ('{" + strings.Join(values, ",") + "}'::bigint[])"
}

// Probe implements digest.Prober.
func (p *prober) Probe(ctx context.Context, spec digest.Spec, refine digest.Refine) (map[uint64]digest.Bucket, error) {
	lanes := "h"
	if spec.Level == digest.LevelKey {
		lanes = "k"
	}
	found := map[uint64]digest.Bucket{}
	err := eachBucket(ctx, p.conn, fmt.Sprintf("SELECT %s, %s FROM %s WHERE %s GROUP BY 1",
		leading("k", refine.Bits), sums(lanes), p.hashed(spec, false), within(refine.Within)),
		func(prefix int64, b digest.Bucket) { found[uint64(prefix)] = b }) //nolint:gosec // the same bits
	if err != nil {
		return nil, connector.Fail("digest.failed", err, "digest parts of %s", p.from)
	}
	return found, nil
}

// Keys implements digest.Prober.
func (p *prober) Keys(ctx context.Context, spec digest.Spec, parts []digest.Prefix, limit int) ([]digest.Row, error) {
	if limit < 1 {
		return nil, fmt.Errorf("the limit of %d rows is less than one", limit)
	}
	rows, err := p.conn.Query(ctx, fmt.Sprintf("SELECT k, h, r, count(*) FROM %s WHERE %s GROUP BY k, h, r ORDER BY k, h LIMIT %d",
		p.hashed(spec, true), within(parts), limit))
	if err != nil {
		return nil, connector.Fail("digest.failed", err, "read keys of %s", p.from)
	}
	defer rows.Close()
	var found []digest.Row
	for rows.Next() {
		var k, h, r []byte
		var n int64
		if err := rows.Scan(&k, &h, &r, &n); err != nil {
			return nil, connector.Fail("digest.failed", err, "read keys of %s", p.from)
		}
		row := digest.Row{Times: uint64(n)} //nolint:gosec // a count
		copy(row.KeyHash[:], k)
		copy(row.RowHash[:], h)
		if row.Key, err = fields(r); err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	if err := rows.Err(); err != nil {
		return nil, connector.Fail("digest.failed", err, "read keys of %s", p.from)
	}
	return found, nil
}

// fields reads the values out of what record_send gives: int32 number of columns, and for
// each of them its type, its length and its bytes.
func fields(record []byte) ([][]byte, error) {
	cut := errors.New("the record of a key is cut")
	if len(record) < 4 {
		return nil, cut
	}
	values := make([][]byte, 0, min(int(binary.BigEndian.Uint32(record)), len(record)/8))
	for record = record[4:]; len(record) > 0; {
		if len(record) < 8 {
			return nil, cut
		}
		n := int(int32(binary.BigEndian.Uint32(record[4:]))) //nolint:gosec // -1 is meant
		record = record[8:]
		if n < 0 {
			values = append(values, nil)
			continue
		}
		if n > len(record) {
			return nil, cut
		}
		values = append(values, append([]byte{}, record[:n]...))
		record = record[n:]
	}
	return values, nil
}

// named reads the columns in the wanted types, under their own names.
func (t *table) named(wanted batch.Schema) (string, error) {
	parts := make([]string, len(wanted))
	for i := range wanted {
		one, err := t.selectList(wanted[i : i+1])
		if err != nil {
			return "", err
		}
		parts[i] = one + " AS " + quote(wanted[i].Name)
	}
	return strings.Join(parts, ", "), nil
}
