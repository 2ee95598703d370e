package realm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gatehouse-id/gatehouse/internal/mail"
)

// Settings of a realm. The zero value of every field means the default that WithDefaults fills in.
type Settings struct {
	// Locale is the language of pages when neither the request nor the browser asks for one we have.
	Locale string `json:"locale,omitempty" yaml:"locale,omitempty"`
	// SigningAlg signs access tokens, and ID tokens of applications that ask for no other: ES256 by default.
	SigningAlg string `json:"signing_alg,omitempty" yaml:"signing_alg,omitempty"`
	// StartURL is offered to people who end up on a page that leads nowhere else.
	StartURL string `json:"start_url,omitempty" yaml:"start_url,omitempty"`
	// StrictAssertionAudience accepts assertions of applications only when their aud is the issuer as a string, as
	// FAPI 2.0 and the successor of RFC 7523 ask; an application may be as strict in a realm that is not.
	StrictAssertionAudience bool      `json:"strict_assertion_audience,omitempty" yaml:"strict_assertion_audience,omitempty"`
	Lifetimes               Lifetimes `json:"lifetimes,omitzero" yaml:"lifetimes,omitempty"`
	// RateLimits are far above what an application under load does, and bound what one that went wild costs the others.
	RateLimits RateLimits     `json:"rate_limits,omitzero" yaml:"rate_limits,omitempty"`
	Throttling Throttling     `json:"throttling,omitzero" yaml:"throttling,omitempty"`
	Mail       Mail           `json:"mail,omitzero" yaml:"mail,omitempty"`
	Password   PasswordPolicy `json:"password,omitzero" yaml:"password,omitempty"`
	// Registration and Profile are what the page for a new account asks, and of whom; SignIn what else than a password
	// signs people in.
	Registration Registration    `json:"registration,omitzero" yaml:"registration,omitempty"`
	Profile      []ProfileField  `json:"profile,omitempty" yaml:"profile,omitempty"`
	SignIn       SignIn          `json:"sign_in,omitzero" yaml:"sign_in,omitempty"`
	Texts        map[string]Text `json:"texts,omitempty" yaml:"texts,omitempty"`
}

// Text overrides messages of one language: message key → text.
type Text map[string]string

// Mail is how the realm's mails present themselves. Their address is the operator's (GATEHOUSE_MAIL_FROM).
type Mail struct {
	// FromName stands beside the sender's address instead of the operator's choice.
	FromName string `json:"from_name,omitempty" yaml:"from_name,omitempty"`
	// ReplyTo is where answers go: local@domain or Name <local@domain>; nowhere by default.
	ReplyTo string `json:"reply_to,omitempty" yaml:"reply_to,omitempty"`
}

func (m Mail) check() []string {
	var wrong []string
	if len(m.FromName) > 100 || strings.ContainsFunc(m.FromName, unicode.IsControl) || !utf8.ValidString(m.FromName) {
		wrong = append(wrong, "mail.from_name: at most 100 bytes, on one line")
	}
	if m.ReplyTo != "" {
		if _, err := mail.ParseAddress(m.ReplyTo); err != nil {
			wrong = append(wrong, "mail.reply_to: "+err.Error())
		}
	}
	return wrong
}

// Lifetimes of what a realm hands out.
type Lifetimes struct {
	Code               Duration `json:"code,omitempty" yaml:"code,omitempty"`
	AccessToken        Duration `json:"access_token,omitempty" yaml:"access_token,omitempty"`
	IDToken            Duration `json:"id_token,omitempty" yaml:"id_token,omitempty"`
	SessionIdle        Duration `json:"session_idle,omitempty" yaml:"session_idle,omitempty"`
	SessionAbsolute    Duration `json:"session_absolute,omitempty" yaml:"session_absolute,omitempty"`
	PersistentIdle     Duration `json:"persistent_idle,omitempty" yaml:"persistent_idle,omitempty"`
	PersistentAbsolute Duration `json:"persistent_absolute,omitempty" yaml:"persistent_absolute,omitempty"`
	Flow               Duration `json:"flow,omitempty" yaml:"flow,omitempty"`
	RefreshIdle        Duration `json:"refresh_idle,omitempty" yaml:"refresh_idle,omitempty"`
	RefreshAbsolute    Duration `json:"refresh_absolute,omitempty" yaml:"refresh_absolute,omitempty"`
	// SigningKey is how long a key signs before its successor does.
	SigningKey Duration `json:"signing_key,omitempty" yaml:"signing_key,omitempty"`
}

