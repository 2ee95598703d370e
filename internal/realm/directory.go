package realm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/envelope"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm/internal/db"
)

// Directory finds and prepares realms.
type Directory struct {
	o     Options
	cache *Cache[Realm]
}

// Options of a Directory.
type Options struct {
	DB      *postgres.DB
	Keyring *envelope.Keyring
	// PublicURL is the process's origin, without a trailing slash.
	PublicURL string
	// Defaults of the flags that a realm leaves open.
	Defaults Flags
	Now      func() time.Time
	Random   io.Reader
}

// record is a realm as the queries of this package read it.
type record db.RealmBySlugRow

// NewDirectory makes a directory with an empty cache.
func NewDirectory(o Options) *Directory {
	return &Directory{o: o, cache: NewCache[Realm](o.Now)}
}

// BySlug returns the realm of that slug, ErrUnknown when there is none. What no slug can be is unknown without
// asking: it comes from strangers and need not even be text.
func (d *Directory) BySlug(ctx context.Context, slug string) (Realm, error) {
	if !isSlug(slug) {
		return Realm{}, fmt.Errorf("realm: %w", ErrUnknown)
	}
	return d.cache.Get(ctx, Key{Kind: "slug", Name: slug}, func(ctx context.Context) (Realm, error) {
		return d.load(ctx, func(tx *postgres.GlobalTx) (record, error) {
			row, err := db.New().RealmBySlug(ctx, tx, slug)
			return record(row), err
		})
	})
}

// ByHost returns the realm that host belongs to, ErrUnknown when there is none. host has no port.
func (d *Directory) ByHost(ctx context.Context, host string) (Realm, error) {
	host = strings.ToLower(host)
	if !utf8.ValidString(host) {
		return Realm{}, fmt.Errorf("realm: %w", ErrUnknown)
	}
	return d.cache.Get(ctx, Key{Kind: "host", Name: host}, func(ctx context.Context) (Realm, error) {
		return d.load(ctx, func(tx *postgres.GlobalTx) (record, error) {
			row, err := db.New().RealmByHost(ctx, tx, host)
			return record(row), err
		})
	})
}

// ByID returns the realm of that id, ErrUnknown when there is none.
func (d *Directory) ByID(ctx context.Context, id uuid.UUID) (Realm, error) {
	return d.cache.Get(ctx, Key{Realm: id, Kind: "id"}, func(ctx context.Context) (Realm, error) {
		return d.load(ctx, func(tx *postgres.GlobalTx) (record, error) {
			row, err := db.New().RealmByID(ctx, tx, id)
			return record(row), err
		})
	})
}

// Slugs lists the realms by slug.
func (d *Directory) Slugs(ctx context.Context) (slugs []string, err error) {
	err = d.o.DB.GlobalTx(ctx, func(tx *postgres.GlobalTx) error {
		slugs, err = db.New().RealmSlugs(ctx, tx)
		return err
	})
	return slugs, err
}

// CacheStats describes the directory's cache.
func (d *Directory) CacheStats() map[string]CacheStats {
	return map[string]CacheStats{"realms": d.cache.Stats()}
}

// Forget drops what is cached of the realm, after this process changed it.
func (d *Directory) Forget(r Realm) {
	d.cache.Drop(Key{Kind: "slug", Name: r.Slug})
	d.cache.Drop(Key{Realm: r.ID, Kind: "id"})
	for _, h := range r.Hosts {
		d.cache.Drop(Key{Kind: "host", Name: h})
	}
}

func (d *Directory) load(ctx context.Context, read func(tx *postgres.GlobalTx) (record, error)) (Realm, error) {
	var row record
	err := d.o.DB.GlobalTx(ctx, func(tx *postgres.GlobalTx) (err error) {
		row, err = read(tx)
		return err
	})
	if postgres.NoRows(err) {
		return Realm{}, fmt.Errorf("realm: %w", ErrUnknown)
	}
	if err != nil {
		return Realm{}, fmt.Errorf("read a realm: %w", err)
	}
	return d.fromRow(row)
}

