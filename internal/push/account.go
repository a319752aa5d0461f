package push

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Account is a Google service account that may send for one Firebase project.
type Account struct {
	Project  string
	Email    string
	KeyID    string // "" when it is not known
	TokenURL string
	key      *rsa.PrivateKey
}

// String hides the key.
func (a Account) String() string { return "account of project " + a.Project }

// GoString hides the key.
func (a Account) GoString() string { return a.String() }

const scope = "https://www.googleapis.com/auth/firebase.messaging"

// ReadAccount reads the JSON file that Google gives for a service account.
func ReadAccount(file []byte) (Account, error) {
	var f struct {
		Type     string `json:"type"`
		Project  string `json:"project_id"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		Email    string `json:"client_email"`
		TokenURL string `json:"token_uri"`
	}
	if err := json.Unmarshal(file, &f); err != nil {
		return Account{}, errors.New("push: the service account is no JSON") // the error could quote the key
	}
	if f.Type != "service_account" {
		return Account{}, fmt.Errorf("push: the file is of type %q, not service_account", f.Type)
	}
	a, err := NewAccount(f.Project, f.Email, f.Key)
	a.KeyID, a.TokenURL = f.KeyID, f.TokenURL
	return a, err
}

// NewAccount makes an account from its parts. key is PEM, PKCS #8 or PKCS #1; line ends may be written
// as \n, as variables carry them.
func NewAccount(project, email, key string) (Account, error) {
	if project == "" || email == "" || strings.ContainsAny(project, "/?# ") {
		return Account{}, errors.New("push: a service account needs a project and an email")
	}
	block, _ := pem.Decode([]byte(strings.ReplaceAll(key, `\n`, "\n")))
	if block == nil {
		return Account{}, errors.New("push: the private key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return Account{}, errors.New("push: the private key is no RSA key")
	}
	return Account{Project: project, Email: email, key: private}, nil
}

// assertion is the signed JWT (RFC 7523) that Google exchanges for an access token.
func (a Account) assertion(now time.Time) (string, error) {
	header := map[string]string{"alg": "RS256", "typ": "JWT"}
	if a.KeyID != "" {
		header["kid"] = a.KeyID
	}
	claims := map[string]any{"iss": a.Email, "scope": scope, "aud": a.TokenURL, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	var parts []string
	for _, part := range []any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, a.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("push: sign: %w", err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature), nil
}

// access is an access token and until when it is used.
type access struct {
	token string
	until time.Time
}

// renewBefore is how long before its end an access token is renewed.
const renewBefore = time.Minute

// grant asks Google for an access token.
func (a Account) grant(ctx context.Context, client *http.Client, now time.Time) (access, error) {
	assertion, err := a.assertion(now)
	if err != nil {
		return access{}, err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return access{}, errors.New("push: the token's address is none")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := ask(client, req, now)
	if err != nil {
		return access{}, fmt.Errorf("%w: access token: %w", ErrTemporary, err)
	}
	var answer struct {
		Token     string `json:"access_token"`
		ExpiresIn int64  `json:"expires_in"`
		Error     string `json:"error"`
	}
	_ = json.Unmarshal(got.body, &answer) // not JSON: decided by the status
	if got.status != http.StatusOK || answer.Token == "" {
		return access{}, got.later(fmt.Errorf("%w: access token: status %d %s", ErrTemporary, got.status, word(answer.Error)))
	}
	life := time.Duration(min(max(answer.ExpiresIn, 0), 24*3600)) * time.Second
	return access{answer.Token, now.Add(life - renewBefore)}, nil
}

// word keeps an error code of the provider, which is a word; a sentence could repeat what was sent.
func word(s string) string {
	if len(s) > 64 || strings.ContainsFunc(s, func(r rune) bool { return r != '_' && r != '-' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
		return "(withheld)"
	}
	return s
}
