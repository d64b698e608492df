package pgoutput

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// raw puts a message together: bytes, strings with their end, and integers in network order.
func raw(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case byte:
			b = append(b, p)
		case string:
			b = append(append(b, p...), 0)
		case []byte:
			b = append(b, p...)
		case int16:
			b = binary.BigEndian.AppendUint16(b, uint16(p))
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(p))
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(p))
		default:
			b = fmt.Appendf(b, "unknown part %T", p)
		}
	}
	return b
}

var (
	begin    = raw(byte('B'), int64(100), int64(1_000_000), int32(7))
	commit   = raw(byte('C'), byte(0), int64(100), int64(140), int64(1_000_000))
	relation = raw(byte('R'), int32(5), "s", "t", byte('d'), int16(3), byte(1), "id", int32(23), int32(-1), byte(0), "a", int32(25), int32(-1), byte(0), "b", int32(17), int32(-1))
	cell     = func(kind byte, data string) []byte { return raw(kind, int32(len(data)), []byte(data)) }
	full     = raw(int16(3), cell(byte('b'), "\x00\x00\x00\x01"), cell(byte('t'), "x"), byte('n'))
	toasted  = raw(int16(3), cell(byte('b'), "\x00\x00\x00\x01"), cell(byte('t'), "y"), byte('u'))
	key      = raw(int16(3), cell(byte('b'), "\x00\x00\x00\x01"), byte('n'), byte('n'))
	insert   = raw(byte('I'), int32(5), byte('N'), full)
	inStream = func(msg []byte) []byte { return raw(msg[0], int32(9), msg[1:]) }
	start    = raw(byte('S'), int32(9), byte(1))
)

func parse(t *testing.T, version int, messages ...[]byte) (*Parser, *Message, error) {
	t.Helper()
	p, err := NewParser(version)
	assert.NilError(t, err)
	m := &Message{}
	for _, b := range messages {
		if err = p.Parse(b, m); err != nil {
			break
		}
	}
	return p, m, err
}

func TestRows(t *testing.T) {
	p, m, err := parse(t, 1, begin, relation, insert)
	assert.NilError(t, err)
	assert.Assert(t, p.InTransaction())
	assert.Equal(t, m.Relation, p.Relation(5))
	assert.DeepEqual(t, *m.Relation, Relation{
		ID: 5, Schema: "s", Name: "t", Identity: 'd',
		Columns: []Column{{"id", true, 23, -1}, {"a", false, 25, -1}, {"b", false, 17, -1}},
	})
	assert.DeepEqual(t, m.New, []Value{{Binary, []byte{0, 0, 0, 1}}, {Text, []byte("x")}, {Kind: Null}})

	var again []byte
	for _, v := range m.New {
		again = AppendValue(again, v)
	}
	assert.DeepEqual(t, again, m.RawNew)
	values, err := ReadTuple(nil, m.RawNew)
	assert.NilError(t, err)
	assert.DeepEqual(t, values, m.New)
	_, err = ReadTuple(nil, m.RawNew[:3])
	assert.ErrorIs(t, err, ErrMessage)

	_, m, err = parse(t, 1, begin, relation, raw(byte('U'), int32(5), byte('K'), key, byte('N'), toasted))
	assert.NilError(t, err)
	assert.Equal(t, m.OldKind, OldKey)
	assert.Equal(t, m.New[2].Kind, Unchanged)
	assert.Equal(t, m.Old[1].Kind, Null)

	_, m, err = parse(t, 1, begin, relation, raw(byte('U'), int32(5), byte('O'), full, byte('N'), toasted), raw(byte('U'), int32(5), byte('N'), toasted))
	assert.NilError(t, err)
	assert.Equal(t, m.OldKind, NoOld)
	assert.Equal(t, len(m.Old), 0)

	_, m, err = parse(t, 1, begin, relation, raw(byte('D'), int32(5), byte('O'), full))
	assert.NilError(t, err)
	assert.Equal(t, m.OldKind, OldFull)
	assert.Equal(t, len(m.New), 0)
}

func TestTransactions(t *testing.T) {
	p, m, err := parse(t, 1, begin, commit)
	assert.NilError(t, err)
	assert.Assert(t, !p.InTransaction())
	assert.Equal(t, m.End, LSN(140))
	assert.Equal(t, m.Time, time.Date(2000, 1, 1, 0, 0, 1, 0, time.UTC))
	assert.Equal(t, LSN(0x16_b374d848).String(), "16/B374D848")

	_, m, err = parse(t, 1, begin, raw(byte('O'), int64(3), "origin"))
	assert.NilError(t, err)
	assert.Equal(t, m.Name, "origin")
	_, m, err = parse(t, 1, begin, raw(byte('Y'), int32(70000), "public", "mood"))
	assert.NilError(t, err)
	assert.Equal(t, m.Name, "mood")
	_, m, err = parse(t, 1, raw(byte('M'), byte(0), int64(9), "beat", int32(2), []byte("hi")))
	assert.NilError(t, err)
	assert.DeepEqual(t, m.Content, []byte("hi"))
	_, m, err = parse(t, 1, begin, relation, raw(byte('T'), int32(1), byte(3), int32(5)))
	assert.NilError(t, err)
	assert.Assert(t, m.Cascade && m.RestartIdentity)
	assert.Equal(t, m.Relations[0].Name, "t")
}

