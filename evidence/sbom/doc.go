// Package sbom writes the bill of materials of a shipped Go binary, as
// CycloneDX 1.6 and as SPDX 2.3, both in JSON.
//
// The source of truth is the build information inside the binary: the modules
// whose code is really linked, not those that a go.mod file asks for. What the
// binary cannot say comes from [Options], and where both say something they
// have to agree: a wrong version, a wrong commit, a modified work tree or a
// module graph of other source is an error.
//
// Both documents hold the same: the main module as the application, whose hash
// is that of the binary; the standard library; every linked module, and nothing
// else. A module under a replace directive appears as what is linked in its
// place. Edges are those of "go mod graph" between linked modules: a module
// needs another if the linked version of it requires any version of the other.
// A main module that lists its indirect requirements needs those as well.
//
// In CycloneDX a module is a component:
//
//	{
//	  "bom-ref": "example.org/Lib/v2@v2.0.1",
//	  "type": "library",
//	  "name": "example.org/Lib/v2",
//	  "version": "v2.0.1",
//	  "licenses": [
//	    {
//	      "license": {
//	        "id": "MIT",
//	        "acknowledgement": "declared"
//	      }
//	    }
//	  ],
//	  "purl": "pkg:golang/example.org/lib/v2@v2.0.1",
//	  "properties": [
//	    {
//	      "name": "dpone:go:h1",
//	      "value": "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
//	    }
//	  ]
//	}
//
// and in SPDX a package:
//
//	{
//	  "SPDXID": "SPDXRef-example.org-Lib-v2-v2.0.1-8f0e61f34160",
//	  "name": "example.org/Lib/v2",
//	  "versionInfo": "v2.0.1",
//	  "primaryPackagePurpose": "LIBRARY",
//	  "supplier": "NOASSERTION",
//	  "downloadLocation": "NOASSERTION",
//	  "filesAnalyzed": false,
//	  "sourceInfo": "go.sum h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
//	  "licenseConcluded": "NOASSERTION",
//	  "licenseDeclared": "MIT",
//	  "copyrightText": "NOASSERTION",
//	  "externalRefs": [
//	    {
//	      "referenceCategory": "PACKAGE-MANAGER",
//	      "referenceType": "purl",
//	      "referenceLocator": "pkg:golang/example.org/lib/v2@v2.0.1"
//	    }
//	  ]
//	}
//
// The h1 sum of a module is over a list of files and so the hash of no file:
// it is a property (sourceInfo in SPDX), never a hash.
//
// The same binary and options give the same bytes, on any host: nothing is
// taken from the clock, from chance or from the paths of the host. The serial
// number and the namespace are UUIDs of version 8 made of the SHA-256 of the
// document without them.
//
// A licence is stated only where the licence file in the root of the module is,
// word for word, one of a few common texts, and, for a module of the module
// cache, only after all its files gave the h1 sum that the binary names.
// Everything else is NOASSERTION, which CycloneDX says by leaving it out.
//
// Formats: CycloneDX 1.6 (ECMA-424), SPDX 2.3, package URL (ECMA-427).
package sbom