func (d *Directory) fromRow(row record) (Realm, error) {
	f := &Facts{macs: &sync.Map{}, ID: row.ID, Slug: row.Slug, Name: row.Name, Hosts: row.Hosts, Enabled: row.Status == "active"}
	f.Issuer = d.o.PublicURL + "/realms/" + row.Slug
	if len(row.Hosts) > 0 {
		f.Issuer = "https://" + row.Hosts[0]
	}
	if err := json.Unmarshal(row.Settings, &f.Settings); err != nil {
		return Realm{}, fmt.Errorf("read the settings of realm %s: %w", row.Slug, err)
	}
	if err := json.Unmarshal(row.Flags, &f.Flags); err != nil {
		return Realm{}, fmt.Errorf("read the flags of realm %s: %w", row.Slug, err)
	}
	f.Settings, f.Flags = f.Settings.WithDefaults(), f.Flags.Or(d.o.Defaults)
	if len(row.DataKey) > 0 {
		var err error
		if f.DataKey, err = d.o.Keyring.Unwrap(row.DataKey, f.AAD("realms", "data_key", row.ID.String())); err != nil {
			return Realm{}, fmt.Errorf("open the data key of realm %s (is GATEHOUSE_SECRET_KEY the one this database was started with?): %w", row.Slug, err)
		}
	}
	f.cookie = cookieName(f.ID, f.Issuer)
	return Realm{Rows: d.o.DB.Rows(f.ID), Facts: f}, nil
}

// New is a realm to be made.
type New struct {
	Slug, Name string
	Hosts      []string
	Settings   Settings
	Flags      Flags
}

// isSlug tells 1 to 63 lower-case letters, digits and hyphens, not at either end. It is asked at every request, where
// a regular expression would cost ten times as much.
func isSlug(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
}

// Check returns what is wrong with n, one sentence each.
func (n New) Check() []string {
	var wrong []string
	switch {
	case !isSlug(n.Slug):
		wrong = append(wrong, fmt.Sprintf("slug %q: 1 to 63 lower-case letters, digits and hyphens, not at either end", n.Slug))
	case Reserved(n.Slug):
		wrong = append(wrong, fmt.Sprintf("slug %q is reserved", n.Slug))
	}
	if n.Name == "" || len(n.Name) > 200 {
		wrong = append(wrong, "name: 1 to 200 bytes")
	}
	for _, h := range n.Hosts {
		if u, err := url.Parse("https://" + h); err != nil || u.Host != h || strings.ToLower(h) != h || u.Port() != "" || u.Hostname() == "" {
			wrong = append(wrong, fmt.Sprintf("host %q: a lower-case host name without scheme, port or path", h))
		}
	}
	return append(wrong, n.Settings.Check()...)
}

// Create makes a realm with a fresh data key and calls then in the same transaction, to fill it and to record
// event.RealmCreated. Two realms of one slug: postgres.UniqueViolation.
func (d *Directory) Create(ctx context.Context, n New, then func(tx Tx) error) (Realm, error) {
	if wrong := n.Check(); len(wrong) > 0 {
		return Realm{}, errors.New(strings.Join(wrong, "; "))
	}
	id, err := uuid.NewRandomFromReader(d.o.Random)
	if err != nil {
		return Realm{}, fmt.Errorf("make a realm id: %w", err)
	}
	sealed, err := d.newDataKey(id)
	if err != nil {
		return Realm{}, err
	}
	row := record{ID: id, Slug: n.Slug, Name: n.Name, Status: "active", DataKey: sealed, Hosts: n.Hosts}
	if row.Settings, err = json.Marshal(n.Settings); err != nil {
		return Realm{}, err
	}
	if row.Flags, err = json.Marshal(n.Flags); err != nil {
		return Realm{}, err
	}
	r, err := d.fromRow(row)
	if err != nil {
		return Realm{}, err
	}
	err = r.InTx(ctx, func(tx Tx) error {
		if err := db.New().InsertRealm(ctx, tx, db.InsertRealmParams{
			ID: id, Slug: n.Slug, Name: n.Name, DataKey: sealed, Settings: row.Settings, Flags: row.Flags, Now: d.o.Now(),
		}); err != nil {
			return fmt.Errorf("insert realm %s: %w", n.Slug, err)
		}
		if len(n.Hosts) > 0 {
			if err := db.New().InsertRealmHosts(ctx, tx, n.Hosts); err != nil {
				return fmt.Errorf("insert the hosts of realm %s: %w", n.Slug, err)
			}
		}
		return then(tx)
	})
	d.Forget(r) // also forgets that it was unknown
	return r, err
}