func TestStreamed(t *testing.T) {
	stop, again := raw(byte('E')), raw(byte('S'), int32(9), byte(0))
	body := raw(int32(9), byte(0), int64(100), int64(140), int64(0))
	p, m, err := parse(t, 2, start, inStream(relation), inStream(insert), stop, again, inStream(insert), inStream(raw(byte('T'), int32(1), byte(0), int32(5))), stop, raw(byte('A'), int32(9), int32(10)), raw(byte('c'), body))
	assert.NilError(t, err)
	assert.Equal(t, m.XID, uint32(9))
	assert.Equal(t, m.End, LSN(140))
	assert.Assert(t, !p.InTransaction())
	_, m, err = parse(t, 2, start, stop, raw(byte('A'), int32(9), int32(9)), start)
	assert.NilError(t, err)
	assert.Assert(t, m.First)

	for name, messages := range map[string][][]byte{
		"stop without start":     {stop},
		"part of an unknown one": {again},
		"first part twice":       {start, stop, start},
		"start in a transaction": {begin, start},
		"start in a part":        {start, raw(byte('S'), int32(8), byte(1))},
		"commit in a part":       {start, raw(byte('c'), body)},
		"commit of an unknown":   {raw(byte('c'), body)},
		"abort of an unknown":    {raw(byte('A'), int32(9), int32(9))},
		"commit after its abort": {start, stop, raw(byte('A'), int32(9), int32(9)), raw(byte('c'), body)},
		"row without xid":        {start, relation},
		"unknown flag":           {raw(byte('S'), int32(9), byte(2))},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parse(t, 2, messages...)
			assert.ErrorIs(t, err, ErrMessage)
		})
	}
}

