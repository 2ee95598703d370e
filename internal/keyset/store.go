package keyset

import (
	"context"
	"crypto"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/keyset/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Store reads rings, from a cache, and makes keys.
type Store struct {
	now    func() time.Time
	random io.Reader
	cache  *realm.Cache[*Ring]
}

// NewStore makes a store with an empty cache. random makes key ids.
func NewStore(now func() time.Time, random io.Reader) *Store {
	return &Store{now: now, random: random, cache: realm.NewCache[*Ring](now)}
}

// Watched are the store's caches, which hold of the table keys.
func (s *Store) Watched() []realm.Watched { return []realm.Watched{s.cache} }

// CacheStats describes the store's cache.
func (s *Store) CacheStats() map[string]realm.CacheStats {
	return map[string]realm.CacheStats{"keys": s.cache.Stats()}
}

// Ring returns the realm's keys.
func (s *Store) Ring(ctx context.Context, r realm.Realm) (*Ring, error) {
	return s.cache.Get(ctx, r.CacheKey(""), func(ctx context.Context) (*Ring, error) {
		rows, err := db.New().Keys(ctx, r, s.now().Add(-Hints))
		if err != nil {
			return nil, fmt.Errorf("read the realm's keys: %w", err)
		}
		var keys []*Key
		for _, row := range rows {
			k, err := open(r, row)
			if err != nil {
				return nil, fmt.Errorf("open key %s: %w", row.Kid, err)
			}
			keys = append(keys, k)
		}
		return newRing(keys, s.now())
	})
}

// Algorithms lists those that the realm has an active key of, as r sees it.
func (s *Store) Algorithms(ctx context.Context, r postgres.Reader) ([]string, error) {
	list, err := s.List(ctx, r)
	if err != nil {
		return nil, err
	}
	var algorithms []string
	for _, k := range list {
		if k.State == Active {
			algorithms = append(algorithms, k.Alg)
		}
	}
	return algorithms, nil
}

// Signer returns the realm's active key of an algorithm, and makes it when the realm has none yet: keys other than
// the first are made on first use.
func (s *Store) Signer(ctx context.Context, r realm.Realm, alg string) (*Key, error) {
	ring, err := s.Ring(ctx, r)
	if err != nil {
		return nil, err
	}
	if k, err := ring.Active(alg); err == nil {
		return k, nil
	}
	private, err := generate(alg) // an RSA key takes a while, so outside of the transaction
	if err != nil {
		return nil, fmt.Errorf("make a signing key: %w", err)
	}
	err = r.InTx(ctx, func(tx realm.Tx) error {
		_, err := s.add(ctx, tx, alg, Active, private)
		return err
	})
	s.cache.Drop(r.CacheKey(""))
	if err != nil && !postgres.UniqueViolation(err, "keys_active") { // another process may have been faster
		return nil, err
	}
	if ring, err = s.Ring(ctx, r); err != nil {
		return nil, err
	}
	return ring.Active(alg)
}

func open(r realm.Realm, row db.KeysRow) (*Key, error) {
	plain, err := r.DataKey.Open(row.PrivateKey, r.AAD("keys", "private_key", row.Kid))
	if err != nil {
		return nil, err
	}
	private, err := decodePrivate(plain)
	if err != nil {
		return nil, err
	}
	return newKey(row.Kid, row.Alg, row.State, row.Since, private)
}

// Make gives the realm an active key of that algorithm, which it must not have yet, and returns its id.
func (s *Store) Make(ctx context.Context, tx realm.Tx, alg string) (string, error) {
	private, err := generate(alg)
	if err != nil {
		return "", fmt.Errorf("make a signing key: %w", err)
	}
	return s.add(ctx, tx, alg, Active, private)
}

func (s *Store) add(ctx context.Context, tx realm.Tx, alg, state string, private crypto.Signer) (string, error) {
	plain, err := encodePrivate(private)
	if err != nil {
		return "", fmt.Errorf("encode a signing key: %w", err)
	}
	var b [12]byte
	if _, err := io.ReadFull(s.random, b[:]); err != nil {
		return "", fmt.Errorf("make a key id: %w", err)
	}
	// In hexadecimal, since it is typed behind `keys revoke`, where a leading dash would make it an option.
	r, kid, now := tx.In(), hex.EncodeToString(b[:]), s.now()
	sealed, err := r.DataKey.Seal(plain, r.AAD("keys", "private_key", kid))
	if err != nil {
		return "", fmt.Errorf("seal a signing key: %w", err)
	}
	if err := db.New().InsertKey(ctx, tx, db.InsertKeyParams{Kid: kid, Alg: alg, State: state, PrivateKey: sealed, Now: now}); err != nil {
		return "", fmt.Errorf("insert a signing key: %w", err)
	}
	s.cache.Drop(r.CacheKey(""))
	return kid, event.Record(ctx, tx, Made{Subject: event.Subject{Object: kid}, Alg: alg, State: state}, now)
}

// Made says that the realm got a signing key, which signs at once or next.
type Made struct {
	event.Subject `json:"-"`
	Alg           string `json:"alg"`
	State         string `json:"state"`
}

// Type implements event.Event.
func (Made) Type() string { return "key.made" }
