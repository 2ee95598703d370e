// Package realm owns what a tenant is: an issuer of its own with its rows, settings, flags, data key and every
// name made for it (cookie, cache, limit and log names, additional authenticated data).
//
// A Realm is a postgres.Rows, so whoever holds one reads in it and nowhere else; a Tx or a Writes carries its
// Realm along, so that what is written can be sealed and recorded without asking which realm it was.
// Directory finds realms by slug, host or id and caches them. Events of realms are in package event, which
// imports this one.
package realm

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

// Realm is a tenant: its rows and its facts. It is small, immutable and passed by value; the zero value belongs
// to no realm and must not be used.
type Realm struct {
	postgres.Rows
	*Facts
}

// Facts are what is known of a realm without reading its rows. They are shared and never changed.
type Facts struct {
	ID     uuid.UUID // random (version 4): its head names the realm's cookie
	Slug   string
	Name   string // what people are shown
	Issuer string // no trailing slash
	Hosts  []string
	// Enabled is false when an administrator switched the realm off: nothing is issued or accepted.
	Enabled  bool
	Settings Settings
	Flags    Flags
	// DataKey seals the realm's columns and derives its MAC keys.
	DataKey envelope.DataKey

	cookie string
	macs   *sync.Map // label → envelope.MAC
}

// Reserved slugs cannot be given to a realm.
func Reserved(slug string) bool {
	switch slug {
	case "system", "admin", "assets", "dev":
		return true
	}
	return false
}

// Cookie is the name of the realm's one cookie. Over http on loopback, which is development only, the __Host-
// prefix and with it Secure are dropped.
func (f *Facts) Cookie() string { return f.cookie }

func cookieName(id uuid.UUID, issuer string) string {
	name := "gh-" + hex.EncodeToString(id[:4])
	if strings.HasPrefix(issuer, "https://") {
		return "__Host-" + name
	}
	return name
}

// Secure tells whether the realm is served over https.
func (f *Facts) Secure() bool { return strings.HasPrefix(f.Issuer, "https://") }

// Path is the issuer's path: "" for a realm with a host of its own.
func (f *Facts) Path() string {
	u, err := url.Parse(f.Issuer)
	if err != nil {
		return ""
	}
	return u.Path
}

// LimitKey names a limit of the realm. The parts may hold anything: each carries its length, so that no two lists
// of parts make the same key.
func (f *Facts) LimitKey(parts ...string) string {
	key := appendID(make([]byte, 0, 160), f.ID)
	for _, part := range parts {
		key = strconv.AppendInt(append(key, '|'), int64(len(part)), 10)
		key = append(append(key, ':'), part...)
	}
	return string(key)
}

// appendID appends an id as its String method writes it, without a string of its own.
func appendID(b []byte, id uuid.UUID) []byte {
	for i, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, part)
	}
	return b
}

// AAD is what a sealed column is bound to.
func (f *Facts) AAD(table, column, row string) []byte {
	return envelope.AAD(f.ID, table, column, row)
}

// CSRF authenticates form tokens of the realm.
func (f *Facts) CSRF() envelope.MAC {
	mac, _ := f.MAC("web.csrf") // without a data key it is the zero value, which authenticates nothing
	return mac
}

// MAC is the realm's key for one purpose, derived once.
func (f *Facts) MAC(label string) (envelope.MAC, error) {
	if f.macs != nil {
		if kept, ok := f.macs.Load(label); ok {
			if mac, ok := kept.(envelope.MAC); ok {
				return mac, nil
			}
		}
	}
	mac, err := f.DataKey.MAC(label)
	if err != nil {
		return mac, fmt.Errorf("derive the realm's key for %s: %w", label, err)
	}
	if f.macs != nil {
		f.macs.Store(label, mac)
	}
	return mac, nil
}

// Tx is a transaction in a realm.
type Tx struct {
	*postgres.Tx
	realm Realm
}

// In is the realm of the transaction.
func (t Tx) In() Realm { return t.realm }

// Writes runs single statements that are each a whole change of a realm.
type Writes struct {
	postgres.Writes
	realm Realm
}

// In is the realm that is written.
func (w Writes) In() Realm { return w.realm }

// Writer is what domain functions that change rows take: a Tx or a Writes.
type Writer interface {
	postgres.Writer
	// In is the realm that is written.
	In() Realm
}

var (
	_ Writer = Tx{}
	_ Writer = Writes{}
)

// InTx runs fn in one transaction of the realm; see postgres.Rows.InTx.
func (r Realm) InTx(ctx context.Context, fn func(tx Tx) error) error {
	return r.Rows.InTx(ctx, func(tx *postgres.Tx) error { return fn(Tx{tx, r}) })
}

// Write is for one statement that is a whole change, its event included.
func (r Realm) Write() Writes { return Writes{r.Rows.Write(), r} }
