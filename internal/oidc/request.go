package oidc

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

const (
	modeQuery    = "query"
	modeFormPost = "form_post"

	maxScopes = 50
)

// authorization is a checked authorization request.
type authorization struct {
	client      *client.Client
	form        url.Values
	redirectURI string
	state       string
	mode        string
	scopes      []string
	resources   []string
	prompt      []string
	// hintSubject is the sub of a valid id_token_hint, "" without one.
	hintSubject string
}

// checkRequest checks an authorization request in the order that decides where its errors go. When client and
// redirect address are not trusted it returns no authorization and an error for a page of ours, never a redirect
// (RFC 6749 §4.1.2.1). Otherwise the authorization is returned, and with it a *protocolError when something else is
// wrong.
func (p *Provider) checkRequest(ctx context.Context, r realm.Realm, form url.Values) (*authorization, error) {
	for _, name := range []string{"client_id", "redirect_uri", "response_mode", "state"} {
		if len(form[name]) > 1 {
			return nil, problem.New(problem.InvalidRequest).WithHint("The parameter %s is given %d times; it may be given once.", name, len(form[name]))
		}
	}
	c, err := p.clientOf(ctx, r, form.Get("client_id"))
	if err != nil {
		return nil, err
	}
	uri := form.Get("redirect_uri")
	if !c.AllowsRedirect(uri) {
		return nil, problem.New(problem.RedirectDenied).WithHint("%s", c.ExplainRedirect(uri))
	}
	q := &authorization{client: c, form: form, redirectURI: uri, state: form.Get("state"), mode: modeQuery}
	for _, check := range []func(*authorization) *protocolError{
		checkMode, checkRepeats, checkText, checkUnsupported, checkResponseType, checkScope, checkPKCE, checkPrompt, checkMaxAge, checkResource,
	} {
		if refusal := check(q); refusal != nil {
			return q, refusal
		}
	}
	if err := p.checkHint(ctx, r, q); err != nil {
		return q, err
	}
	return q, nil
}

func (p *Provider) clientOf(ctx context.Context, r realm.Realm, id string) (*client.Client, error) {
	if id == "" {
		return nil, problem.New(problem.ClientUnknown).WithHint("The parameter client_id is missing.")
	}
	c, err := p.Clients.ByClientID(ctx, r, id)
	switch {
	case errors.Is(err, realm.ErrUnknown):
		return nil, problem.New(problem.ClientUnknown).WithHint(
			"The realm %s has no application with client_id %q. Compare it with the realm file, or add the application there and run: gatehouse realm apply -f FILE", r.Slug, id)
	case err != nil:
		return nil, err
	case !c.Enabled:
		return nil, problem.New(problem.ClientUnknown).WithHint("The application %s is switched off (enabled: false).", id)
	}
	return c, nil
}

func checkMode(q *authorization) *protocolError {
	switch mode := q.form.Get("response_mode"); mode {
	case "", modeQuery:
	case modeFormPost:
		q.mode = modeFormPost
	default:
		return refuse(codeInvalidRequest, "The response_mode is not supported; use query or form_post.")
	}
	return nil
}

// checkRepeats refuses repeated parameters (RFC 6749 §3.1); resource may be given several times (RFC 8707 §2).
func checkRepeats(q *authorization) *protocolError {
	if name := repeated(q.form); name != "" {
		return refuse(codeInvalidRequest, "The parameter "+printable(name)+" is given more than once.")
	}
	return nil
}

// checkText refuses what is no text: nothing that is kept of a request, or shown, may be anything else.
func checkText(q *authorization) *protocolError {
	for _, values := range q.form {
		for _, v := range values {
			if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
				return refuse(codeInvalidRequest, "A parameter is not UTF-8 text.")
			}
		}
	}
	return nil
}

func repeated(form url.Values) string {
	for name, values := range form {
		if len(values) > 1 && name != "resource" && name != "audience" {
			return name
		}
	}
	return ""
}

// printable keeps a parameter's name within the characters that error_description allows (RFC 6749 §4.1.2.1).
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return -1
		}
		return r
	}, s)
	return s[:min(len(s), 40)]
}

// checkUnsupported refuses what OpenID Connect Core §6 and §7 let a provider refuse by name. A parameter without a
// value counts as absent, here and everywhere (RFC 6749 §3.1).
func checkUnsupported(q *authorization) *protocolError {
	switch {
	case q.form.Get("request") != "":
		return refuse(codeRequestUnsupported, "Request objects are not supported.")
	case q.form.Get("request_uri") != "":
		return refuse(codeRequestURI, "The parameter request_uri is not supported.")
	case q.form.Get("registration") != "":
		return refuse(codeRegistration, "The parameter registration is not supported.")
	}
	return nil
}

func checkResponseType(q *authorization) *protocolError {
	switch {
	case q.form.Get("response_type") == "":
		return refuse(codeInvalidRequest, "The parameter response_type is missing.")
	case !slices.Contains(q.client.ResponseTypes, q.form.Get("response_type")):
		return refuse(codeUnsupportedResponse, describe(codeUnsupportedResponse))
	case !slices.Contains(q.client.GrantTypes, "authorization_code"):
		return refuse(codeUnauthorizedClient, describe(codeUnauthorizedClient))
	}
	return nil
}

