package consent

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/flow"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Fields are what the page shows.
type Fields struct {
	// App is the application's name, Host the website that its answer goes to; "" when that is a program on the
	// person's own device.
	App, Host string
	// Publisher is who makes the application; PolicyURI and TOSURI are its privacy policy and terms. Each may be "".
	Publisher, PolicyURI, TOSURI string
	// Name is who is signed in, Handle what tells them apart from others of the name; Handle may be "".
	Name, Handle string
	// Groups are what the person is asked about.
	Groups []Group
	// Before are what they allowed earlier and goes with it.
	Before []Scope
	// Audiences are the services that the application wants to use for the person.
	Audiences []string
	// Life says how long the access lasts.
	Life flow.Message
	// OfferRemember shows the box that makes the answer count for the next time; Remember ticks it.
	OfferRemember, Remember bool
}

// Group is some of the scopes, under a heading.
type Group struct {
	// Title is a message key.
	Title  string
	Scopes []Scope
}

// Scope is one thing that may be allowed.
type Scope struct {
	// ID and Field are the id and name of its box.
	ID, Field string
	// Name is the scope as the protocol names it.
	Name string
	// Text and Hint are message keys; Known is false for a scope that only the application's makers can explain, whose
	// text shows the name.
	Text, Hint string
	Known      bool
	// Fixed ones cannot be left out.
	Fixed, Ticked bool
}

// The groups of scopes, in their order on the page.
const (
	groupWho  = "consent.group.who"
	groupData = "consent.group.data"
	groupAway = "consent.group.away"
)

// group is where a scope stands.
func group(scope string) string {
	switch scope {
	case openid, "profile", "email", "phone", "address":
		return groupWho
	case "offline_access":
		return groupAway
	}
	return groupData
}

// Page implements flow.Step.
func (Step) Page(_ context.Context, r realm.Realm, s *flow.State) (flow.Page, error) {
	return page(r, s, s.Request.Scopes, true), nil
}

// page shows the scopes that are asked about, those in chosen ticked.
func page(r realm.Realm, s *flow.State, chosen []string, remember bool) flow.Page {
	list, before := asked(s)
	f := Fields{
		App: s.Client.Name, Host: host(s.Request.RedirectURI),
		Publisher: s.Client.Publisher, PolicyURI: s.Client.PolicyURI, TOSURI: s.Client.TOSURI, Name: s.User.Display(), Handle: s.User.Handle(),
		Audiences: audiences(s), Life: life(r, s), OfferRemember: remembers(s), Remember: remember,
	}
	for _, title := range []string{groupWho, groupData, groupAway} {
		g := Group{Title: title}
		for i, scope := range list {
			if group(scope) == title {
				g.Scopes = append(g.Scopes, describe(scope, i, slices.Contains(chosen, scope)))
			}
		}
		if len(g.Scopes) > 0 {
			f.Groups = append(f.Groups, g)
		}
	}
	for _, scope := range before {
		f.Before = append(f.Before, describe(scope, 0, true))
	}
	return flow.Page{Title: flow.Message{Key: "consent.title", Params: map[string]any{"app": s.Client.Name}}, Fields: f}
}

func describe(scope string, i int, ticked bool) Scope {
	d := Scope{ID: "scope-" + strconv.Itoa(i), Field: field(scope), Name: scope, Text: "consent.scope.other", Ticked: ticked, Fixed: scope == openid}
	if known := group(scope) != groupData; known {
		d.Text, d.Hint, d.Known = "consent.scope."+scope, "consent.scope."+scope+"_hint", true
	}
	return d
}

// host is the website that an answer goes to.
func host(redirectURI string) string {
	if onDevice(redirectURI) != "" {
		return ""
	}
	u, err := url.Parse(redirectURI)
	if err != nil {
		return ""
	}
	return u.Host
}

// audiences are the services that tokens may be used at: those asked for, else the application's own.
func audiences(s *flow.State) []string {
	var list []string
	for _, resource := range s.Form["resource"] {
		if resource != "" && slices.Contains(s.Client.Audiences, resource) {
			list = append(list, resource)
		}
	}
	if len(list) == 0 {
		return s.Client.Audiences
	}
	return list
}

// life is how long what is allowed lasts.
func life(r realm.Realm, s *flow.State) flow.Message {
	lifetimes := s.Client.Lifetimes.Within(r.Settings.Lifetimes)
	if !slices.Contains(s.Client.GrantTypes, "refresh_token") {
		minutes := int(time.Duration(lifetimes.AccessToken) / time.Minute)
		return flow.Message{Key: "consent.life_once", Params: map[string]any{"n": max(minutes, 1)}}
	}
	if !slices.Contains(s.Request.Scopes, "offline_access") {
		return flow.Message{Key: "consent.life_session"}
	}
	days := int(time.Duration(lifetimes.RefreshAbsolute) / (24 * time.Hour))
	return flow.Message{Key: "consent.life_offline", Params: map[string]any{"n": max(days, 1)}}
}

// session is the session's id; uuid.Nil without one.
func session(s *flow.State) uuid.UUID {
	if s.Session == nil {
		return uuid.Nil
	}
	return s.Session.ID
}
