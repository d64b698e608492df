// Package keyless signs statements without a key of one's own, and verifies
// such signatures, as Sigstore does it: a key that lives for one signature, a
// certificate of a few minutes that says who held it, and entries of public
// logs and timestamp authorities that say when.
//
// It is a module of its own because the libraries that it needs are heavy. The
// root module does not import it: package gates/keyless there talks to the
// command cmd/dpone-keyless. Both sides are of the interfaces of package
// evidence/sign, [sign.Signer] and [sign.CertificateVerifier].
//
// # What is signed
//
// Exactly the bytes of the statement, in a DSSE envelope, by an ECDSA key of
// curve P-256. The bundle is a Sigstore bundle v0.3 in the form that
// [sign.DecodeBundle] reads, with the certificate of Fulcio, an entry of Rekor
// (version 1 or 2) and a timestamp of RFC 3161, as a signing configuration
// asks for:
//
//	{
//	  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
//	  "verificationMaterial": {
//	    "certificate": {"rawBytes": "MII..."},
//	    "tlogEntries": [{"logIndex": "1", "logId": {"keyId": "..."}, "kindVersion": {"kind": "dsse", "version": "0.0.1"},
//	      "integratedTime": "1", "inclusionPromise": {...}, "inclusionProof": {...}, "canonicalizedBody": "..."}],
//	    "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": "MII..."}]}
//	  },
//	  "dsseEnvelope": {"payload": "eyJ...", "payloadType": "application/vnd.in-toto+json", "signatures": [{"sig": "MEU..."}]}
//	}
//
// # What is verified
//
// Everything against a trusted root that the caller gives, and nothing over a
// network. The libraries leave out what does not verify where something else
// suffices; here everything that a bundle holds must hold:
//
//   - it is read strictly: every field of a log entry, in the one spelling that
//     the format has;
//   - every log entry is of this bundle and of a trusted log, no log is there
//     twice, there is at least one, and each has a proof of inclusion;
//   - every timestamp is of a trusted authority;
//   - the certificate was issued by the trusted authority and was in a trusted
//     certificate log;
//   - every time lies within its life.
//
// Specifications: github.com/sigstore/protobuf-specs v0.5 (bundle, rekor,
// trust root), github.com/sigstore/fulcio docs/oid-info.md, RFC 3161, RFC 6962.
package keyless
