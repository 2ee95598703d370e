// Package demo is what a newcomer sees first: a realm to sign in to and an application to sign in with.
//
// RealmFile makes the realm file of the demo realm. RelyingParty is a small web application that signs people in by
// authorization code and PKCE through a library that nobody here wrote (coreos/go-oidc) and shows everything it was
// given: tokens, their claims, and the answer of the userinfo endpoint. It knows Gatehouse by discovery alone, as any
// application does, and it is worth reading as an example.
//
// It is for one's own machine: it shows tokens, keeps everything in memory, and refuses to live anywhere but on a
// loopback address. Whoever serves it listens there.
package demo

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/template"
)

// What the demo realm's file is filled with.
const (
	Slug     = "demo"
	ClientID = "demo"
	Username = "ana"
	Email    = "ana@demo.test"
	// BaseURL is where the demo application is served, unless the caller chooses another loopback address.
	BaseURL = "http://127.0.0.1:8090"
)

const callbackPath = "/callback"

//go:embed pages realm.yaml.tmpl
var files embed.FS

// Params of the demo realm.
type Params struct {
	// Password is the demo user's; it has to meet the default policy.
	Password string
	// ClientSecret is the demo application's, at least 32 characters.
	ClientSecret string
	// BaseURL of the demo application; "" takes the constant.
	BaseURL string
}

// RealmFile is the demo realm's file, ready to be read by package realmfile. It holds the two secrets in plain text.
func RealmFile(p Params) ([]byte, error) {
	if p.Password == "" || p.ClientSecret == "" {
		return nil, errors.New("the demo realm needs a password and a client secret")
	}
	if p.BaseURL == "" {
		p.BaseURL = BaseURL
	}
	t, err := template.New("realm.yaml.tmpl").Funcs(template.FuncMap{"quote": quote}).ParseFS(files, "realm.yaml.tmpl")
	if err != nil {
		return nil, fmt.Errorf("read the demo realm's template: %w", err)
	}
	var out bytes.Buffer
	err = t.Execute(&out, map[string]string{
		"Slug": Slug, "ClientID": ClientID, "Username": Username, "Email": Email,
		"Password": p.Password, "ClientSecret": p.ClientSecret,
		"Callback": p.BaseURL + callbackPath, "Home": p.BaseURL + "/",
	})
	return out.Bytes(), err
}

// quote writes a text so that YAML and the realm file's references take it as it is: JSON's strings are YAML's, too.
func quote(s string) (string, error) {
	quoted, err := json.Marshal(s)
	return strings.ReplaceAll(string(quoted), "${", "$${"), err
}
