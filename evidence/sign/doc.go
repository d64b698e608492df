// Package sign puts signatures on statements and verifies them: DSSE in a
// Sigstore bundle v0.3, with keys, offline, in a form that cosign and
// sigstore-go verify too.
//
// A bundle is compact JSON with one signature. This one is by the Ed25519 key
// whose seed is the SHA-256 of "dpone example key"; white space is added here:
//
//	{
//	  "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
//	  "verificationMaterial": {
//	    "publicKey": {
//	      "hint": "lAEbHHSDZ+R2TYdFGc8grNIEYykXy4UbhADA5OiuZq0="
//	    }
//	  },
//	  "dsseEnvelope": {
//	    "payload": "eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJzdWJqZWN0IjpbeyJuYW1lIjoiYSIsImRpZ2VzdCI6eyJzaGEyNTYiOiIxMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExIn19XSwicHJlZGljYXRlVHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9hdHRlc3RhdGlvbi9yZWxlYXNlL3YwLjIiLCJwcmVkaWNhdGUiOnsicHVybCI6InBrZzpnb2xhbmcvZ2l0aHViLmNvbS9kcG9uZS9kcG9uZUB2MS4yLjMifX0=",
//	    "payloadType": "application/vnd.in-toto+json",
//	    "signatures": [
//	      {
//	        "sig": "7OewChPE/6f+xHR6nxRA8eXZhN/TzUr6jDFg247oZO6LHukLcheVoiqQwiGrOw8dn60F4Jr7NW52QDDwoi11Cw=="
//	      }
//	    ]
//	  }
//	}
//
// The signature is over the pre-authentication encoding of DSSE v1,
//
//	"DSSEv1" SP len(payloadType) SP payloadType SP len(payload) SP payload
//
// with lengths in decimal and the payload being the statement itself, byte
// for byte. Ed25519 signs that as it is, ECDSA P-256 its SHA-256. The hint is
// base64 of the SHA-256 of the public key as SubjectPublicKeyInfo in DER.
//
// # Signers
//
// [Key] signs. [MAC] (HMAC-SHA256) is for local integrity only: whoever can
// verify it can forge it, its class is LOCAL_MAC, and a reader refuses it as
// mac_only unless [Options] ask for it. [Pending] keeps statements while a
// signing service is down; [Complete] signs them later, byte for byte as they
// were kept. All are a [Signer]; others live elsewhere.
//
// Secrets come as bytes ([FromEnvironment]): from a variable or a file
// descriptor, never from a command line, and no error repeats one.
//
// # Verifying
//
// [VerifyBundle] takes what others wrote. It closes what the libraries leave
// open: their DSSE reader takes any payload type unless told, takes the last
// of two equal keys and keys in any case, and a key's expiry is not looked at
// where no timestamp is required. So the bundle is read strictly and the
// library gets an envelope that is written anew; the payload type, one
// signature and the time of the key are checked always. Every refusal is an
// [Error] with a stable [Reason].
//
// Specifications: github.com/secure-systems-lab/dsse v1.0.2,
// github.com/sigstore/protobuf-specs bundle v0.3, RFC 8032, FIPS 186-5, RFC 2104.
package sign
