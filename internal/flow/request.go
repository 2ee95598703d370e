package flow

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is what steps need to know of the authorization request.
type Request struct {
	Prompt    []string
	MaxAge    *time.Duration // nil: not asked for
	LoginHint string
	UILocales string
	// Scopes are those asked for, each once.
	Scopes []string
	// RedirectURI is where the answer goes.
	RedirectURI string
	// HintSubject is the sub of a verified id_token_hint: who is expected to be there. "" without one.
	HintSubject string
}

// Asks tells whether prompt has a value.
func (q Request) Asks(prompt string) bool { return slices.Contains(q.Prompt, prompt) }

// ParseRequest reads what steps need of an authorization request whose parameters were checked before. HintSubject
// is left to whoever verified the hint.
func ParseRequest(form url.Values) Request {
	q := Request{
		Prompt: strings.Fields(form.Get("prompt")), LoginHint: form.Get("login_hint"), UILocales: form.Get("ui_locales"),
		RedirectURI: form.Get("redirect_uri"),
	}
	for _, scope := range strings.Fields(form.Get("scope")) {
		if !slices.Contains(q.Scopes, scope) {
			q.Scopes = append(q.Scopes, scope)
		}
	}
	if v := form.Get("max_age"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
			age := time.Duration(n) * time.Second
			q.MaxAge = &age
		}
	}
	return q
}
