package replication

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/jackc/pglogrepl"

	"github.com/dpone/dpone/engine/connector"
)

// The phases of a position.
const (
	phaseClaim  = "claim"  // the slot may be made, or made again
	phaseStream = "stream" // everything up to LSN is in the target
)

// position is what a pipeline keeps of a stream between runs.
type position struct {
	Phase       string `json:"phase"`
	LSN         string `json:"lsn,omitempty"` // end of the last transaction's commit record
	SystemID    string `json:"system_identifier"`
	Timeline    int32  `json:"timeline"`
	Database    string `json:"database"`
	Slot        string `json:"slot"`
	Publication string `json:"publication"`
	Relation    uint32 `json:"relation_oid"`
	SchemaHash  string `json:"schema_sha256"`

	lsn pglogrepl.LSN
}

// parsePosition reads a position; the zero position is of a pipeline that has none.
func parsePosition(raw json.RawMessage) (position, error) {
	var p position
	if len(raw) == 0 {
		return p, nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	err := dec.Decode(&p)
	if err == nil && p.Phase != phaseClaim && p.Phase != phaseStream {
		err = fmt.Errorf("unknown phase %q", p.Phase)
	}
	if err == nil && p.Phase == phaseStream {
		p.lsn, err = pglogrepl.ParseLSN(p.LSN)
		if err == nil && p.lsn == 0 {
			err = fmt.Errorf("no log position")
		}
	}
	if err != nil {
		return p, &connector.Error{
			Code: "cdc.position", Msg: "the stored position is none of a PostgreSQL change stream", Err: err,
			Fix: "delete the pipeline's row from the state table to load the table again",
		}
	}
	return p, nil
}

func (p position) at(lsn pglogrepl.LSN) (json.RawMessage, error) {
	p.Phase, p.lsn, p.LSN = phaseStream, lsn, lsn.String()
	return json.Marshal(p)
}

// window names what a stream's transactions up to lsn are for a receipt.
func (p position) window(lsn pglogrepl.LSN) string {
	return fmt.Sprintf("cdc:%s/%d/%s@%s", p.SystemID, p.Timeline, p.Slot, lsn)
}

// shapeColumn is a column of the table as the stream announces it.
type shapeColumn struct {
	Name string `json:"name"`
	Type uint32 `json:"type"`
	Mod  int32  `json:"mod"`
}

func shapeHash(columns []shapeColumn) (string, error) {
	b, err := json.Marshal(columns)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
