package keyless

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement/strict"
)

// audience is whom the identity token is for.
const audience = "sigstore"

const (
	maxToken  = 16 << 10
	maxAnswer = 4 << 20
)

// TokenSource gets an identity token (a JWT). The client has the limits and
// the retries of the signer.
type TokenSource func(ctx context.Context, client *http.Client) (string, error)

// GivenToken is a token that is there already.
func GivenToken(token string) TokenSource {
	return func(context.Context, *http.Client) (string, error) {
		return token, checkToken(token)
	}
}

// GitHubActions asks the token service of a job of GitHub Actions: address and
// request token are those of ACTIONS_ID_TOKEN_REQUEST_URL and
// ACTIONS_ID_TOKEN_REQUEST_TOKEN. A job has them when its permissions have
// "id-token: write"; one of a pull request from a fork never has. Without them
// the reason is [sign.Unsigned].
func GitHubActions(requestURL, requestToken string) TokenSource {
	return func(ctx context.Context, client *http.Client) (string, error) {
		if requestURL == "" || requestToken == "" {
			return "", strict.Refuse(sign.Unsigned, "", "there is no identity token: the job has no permission \"id-token: write\", or is of a pull request from a fork")
		}
		address, err := url.Parse(requestURL)
		if err != nil || address.Host == "" {
			return "", strict.Refuse(sign.SigningRefused, "token_url", "it is not an address")
		}
		query := address.Query()
		query.Set("audience", audience)
		address.RawQuery = query.Encode()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
		if err != nil {
			return "", strict.Refuse(sign.SigningRefused, "token_url", "it is not an address")
		}
		request.Header.Set("Authorization", "Bearer "+requestToken)
		request.Header.Set("Accept", "application/json")
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return "", unavailable(address.Host, "its answer breaks off")
		}
		// GitHub may add members: only what is needed is read.
		var answer struct{ Value string }
		if err := lenient(raw, &answer); err != nil {
			return "", unavailable(address.Host, "its answer is not JSON")
		}
		return answer.Value, checkToken(answer.Value)
	}
}

// checkToken refuses what Fulcio would refuse for its form, without a word of
// the token in the error.
func checkToken(token string) error {
	parts := strings.Split(token, ".")
	if token == "" || len(token) > maxToken || len(parts) != 3 {
		return strict.Refuse(sign.SigningRefused, "token", "it is not a JSON web token")
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return strict.Refuse(sign.SigningRefused, "token", "it is not a JSON web token")
	}
	var claims struct {
		Subject string `json:"sub"`
		Email   string `json:"email"`
	}
	if err := lenient(raw, &claims); err != nil || claims.Subject == "" && claims.Email == "" {
		return strict.Refuse(sign.SigningRefused, "token", "it names no subject")
	}
	return nil
}

// unavailable is the refusal for now.
func unavailable(host, format string, args ...any) error {
	return strict.Refuse(sign.SigningUnavailable, host, "%s", fmt.Sprintf(format, args...))
}