// RateLimits are requests a second, with bursts of twice as many; beyond them the answer is 429 with Retry-After.
type RateLimits struct {
	// Client is per application, over the token, introspection and revocation endpoints: 20,000 by default. An
	// application without a secret has one such rate for each address, since anybody may say its client_id.
	Client int `json:"client,omitempty" yaml:"client,omitempty"`
	// Address is per client address, over the same endpoints and userinfo: 20,000 by default.
	Address int `json:"address,omitempty" yaml:"address,omitempty"`
	// Page is per client address, over everything that browsers show: 5,000 by default. Failed sign-ins have limits of
	// their own, which are lower by far (Throttling).
	Page int `json:"page,omitempty" yaml:"page,omitempty"`
}

const maxRate = 1_000_000

func (l *RateLimits) standard() []rate {
	return []rate{{"client", &l.Client, 20_000}, {"address", &l.Address, 20_000}, {"page", &l.Page, 5000}}
}

type rate struct {
	name     string
	value    *int
	standard int
}

const day = 24 * time.Hour

// bounds of each lifetime: default, smallest, largest.
func (l *Lifetimes) bounds() []lifetime {
	return []lifetime{
		{"code", &l.Code, time.Minute, 10 * time.Second, time.Minute},
		{"access_token", &l.AccessToken, 5 * time.Minute, 30 * time.Second, 15 * time.Minute},
		{"id_token", &l.IDToken, 10 * time.Minute, time.Minute, day},
		{"session_idle", &l.SessionIdle, 2 * time.Hour, 5 * time.Minute, 30 * day},
		{"session_absolute", &l.SessionAbsolute, 12 * time.Hour, 5 * time.Minute, 365 * day},
		{"persistent_idle", &l.PersistentIdle, 14 * day, 5 * time.Minute, 365 * day},
		{"persistent_absolute", &l.PersistentAbsolute, 30 * day, 5 * time.Minute, 365 * day},
		{"flow", &l.Flow, 30 * time.Minute, time.Minute, 2 * time.Hour},
		{"refresh_idle", &l.RefreshIdle, 14 * day, 5 * time.Minute, 365 * day},
		{"refresh_absolute", &l.RefreshAbsolute, 90 * day, 5 * time.Minute, 2 * 365 * day},
		{"signing_key", &l.SigningKey, 90 * day, 2 * day, 2 * 365 * day},
	}
}

type lifetime struct {
	name                       string
	value                      *Duration
	standard, smallest, longer time.Duration
}

// WithDefaults returns the settings with every default filled in.
func (s Settings) WithDefaults() Settings {
	for _, l := range s.Lifetimes.bounds() {
		if *l.value == 0 {
			*l.value = Duration(l.standard)
		}
	}
	for _, r := range s.RateLimits.standard() {
		if *r.value == 0 {
			*r.value = r.standard
		}
	}
	if s.Locale == "" {
		s.Locale = "en"
	}
	if s.SigningAlg == "" {
		s.SigningAlg = "ES256"
	}
	s.Throttling = s.Throttling.withDefaults()
	s.Password = s.Password.withDefaults()
	if s.Profile == nil {
		s.Profile = []ProfileField{{Claim: "name"}}
	}
	return s
}

