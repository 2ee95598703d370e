package client

import (
	"time"

	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Lifetimes of a client's tokens. Zero takes the realm's; a longer one than the realm's has no effect, so that a realm's
// bound holds for all its clients.
type Lifetimes struct {
	AccessToken     realm.Duration `json:"access_token" yaml:"access_token"`
	IDToken         realm.Duration `json:"id_token" yaml:"id_token"`
	RefreshIdle     realm.Duration `json:"refresh_idle" yaml:"refresh_idle"`
	RefreshAbsolute realm.Duration `json:"refresh_absolute" yaml:"refresh_absolute"`
}

// Within returns the realm's lifetimes as they are for the client.
func (l Lifetimes) Within(r realm.Lifetimes) realm.Lifetimes {
	for _, p := range []struct {
		realm  *realm.Duration
		client realm.Duration
	}{
		{&r.AccessToken, l.AccessToken},
		{&r.IDToken, l.IDToken},
		{&r.RefreshIdle, l.RefreshIdle},
		{&r.RefreshAbsolute, l.RefreshAbsolute},
	} {
		if p.client != 0 && p.client < *p.realm {
			*p.realm = p.client
		}
	}
	return r
}

// check returns what is wrong with the lifetimes, by the bounds of the realm's.
func (l Lifetimes) check() []string {
	return realm.Settings{Lifetimes: realm.Lifetimes{
		AccessToken: l.AccessToken, IDToken: l.IDToken, RefreshIdle: l.RefreshIdle, RefreshAbsolute: l.RefreshAbsolute,
	}}.Check()
}

// seconds and duration are the columns' form and back.
func seconds(d realm.Duration) int32 { return int32(time.Duration(d) / time.Second) } //nolint:gosec // at most two years

func duration(seconds int32) realm.Duration {
	return realm.Duration(time.Duration(seconds) * time.Second)
}