func TestRefused(t *testing.T) {
	_, err := NewParser(3)
	assert.ErrorContains(t, err, "version 3")
	for name, c := range map[string]struct {
		messages [][]byte
		want     string
	}{
		"empty":                      {[][]byte{{}}, "empty"},
		"unknown type":               {[][]byte{raw(byte('Z'))}, "begins so"},
		"two-phase":                  {[][]byte{raw(byte('b'), int64(1))}, "begins so"},
		"streamed, not asked for":    {[][]byte{start}, "not asked for"},
		"row outside":                {[][]byte{insert}, "outside"},
		"relation outside":           {[][]byte{relation}, "outside"},
		"type outside":               {[][]byte{raw(byte('Y'), int32(1), "s", "t")}, "outside"},
		"origin outside":             {[][]byte{raw(byte('O'), int64(1), "o")}, "outside"},
		"truncate outside":           {[][]byte{raw(byte('T'), int32(1), byte(0), int32(5))}, "outside"},
		"commit outside":             {[][]byte{commit}, "outside"},
		"begin twice":                {[][]byte{begin, begin}, "still open"},
		"another commit":             {[][]byte{begin, raw(byte('C'), byte(0), int64(101), int64(140), int64(0))}, "announced 0/64"},
		"commit flags":               {[][]byte{begin, raw(byte('C'), byte(1), int64(100), int64(140), int64(0))}, "flags"},
		"commit ends before":         {[][]byte{begin, raw(byte('C'), byte(0), int64(100), int64(100), int64(0))}, "ends at"},
		"unknown relation":           {[][]byte{begin, insert}, "relation 5 was not announced"},
		"truncate, unknown relation": {[][]byte{begin, raw(byte('T'), int32(1), byte(0), int32(5))}, "not announced"},
		"truncate, count":            {[][]byte{begin, relation, raw(byte('T'), int32(2), byte(0), int32(5))}, "2 relations in 4 bytes"},
		"truncate, none":             {[][]byte{begin, relation, raw(byte('T'), int32(0), byte(0))}, "0 relations"},
		"truncate, options":          {[][]byte{begin, relation, raw(byte('T'), int32(1), byte(4), int32(5))}, "options"},
		"too few values":             {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), int16(2), byte('n'), byte('n'))}, "2 values for 3 columns"},
		"negative count":             {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), int16(-1))}, "-1 columns"},
		"left over":                  {[][]byte{begin, relation, raw(insert, byte('n'))}, "1 bytes are left over"},
		"commit, left over":          {[][]byte{begin, raw(commit, byte('n'))}, "left over"},
		"unknown value":              {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), int16(3), byte('n'), byte('n'), byte('x'))}, `column b: 'x' is no kind`},
		"negative length":            {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), int16(3), byte('t'), int32(-5), byte('n'), byte('n'))}, "-5 bytes"},
		"length over the end":        {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), int16(3), byte('t'), int32(1<<30), byte('n'), byte('n'))}, "cut short"},
		"insert, unchanged":          {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('N'), toasted)}, "column b: an inserted value"},
		"insert, old row":            {[][]byte{begin, relation, raw(byte('I'), int32(5), byte('K'), key, byte('N'), full)}, "no old row"},
		"delete, new row":            {[][]byte{begin, relation, raw(byte('D'), int32(5), byte('N'), full)}, "belongs there"},
		"delete, nothing":            {[][]byte{begin, relation, raw(byte('D'), int32(5))}, "cut short"},
		"update, old only":           {[][]byte{begin, relation, raw(byte('U'), int32(5), byte('K'), key)}, "cut short"},
		"update, old twice":          {[][]byte{begin, relation, raw(byte('U'), int32(5), byte('K'), key, byte('K'), key)}, "belongs there"},
		"replica identity":           {[][]byte{begin, raw(byte('R'), int32(5), "s", "t", byte('x'), int16(0))}, "replica identity"},
		"columns cut short":          {[][]byte{begin, raw(byte('R'), int32(5), "s", "t", byte('d'), int16(32767))}, "cut short"},
		"column flags":               {[][]byte{begin, raw(byte('R'), int32(5), "s", "t", byte('d'), int16(1), byte(2), "id", int32(23), int32(-1))}, "flags"},
		"name without end":           {[][]byte{begin, raw(byte('R'), int32(5), []byte("abc"))}, "cut short"},
		"message, length":            {[][]byte{raw(byte('M'), byte(0), int64(9), "beat", int32(3), []byte("hi"))}, "cut short"},
		"message, negative length":   {[][]byte{raw(byte('M'), byte(0), int64(9), "beat", int32(-3), []byte("hi"))}, "cut short"},
		"message, flags":             {[][]byte{raw(byte('M'), byte(2), int64(9), "beat", int32(0))}, "flags"},
		"message outside":            {[][]byte{raw(byte('M'), byte(1), int64(9), "beat", int32(0))}, "outside"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := parse(t, 1, c.messages...)
			assert.ErrorIs(t, err, ErrMessage)
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// TestCutShort cuts every message at every byte: none may pass.
func TestCutShort(t *testing.T) {
	for _, c := range [][][]byte{
		{begin},
		{begin, commit},
		{begin, relation},
		{begin, raw(byte('O'), int64(3), "origin")},
		{begin, raw(byte('Y'), int32(70000), "public", "mood")},
		{begin, relation, insert},
		{begin, relation, raw(byte('U'), int32(5), byte('K'), key, byte('N'), toasted)},
		{begin, relation, raw(byte('D'), int32(5), byte('O'), full)},
		{begin, relation, raw(byte('T'), int32(1), byte(0), int32(5))},
		{raw(byte('M'), byte(0), int64(9), "beat", int32(2), []byte("hi"))},
	} {
		last := c[len(c)-1]
		for n := range len(last) {
			messages := append(append([][]byte{}, c[:len(c)-1]...), last[:n])
			_, _, err := parse(t, 1, messages...)
			assert.Check(t, is.ErrorIs(err, ErrMessage), "%q cut to %d bytes", last[0], n)
		}
	}
}

func TestRowsDoNotAllocate(t *testing.T) {
	p, m, err := parse(t, 1, begin, relation, insert)
	assert.NilError(t, err)
	update := raw(byte('U'), int32(5), byte('O'), full, byte('N'), toasted)
	assert.NilError(t, p.Parse(update, m))
	assert.Equal(t, testing.AllocsPerRun(100, func() {
		_ = p.Parse(insert, m)
		_ = p.Parse(update, m)
	}), 0.0)
}

func FuzzParse(f *testing.F) {
	for _, b := range [][]byte{insert, commit, start, relation, raw(byte('U'), int32(5), byte('K'), key, byte('N'), toasted), raw(byte('T'), int32(1), byte(0), int32(5))} {
		f.Add(byte(1), true, b)
		f.Add(byte(2), false, b)
		f.Add(byte(2), true, inStream(b))
	}
	f.Fuzz(func(t *testing.T, version byte, inTx bool, b []byte) {
		p, err := NewParser(int(version))
		if err != nil {
			t.Skip("there is no such version of the protocol")
		}
		m := &Message{}
		first := [][]byte{begin, relation}
		if version == 2 && inTx {
			first = [][]byte{start, inStream(relation)}
		}
		for _, msg := range first {
			assert.NilError(t, p.Parse(msg, m))
		}
		if p.Parse(b, m) != nil {
			return
		}
		if m.Kind == Insert || m.Kind == Update {
			assert.Equal(t, len(m.New), len(m.Relation.Columns))
			values, err := ReadTuple(nil, m.RawNew)
			assert.NilError(t, err)
			assert.Equal(t, len(values), len(m.New))
		}
	})
}

func BenchmarkInsert(b *testing.B) {
	p, _ := NewParser(1)
	m := &Message{}
	_ = p.Parse(begin, m)
	_ = p.Parse(relation, m)
	b.SetBytes(int64(len(insert)))
	for b.Loop() {
		if err := p.Parse(insert, m); err != nil {
			b.Fatal(err)
		}
	}
}