// Check returns what is wrong with the settings, one sentence each; none when they can be used.
func (s Settings) Check() []string {
	var wrong []string
	for _, l := range s.Lifetimes.bounds() {
		if v := time.Duration(*l.value); v != 0 && (v < l.smallest || v > l.longer) {
			wrong = append(wrong, fmt.Sprintf("lifetimes.%s is %s; allowed are %s to %s", l.name, *l.value, Duration(l.smallest), Duration(l.longer)))
		}
	}
	for _, r := range s.RateLimits.standard() {
		if v := *r.value; v < 0 || v > maxRate {
			wrong = append(wrong, fmt.Sprintf("rate_limits.%s is %d; allowed are 1 to %d requests a second", r.name, v, maxRate))
		}
	}
	if alg := s.SigningAlg; alg != "" && !slices.Contains(SigningAlgs(), alg) {
		wrong = append(wrong, fmt.Sprintf("signing_alg is %q; allowed are %q", alg, SigningAlgs()))
	}
	wrong = append(wrong, s.Throttling.check()...)
	wrong = append(wrong, s.Password.check()...)
	wrong = append(wrong, s.checkAccounts()...)
	if s.StartURL != "" {
		if u, err := url.Parse(s.StartURL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			wrong = append(wrong, fmt.Sprintf("start_url: %q is not an http or https address", s.StartURL))
		}
	}
	return append(wrong, s.Mail.check()...)
}

// SigningAlgs lists the algorithms of signing keys, the preferred one first (RFC 7518 §3.1, RFC 8037 §3.1).
func SigningAlgs() []string { return []string{"ES256", "EdDSA", "PS256", "RS256"} }

// Flags are the mission's four switches. nil means the process's default.
type Flags struct {
	AllowAutoRegistration    *bool `json:"ALLOW_AUTO_REGISTRATION,omitempty" yaml:"ALLOW_AUTO_REGISTRATION,omitempty"`
	RequireEmailVerification *bool `json:"REQUIRE_EMAIL_VERIFICATION,omitempty" yaml:"REQUIRE_EMAIL_VERIFICATION,omitempty"`
	ForcePasswordRotation    *bool `json:"FORCE_PASSWORD_ROTATION,omitempty" yaml:"FORCE_PASSWORD_ROTATION,omitempty"`
	EnableMFA                *bool `json:"ENABLE_MFA,omitempty" yaml:"ENABLE_MFA,omitempty"`
}

// Or fills the flags that are left open from d.
func (f Flags) Or(d Flags) Flags {
	f.AllowAutoRegistration = cmp.Or(f.AllowAutoRegistration, d.AllowAutoRegistration)
	f.RequireEmailVerification = cmp.Or(f.RequireEmailVerification, d.RequireEmailVerification)
	f.ForcePasswordRotation = cmp.Or(f.ForcePasswordRotation, d.ForcePasswordRotation)
	f.EnableMFA = cmp.Or(f.EnableMFA, d.EnableMFA)
	return f
}

// Duration is a length of time that is written "90s", "15m", "12h" or "14d".
type Duration time.Duration

// String writes whole days as days and everything else as Go does.
func (d Duration) String() string {
	if v := time.Duration(d); v >= day && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	s := time.Duration(d).String()
	s = strings.TrimSuffix(s, "m0s") + map[bool]string{true: "m"}[strings.HasSuffix(s, "m0s")]
	return strings.TrimSuffix(s, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(s, "h0m")]
}

// ParseDuration reads what String writes; a number without a unit is refused.
func ParseDuration(s string) (Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a length of time; write for example 14d, 12h, 15m or 90s", s)
		}
		return Duration(time.Duration(n) * day), nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is not a length of time; write for example 14d, 12h, 15m or 90s", s)
	}
	return Duration(v), nil
}

// MarshalJSON writes the text form.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads the text form.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	return d.UnmarshalText([]byte(s))
}

// UnmarshalText reads the text form; YAML uses it.
func (d *Duration) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDuration(string(b))
	return err
}

// MarshalText writes the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
