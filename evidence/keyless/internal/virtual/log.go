package virtual

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/cyberphone/json-canonicalization/go/src/webpki.org/jsoncanonicalizer"
	"github.com/go-openapi/runtime"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	rekortiles "github.com/sigstore/rekor-tiles/v2/pkg/generated/protobuf"
	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/rekor/pkg/generated/models"
	"github.com/sigstore/rekor/pkg/types"
	_ "github.com/sigstore/rekor/pkg/types/dsse/v0.0.1" // the kind of entry that signers make
	"github.com/sigstore/rekor/pkg/util"
	"github.com/sigstore/sigstore/pkg/signature"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/protobuf/encoding/protojson"
)

// treeID is that of the one tree of the log of version 1.
const treeID = 42

// add puts an entry into the log and returns its index, the size of the tree
// with it, the hash of the root, and the proof that it is there.
func (s *Sigstore) add(body []byte) (index, size int64, root []byte, proof [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	leaf := sha256.Sum256(append([]byte{0}, body...))
	s.leaves = append(s.leaves, leaf[:])
	index = int64(len(s.leaves)) - 1
	root, proof = path(s.leaves, len(s.leaves)-1)
	return index, index + 1, root, proof
}

// path is the root hash over some leaves and the inclusion path of one of them
// (RFC 6962, section 2.1), by its definition.
func path(leaves [][]byte, at int) (root []byte, proof [][]byte) {
	if len(leaves) == 1 {
		return leaves[0], nil
	}
	split := 1
	for split*2 < len(leaves) {
		split *= 2
	}
	var left, right []byte
	switch {
	case at >= 0 && at < split:
		left, proof = path(leaves[:split], at)
		right, _ = path(leaves[split:], -1)
		proof = append(proof, right)
	case at >= split:
		left, _ = path(leaves[:split], -1)
		right, proof = path(leaves[split:], at-split)
		proof = append(proof, left)
	default:
		left, _ = path(leaves[:split], -1)
		right, _ = path(leaves[split:], -1)
	}
	sum := sha256.Sum256(append(append([]byte{1}, left...), right...))
	return sum[:], proof
}

// addV1 is what Rekor of version 1 does with a proposed entry: it returns the
// name of the entry and the response, and whether the entry was there before.
func (s *Sigstore) addV1(proposed []byte) (name string, response []byte, known bool, err error) {
	pe, err := models.UnmarshalProposedEntry(bytes.NewReader(proposed), runtime.JSONConsumer())
	if err != nil {
		return "", nil, false, err
	}
	entry, err := types.CreateVersionedEntry(pe)
	if err != nil {
		return "", nil, false, err
	}
	body, err := types.CanonicalizeEntry(background(), entry)
	if err != nil {
		return "", nil, false, err
	}
	leaf := sha256.Sum256(append([]byte{0}, body...))
	name = hex.EncodeToString(leaf[:])
	s.mu.Lock()
	response, known = s.entries[name]
	s.mu.Unlock()
	if known {
		return name, response, true, nil
	}
	id, err := logID(s.rekorKey)
	if err != nil {
		return "", nil, false, err
	}
	index, size, root, proof := s.add(body)
	signer, err := signature.LoadECDSASignerVerifier(s.rekorKey, crypto.SHA256)
	if err != nil {
		return "", nil, false, err
	}
	encoded := base64.StdEncoding.EncodeToString(body)
	integrated := now(s.LogTime).Unix()
	promise, err := json.Marshal(map[string]any{"body": encoded, "integratedTime": integrated, "logIndex": index, "logID": hex.EncodeToString(id)})
	if err == nil {
		promise, err = jsoncanonicalizer.Transform(promise)
	}
	if err != nil {
		return "", nil, false, err
	}
	set, err := signer.SignMessage(bytes.NewReader(promise))
	if err != nil {
		return "", nil, false, err
	}
	checkpoint, err := util.CreateAndSignCheckpoint(background(), Host, treeID, uint64(size), root, signer)
	if err != nil {
		return "", nil, false, err
	}
	hashes := make([]string, len(proof))
	for i, hash := range proof {
		hashes[i] = hex.EncodeToString(hash)
	}
	response, err = json.Marshal(map[string]any{name: map[string]any{
		"body": encoded, "integratedTime": integrated, "logIndex": index, "logID": hex.EncodeToString(id),
		"verification": map[string]any{
			"signedEntryTimestamp": set,
			"inclusionProof": map[string]any{
				"checkpoint": string(checkpoint), "hashes": hashes, "logIndex": index, "rootHash": hex.EncodeToString(root), "treeSize": size,
			},
		},
	}})
	if err != nil {
		return "", nil, false, err
	}
	s.mu.Lock()
	s.entries[name] = response
	s.mu.Unlock()
	return name, response, false, nil
}

// addV2 is what Rekor of version 2 does with a request: it returns the entry as
// it stands in a bundle.
func (s *Sigstore) addV2(request []byte) ([]byte, error) {
	var create rekortiles.CreateEntryRequest
	if err := protojson.Unmarshal(request, &create); err != nil {
		return nil, err
	}
	hashed := create.GetHashedRekordRequestV002()
	if hashed == nil {
		return nil, fmt.Errorf("the entry is not a hashedrekord")
	}
	entry := &rekortiles.Entry{
		ApiVersion: "0.0.2", Kind: "hashedrekord",
		Spec: &rekortiles.Spec{Spec: &rekortiles.Spec_HashedRekordV002{HashedRekordV002: &rekortiles.HashedRekordLogEntryV002{
			Data:      &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: hashed.Digest},
			Signature: hashed.Signature,
		}}},
	}
	raw, err := protojson.Marshal(entry)
	if err != nil {
		return nil, err
	}
	body, err := jsoncanonicalizer.Transform(raw)
	if err != nil {
		return nil, err
	}
	index, size, root, proof := s.add(body)
	signer, err := signature.LoadECDSASignerVerifier(s.rekorKey, crypto.SHA256)
	if err != nil {
		return nil, err
	}
	noteSigner, err := rekornote.NewNoteSigner(background(), Host, signer)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", Host, size, base64.StdEncoding.EncodeToString(root))
	checkpoint, err := note.Sign(&note.Note{Text: text}, noteSigner)
	if err != nil {
		return nil, err
	}
	id, err := logID(s.rekorKey)
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(&protorekor.TransparencyLogEntry{
		LogIndex: index, LogId: &protocommon.LogId{KeyId: id},
		KindVersion: &protorekor.KindVersion{Kind: "hashedrekord", Version: "0.0.2"},
		InclusionProof: &protorekor.InclusionProof{
			LogIndex: index, TreeSize: size, RootHash: root, Hashes: proof,
			Checkpoint: &protorekor.Checkpoint{Envelope: string(checkpoint)},
		},
		CanonicalizedBody: body,
	})
}
