package keyless

import (
	"fmt"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	sigstore "github.com/sigstore/sigstore-go/pkg/sign"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/sign/wire"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// PublicGood is the signing configuration of the public instance of Sigstore:
// its certificate authority, its log of version 1, which gives the time of an
// entry, and its timestamp authority. Logs of version 2 change their address
// every year: who wants one gives the configuration that Sigstore publishes.
const PublicGood = `{
  "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
  "caUrls": [{"url": "https://fulcio.sigstore.dev", "majorApiVersion": 1, "validFor": {"start": "2022-04-13T20:06:15Z"}, "operator": "sigstore.dev"}],
  "rekorTlogUrls": [{"url": "https://rekor.sigstore.dev", "majorApiVersion": 1, "validFor": {"start": "2021-01-12T11:53:27Z"}, "operator": "sigstore.dev"}],
  "tsaUrls": [{"url": "https://timestamp.sigstore.dev/api/v1/timestamp", "majorApiVersion": 1, "validFor": {"start": "2025-07-04T00:00:00Z"}, "operator": "sigstore.dev"}],
  "rekorTlogConfig": {"selector": "ANY"},
  "tsaConfig": {"selector": "ANY"}
}`

// services are the ones that a signature is made with.
type services struct {
	fulcio root.Service
	logs   []root.Service
	stamps []root.Service
}

// choose reads a signing configuration and takes the services that are in
// force at a time. A configuration without a log makes bundles that no reader
// of ours takes, and is refused.
func choose(config []byte, at time.Time) (services, error) {
	refuse := func(field, format string, args ...any) (services, error) {
		return services{}, fmt.Errorf("signing config: %w", strict.Refuse(sign.Schema, field, "%s", fmt.Sprintf(format, args...)))
	}
	if len(config) > wire.MaxTrustedRoot {
		return services{}, fmt.Errorf("signing config: %w", strict.Refuse(sign.LimitExceeded, "", "%d bytes, at most %d", len(config), wire.MaxTrustedRoot))
	}
	raw, err := root.NewSigningConfigProtobuf(config)
	if err != nil {
		return refuse("", "it is not a signing configuration: %s", strict.Quote(err.Error()))
	}
	parsed, err := root.NewSigningConfigFromProtobuf(raw)
	if err != nil {
		return refuse("mediaType", "%s is not %s", strict.Quote(raw.GetMediaType()), root.SigningConfigMediaType02)
	}
	var chosen services
	if chosen.fulcio, err = root.SelectService(parsed.FulcioCertificateAuthorityURLs(), sigstore.FulcioAPIVersions, at); err != nil {
		return refuse("caUrls", "no certificate authority is in force")
	}
	// The library dereferences these without looking.
	if raw.GetRekorTlogConfig() == nil {
		return refuse("rekorTlogConfig", "it is missing")
	}
	if chosen.logs, err = root.SelectServices(parsed.RekorLogURLs(), parsed.RekorLogURLsConfig(), sigstore.RekorAPIVersions, at); err != nil {
		return refuse("rekorTlogUrls", "no transparency log is in force, or fewer than the selector asks for")
	}
	if len(raw.GetTsaUrls()) > 0 {
		if raw.GetTsaConfig() == nil {
			return refuse("tsaConfig", "it is missing")
		}
		if chosen.stamps, err = root.SelectServices(parsed.TimestampAuthorityURLs(), parsed.TimestampAuthorityURLsConfig(), sigstore.TimestampAuthorityAPIVersions, at); err != nil {
			return refuse("tsaUrls", "no timestamp authority is in force, or fewer than the selector asks for")
		}
	}
	if chosen.logs[0].MajorAPIVersion > 1 && len(chosen.stamps) == 0 {
		return refuse("tsaUrls", "a log of version 2 gives no time, and there is no timestamp authority")
	}
	return chosen, nil
}
