package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// result is what a sign-in brought, ready to be shown.
type result struct {
	Name, Issuer         string
	IDToken, AccessToken jwt
	Userinfo             []claim
	UserinfoJSON         string
	Response             []claim // the token response without the tokens
	RefreshToken         string
}

// jwt is a token with what is in it. One that is no JWT has no claims.
type jwt struct {
	Raw, HeaderJSON, JSON string
	Header, Claims        []claim
}

// Short is the beginning and the end of the token.
func (t jwt) Short() string {
	const shown = 12
	if len(t.Raw) <= 2*shown {
		return t.Raw
	}
	return t.Raw[:shown] + "…" + t.Raw[len(t.Raw)-shown:]
}

// claim is one line of a table.
type claim struct{ Name, Value, Meaning string }

func describe(o Options, token *oauth2.Token, rawIDToken string, info *oidc.UserInfo) (result, error) {
	var userinfo json.RawMessage
	if err := info.Claims(&userinfo); err != nil {
		return result{}, err
	}
	r := result{Issuer: o.Issuer, IDToken: jwt{Raw: rawIDToken}, AccessToken: jwt{Raw: token.AccessToken}, RefreshToken: token.RefreshToken}
	if err := r.IDToken.decode(o.Now()); err != nil {
		return result{}, err
	}
	// An access token is the issuer's business (RFC 6749 §1.4): it is shown if it happens to be readable.
	_ = r.AccessToken.decode(o.Now())
	var err error
	if r.UserinfoJSON, r.Userinfo, err = table(userinfo, o.Now()); err != nil {
		return result{}, fmt.Errorf("read the userinfo answer: %w", err)
	}
	var person struct {
		Name, Nickname, Email, Sub string
		Preferred                  string `json:"preferred_username"`
	}
	if err := json.Unmarshal(userinfo, &person); err != nil {
		return result{}, fmt.Errorf("read the userinfo answer: %w", err)
	}
	for _, name := range []string{person.Name, person.Nickname, person.Preferred, person.Email, person.Sub} {
		if name != "" {
			r.Name = name
			break
		}
	}
	r.Response = []claim{{"token_type", token.TokenType, "how the access token is sent"}}
	for _, name := range []string{"expires_in", "scope"} {
		if v := token.Extra(name); v != nil {
			r.Response = append(r.Response, claim{name, fmt.Sprint(v), meanings()[name]})
		}
	}
	return r, nil
}

func (t *jwt) decode(now time.Time) error {
	parts := strings.Split(t.Raw, ".")
	if len(parts) != 3 {
		return errors.New("the token is no JWT")
	}
	var decoded [2][]byte
	for i := range decoded {
		var err error
		if decoded[i], err = base64.RawURLEncoding.DecodeString(parts[i]); err != nil {
			return fmt.Errorf("the token is no JWT: %w", err)
		}
	}
	var err, headErr error
	t.HeaderJSON, t.Header, headErr = table(decoded[0], now)
	t.JSON, t.Claims, err = table(decoded[1], now)
	return errors.Join(headErr, err)
}

func pretty(raw []byte) (string, error) {
	var out bytes.Buffer
	err := json.Indent(&out, raw, "", "  ")
	return out.String(), err
}

// table is a JSON object as indented text and as lines in the order of their names, registered claims first.
func table(raw []byte, now time.Time) (string, []claim, error) {
	text, err := pretty(raw)
	if err != nil {
		return "", nil, err
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		return "", nil, err
	}
	known := []string{"iss", "sub", "aud", "azp", "client_id", "exp", "iat", "auth_time"}
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int {
		ia, ib := slices.Index(known, a), slices.Index(known, b)
		switch {
		case ia >= 0 && ib >= 0:
			return ia - ib
		case ia >= 0:
			return -1
		case ib >= 0:
			return 1
		}
		return strings.Compare(a, b)
	})
	var lines []claim
	for _, name := range names {
		value := string(values[name])
		var s string
		if json.Unmarshal(values[name], &s) == nil {
			value = s
		}
		lines = append(lines, claim{name, value, meaning(name, values[name], now)})
	}
	return text, lines, nil
}

// meaning is what a claim says in words.
func meaning(name string, raw json.RawMessage, now time.Time) string {
	text := meanings()[name]
	switch name {
	case "exp", "iat", "nbf", "auth_time", "updated_at":
		var seconds int64
		if json.Unmarshal(raw, &seconds) == nil {
			at := time.Unix(seconds, 0).UTC()
			text += ": " + at.Format("2 January 2006, 15:04:05 UTC") + distance(at.Sub(now))
		}
	}
	return text
}

func distance(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d > 0:
		return " (in " + d.String() + ")"
	case d < 0:
		return " (" + (-d).String() + " ago)"
	}
	return ""
}

func meanings() map[string]string {
	return map[string]string{
		"alg": "how it is signed", "kid": "the key that signed it, in the issuer’s key set", "typ": "what kind of token it is",
		"iss": "who issued it", "sub": "who it is about: never changes, never used again", "aud": "whom it is for", "azp": "the application it was issued to",
		"client_id": "the application it was issued to", "exp": "good until", "iat": "issued", "nbf": "good from", "auth_time": "signed in",
		"nonce": "ties the token to this sign-in", "at_hash": "ties the access token to this ID token", "amr": "how the person proved who they are",
		"acr": "how strong that proof was", "sid": "the session at the issuer", "jti": "this token’s own name", "scope": "what may be done with it",
		"email": "e-mail address", "email_verified": "whether the address was confirmed", "name": "full name", "given_name": "first name",
		"family_name": "last name", "preferred_username": "user name", "locale": "language", "zoneinfo": "time zone", "updated_at": "profile changed",
		"expires_in": "seconds until the access token ends", "nickname": "casual name", "birthdate": "date of birth",
	}
}

func parseViews() (*template.Template, error) { return template.ParseFS(files, "pages/*.html") }

// show renders a page; into memory first, so that one that fails is not half sent.
func (p *RelyingParty) show(w http.ResponseWriter, status int, name string, data any) {
	var out bytes.Buffer
	if err := p.views.ExecuteTemplate(&out, name, data); err != nil {
		p.o.Log.Error("demo page failed", "page", name, "cause", err.Error())
		http.Error(w, "The demo application has failed.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w) // a browser that went away needs no answer
}

func (p *RelyingParty) asset(name, contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		content, err := files.ReadFile("pages/" + name)
		if err != nil {
			http.Error(w, "not found", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Cache-Control", "max-age=300")
		_, _ = w.Write(content) // a browser that went away needs no answer
	}
}