func checkScope(q *authorization) *protocolError {
	for _, scope := range strings.Fields(q.form.Get("scope")) {
		if !slices.Contains(q.client.Scopes, scope) {
			return refuse(codeInvalidScope, describe(codeInvalidScope))
		}
		if !slices.Contains(q.scopes, scope) {
			q.scopes = append(q.scopes, scope)
		}
	}
	if len(q.scopes) == 0 {
		return refuse(codeInvalidScope, "The parameter scope is missing; OpenID Connect needs at least openid.")
	}
	if len(q.scopes) > maxScopes {
		return refuse(codeInvalidScope, "Too many scopes.")
	}
	return nil
}

// checkPKCE demands PKCE where the application's policy does, and S256 wherever it is used (RFC 7636, RFC 9700
// §2.1.1).
func checkPKCE(q *authorization) *protocolError {
	challenge, method := q.form.Get("code_challenge"), q.form.Get("code_challenge_method")
	switch {
	case challenge == "" && method != "":
		return refuse(codeInvalidRequest, "There is a code_challenge_method but no code_challenge.")
	case challenge == "" && (q.client.PKCE == "required" || q.client.Public()):
		return refuse(codeInvalidRequest, "PKCE is required: send code_challenge and code_challenge_method=S256.")
	case challenge == "":
		return nil
	case method != "S256":
		return refuse(codeInvalidRequest, "The code_challenge_method must be S256.")
	case len(challenge) != 43 || strings.ContainsFunc(challenge, notBase64URL):
		return refuse(codeInvalidRequest, "The code_challenge is not the base64url of a SHA-256.")
	}
	return nil
}

func notBase64URL(r rune) bool {
	return (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func checkPrompt(q *authorization) *protocolError {
	q.prompt = strings.Fields(q.form.Get("prompt"))
	for _, v := range q.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account", "create"}, v) {
			return refuse(codeInvalidRequest, "The parameter prompt has an unknown value.")
		}
	}
	if slices.Contains(q.prompt, "none") && len(q.prompt) > 1 {
		return refuse(codeInvalidRequest, "The prompt none cannot be combined with others.")
	}
	return nil
}

func checkMaxAge(q *authorization) *protocolError {
	v := q.form.Get("max_age")
	if v == "" {
		return nil
	}
	if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 0 {
		return refuse(codeInvalidRequest, "The parameter max_age is a number of seconds, 0 or more.")
	}
	return nil
}

// checkResource lets tokens name only audiences on the application's list (RFC 8707 §2).
func checkResource(q *authorization) *protocolError {
	for _, resource := range q.form["resource"] {
		if resource == "" {
			continue
		}
		if !slices.Contains(q.client.Audiences, resource) {
			return refuse(codeInvalidTarget, "A requested resource is unknown or not allowed for this client.")
		}
		q.resources = append(q.resources, resource)
	}
	if len(q.resources) == 0 {
		q.resources = q.client.Audiences
	}
	return nil
}

// checkHint verifies an id_token_hint; its expiry does not matter (OpenID Connect Core §3.1.2.1).
func (p *Provider) checkHint(ctx context.Context, r realm.Realm, q *authorization) error {
	hint := q.form.Get("id_token_hint")
	if hint == "" {
		return nil
	}
	claims, err := p.verifyHint(ctx, r, hint)
	if err != nil {
		return err
	}
	q.hintSubject = claims.Subject
	return nil
}

// narrow leaves only the scopes that the person allowed. A decision never adds any.
func (q *authorization) narrow(allowed []string) {
	q.scopes = slices.DeleteFunc(slices.Clone(q.scopes), func(scope string) bool { return !slices.Contains(allowed, scope) })
}

// forFosite is the request as fosite sees it: with what this package decides itself (prompt, max_age, hints) taken
// out, and with a stand-in for a missing state, which fosite demands and the protocol does not.
func (q *authorization) forFosite() *http.Request {
	form := make(url.Values, len(q.form))
	for _, name := range []string{"client_id", "response_type", "redirect_uri", "scope", "nonce", "code_challenge", "code_challenge_method"} {
		if v := q.form.Get(name); v != "" {
			form.Set(name, v)
		}
	}
	form.Set("state", placeholderState)
	for _, resource := range q.resources {
		form.Add("audience", resource)
	}
	return &http.Request{Method: http.MethodGet, Header: http.Header{}, Form: form, PostForm: url.Values{}}
}

const placeholderState = "state"

// kept are the parameters that the token endpoint needs again.
func (q *authorization) kept() map[string]string {
	kept := map[string]string{}
	for _, name := range []string{"redirect_uri", "nonce", "code_challenge", "code_challenge_method"} {
		if v := q.form.Get(name); v != "" {
			kept[name] = v
		}
	}
	return kept
}
