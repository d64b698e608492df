package virtual

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"strings"

	"github.com/digitorus/timestamp"
)

// The paths of the services below the address of the handler, and what the
// token service wants.
const (
	TokenPath    = "/token?api-version=2.0"
	TokenRequest = "the-token-that-asks-for-tokens"
)

// Handler answers for all services; its tokens have these claims.
func (s *Sigstore) Handler(claims Claims) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+TokenRequest {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		claims := claims
		claims.Audience = r.URL.Query().Get("audience")
		token, err := claims.Token()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, http.StatusOK, map[string]any{"count": len(token), "value": token})
	})
	mux.HandleFunc("POST /api/v2/signingCert", s.signingCert)
	mux.HandleFunc("POST /api/v1/log/entries", func(w http.ResponseWriter, r *http.Request) {
		proposed, ok := read(w, r)
		if !ok {
			return
		}
		name, response, known, err := s.addV1(proposed)
		switch {
		case err != nil:
			answer(w, http.StatusBadRequest, map[string]any{"code": http.StatusBadRequest, "message": err.Error()})
		case known:
			w.Header().Set("Location", "/api/v1/log/entries/"+name)
			answer(w, http.StatusConflict, map[string]any{"code": http.StatusConflict, "message": "an equivalent entry already exists"})
		default:
			w.Header().Set("Etag", name)
			w.Header().Set("Location", "/api/v1/log/entries/"+name)
			answer(w, http.StatusCreated, json.RawMessage(response))
		}
	})
	mux.HandleFunc("GET /api/v1/log/entries/{name}", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		response, ok := s.entries[r.PathValue("name")]
		s.mu.Unlock()
		if !ok {
			answer(w, http.StatusNotFound, map[string]any{"code": http.StatusNotFound, "message": "no such entry"})
			return
		}
		answer(w, http.StatusOK, json.RawMessage(response))
	})
	mux.HandleFunc("POST /api/v2/log/entries", func(w http.ResponseWriter, r *http.Request) {
		request, ok := read(w, r)
		if !ok {
			return
		}
		entry, err := s.addV2(request)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, http.StatusCreated, json.RawMessage(entry))
	})
	mux.HandleFunc("POST /api/v1/timestamp", s.timestamp)
	return mux
}

func (s *Sigstore) signingCert(w http.ResponseWriter, r *http.Request) {
	raw, ok := read(w, r)
	if !ok {
		return
	}
	var request struct {
		PublicKeyRequest struct {
			PublicKey struct {
				Algorithm, Content string
			}
			ProofOfPossession []byte
		}
	}
	if err := json.Unmarshal(raw, &request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	claims, err := claimsOf(token)
	if err != nil || claims.Audience != "sigstore" {
		http.Error(w, "there was an error processing the identity token", http.StatusUnauthorized)
		return
	}
	block, _ := pem.Decode([]byte(request.PublicKeyRequest.PublicKey.Content))
	if block == nil {
		http.Error(w, "the public key is not PEM", http.StatusBadRequest)
		return
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err == nil {
		err = proven(key, claims.Subject, request.PublicKeyRequest.ProofOfPossession)
	}
	var der []byte
	if err == nil {
		der, err = s.Certify(claims, key)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var chain []string
	for _, certificate := range [][]byte{der, s.intermediate.Raw, s.root.Raw} {
		chain = append(chain, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	}
	answer(w, http.StatusOK, map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}})
}

func (s *Sigstore) timestamp(w http.ResponseWriter, r *http.Request) {
	raw, ok := read(w, r)
	if !ok {
		return
	}
	request, err := timestamp.ParseRequest(raw)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	stamp := timestamp.Timestamp{
		HashAlgorithm: request.HashAlgorithm, HashedMessage: request.HashedMessage, Time: now(s.StampTime),
		Policy: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2},
	}
	response, err := stamp.CreateResponseWithOpts(s.tsaLeaf, s.tsaKey, crypto.SHA256)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/timestamp-reply")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(response) // a client that is gone needs no answer
}

func read(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 32<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return nil, false
	}
	return raw, true
}

func answer(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // a client that is gone needs no answer
}