func (d *Directory) newDataKey(id uuid.UUID) ([]byte, error) {
	key, err := envelope.NewDataKey(d.o.Random)
	if err != nil {
		return nil, fmt.Errorf("make a data key: %w", err)
	}
	return d.o.Keyring.Wrap(key, envelope.AAD(id, "realms", "data_key", id.String()))
}

// Update writes name, settings, flags and hosts of a realm; the caller records event.RealmUpdated in tx and calls
// Forget after the commit.
func Update(ctx context.Context, tx Tx, n New, now time.Time) error {
	settings, err := json.Marshal(n.Settings)
	if err != nil {
		return err
	}
	flags, err := json.Marshal(n.Flags)
	if err != nil {
		return err
	}
	q := db.New()
	if err := q.UpdateRealm(ctx, tx, db.UpdateRealmParams{Name: n.Name, Settings: settings, Flags: flags, Now: now}); err != nil {
		return fmt.Errorf("update realm %s: %w", n.Slug, err)
	}
	if err := q.DeleteRealmHosts(ctx, tx); err != nil {
		return fmt.Errorf("update the hosts of realm %s: %w", n.Slug, err)
	}
	return q.InsertRealmHosts(ctx, tx, n.Hosts)
}

// Stored returns what the realm's row holds, defaults not filled in, and locks the row.
func Stored(ctx context.Context, tx Tx) (New, error) {
	row, err := db.New().LockRealm(ctx, tx)
	if err != nil {
		return New{}, fmt.Errorf("read the realm's row: %w", err)
	}
	n := New{Slug: row.Slug, Name: row.Name, Hosts: row.Hosts}
	return n, errors.Join(json.Unmarshal(row.Settings, &n.Settings), json.Unmarshal(row.Flags, &n.Flags))
}

// Prepare makes sure that the process can work on this database: the data key of the realm "system" is sealed at
// the first start and opened at every other, so that a wrong GATEHOUSE_SECRET_KEY stops the start instead of
// destroying data. record is called, in the transaction, when the key was made.
func (d *Directory) Prepare(ctx context.Context, record func(tx Tx) error) error {
	r, err := d.BySlug(ctx, "system")
	if err != nil || !r.DataKey.IsZero() {
		return err
	}
	sealed, err := d.newDataKey(r.ID)
	if err != nil {
		return err
	}
	key, err := d.o.Keyring.Unwrap(sealed, r.AAD("realms", "data_key", r.ID.String()))
	if err != nil {
		return err
	}
	keyed := *r.Facts
	keyed.DataKey, keyed.macs = key, &sync.Map{}
	err = Realm{Rows: r.Rows, Facts: &keyed}.InTx(ctx, func(tx Tx) error {
		n, err := db.New().SetFirstDataKey(ctx, tx, db.SetFirstDataKeyParams{DataKey: sealed, Now: d.o.Now()})
		if err != nil || n == 0 { // another process was faster: its key is read below
			return err
		}
		return record(tx)
	})
	if err != nil {
		return fmt.Errorf("seal the first data key: %w", err)
	}
	d.Forget(r)
	_, err = d.BySlug(ctx, "system")
	return err
}
