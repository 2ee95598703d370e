package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/client/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Store reads clients, from a cache, and writes them.
type Store struct {
	now     func() time.Time
	cache   *realm.Cache[*Client]
	origins *realm.Cache[bool]
}

// NewStore makes a store with an empty cache.
func NewStore(now func() time.Time) *Store {
	return &Store{now: now, cache: realm.NewCache[*Client](now), origins: realm.NewCache[bool](now)}
}

// ByClientID returns the client, enabled or not; realm.ErrUnknown when the realm has none of that client_id. It is shared
// and must not be changed. What no client_id can be is unknown without asking: it comes from strangers and need not even
// be text.
func (s *Store) ByClientID(ctx context.Context, r realm.Realm, clientID string) (*Client, error) {
	if CheckID(clientID) != "" {
		return nil, fmt.Errorf("client: %w", realm.ErrUnknown)
	}
	c, err := s.cached(ctx, r, clientID)
	if err == nil && !s.now().Before(c.secretsUntil) {
		s.cache.Drop(r.CacheKey(clientID)) // one of its secrets has ended since it was read
		return s.cached(ctx, r, clientID)
	}
	return c, err
}

// never stands for the end of what does not end.
func never() time.Time { return time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC) }

func (s *Store) cached(ctx context.Context, r realm.Realm, clientID string) (*Client, error) {
	return s.cache.Get(ctx, r.CacheKey(clientID), func(ctx context.Context) (*Client, error) {
		now := s.now()
		row, err := db.New().ClientByClientID(ctx, r, db.ClientByClientIDParams{ClientID: clientID, Now: &now, Never: never()})
		if postgres.NoRows(err) {
			return nil, fmt.Errorf("client: %w", realm.ErrUnknown)
		}
		if err != nil {
			return nil, fmt.Errorf("read a client: %w", err)
		}
		c, err := fromRow(row.Client)
		if err == nil {
			err = c.readKeys()
		}
		if err != nil {
			return nil, fmt.Errorf("read the keys of client %s: %w", clientID, err)
		}
		c.SecretHashes, c.secretsUntil = row.Secrets, row.SecretsUntil
		return &c, nil
	})
}

// Watched are the store's caches, which hold of the tables clients and client_secrets.
func (s *Store) Watched() []realm.Watched { return []realm.Watched{s.cache, s.origins} }

// CacheStats describes the store's caches by name.
func (s *Store) CacheStats() map[string]realm.CacheStats {
	return map[string]realm.CacheStats{"clients": s.cache.Stats(), "origins": s.origins.Stats()}
}

// OriginKnown tells whether any enabled client of the realm lists that origin.
func (s *Store) OriginKnown(ctx context.Context, r realm.Realm, origin string) (bool, error) {
	if !utf8.ValidString(origin) {
		return false, nil
	}
	return s.origins.Get(ctx, r.CacheKey(origin), func(ctx context.Context) (bool, error) {
		known, err := db.New().OriginKnown(ctx, r, origin)
		if err != nil {
			return false, fmt.Errorf("look for an origin: %w", err)
		}
		return known, nil
	})
}

func fromRow(row db.Client) (Client, error) {
	issuers, err := decodeIssuers(row.TrustedIssuers)
	return Client{
		ID: row.ID, ClientID: row.ClientID, Name: row.Name, Enabled: row.Status == "active", CreatedAt: row.CreatedAt,
		Settings: Settings{
			ApplicationType: row.ApplicationType, TokenEndpointAuthMethod: row.TokenEndpointAuthMethod,
			TokenEndpointAuthSigningAlg: row.TokenEndpointAuthSigningAlg, JWKS: KeySet(row.Jwks), JWKSURI: row.JwksUri,
			TrustedIssuers: issuers, StrictAssertionAudience: row.StrictAssertionAudience,
			RedirectURIs: row.RedirectUris, PostLogoutRedirectURIs: row.PostLogoutRedirectUris, Origins: row.Origins,
			GrantTypes: row.GrantTypes, ResponseTypes: row.ResponseTypes, Scopes: row.Scopes, Audiences: row.Audiences, Introspects: row.Introspects,
			PKCE: row.Pkce, Consent: row.Consent, IDTokenSignedResponseAlg: row.IDTokenSignedResponseAlg,
			UserinfoSignedResponseAlg: row.UserinfoSignedResponseAlg, ClaimsInIDToken: row.ClaimsInIDToken, StartURL: row.StartUrl,
			Publisher: row.Publisher, PolicyURI: row.PolicyUri, TOSURI: row.TosUri,
			Lifetimes: Lifetimes{
				AccessToken: duration(row.AccessTokenSeconds), IDToken: duration(row.IDTokenSeconds),
				RefreshIdle: duration(row.RefreshIdleSeconds), RefreshAbsolute: duration(row.RefreshAbsoluteSeconds),
			},
		},
	}, err
}

// readKeys reads the keys that are registered.
func (c *Client) readKeys() (err error) {
	if c.JWKS != "" {
		if c.keys, err = readRegistered([]byte(c.JWKS)); err != nil {
			return err
		}
	}
	for _, t := range c.TrustedIssuers {
		if t.JWKS == "" {
			continue
		}
		keys, err := readRegistered([]byte(t.JWKS))
		if err != nil {
			return fmt.Errorf("issuer %s: %w", t.Issuer, err)
		}
		if c.issuerKeys == nil {
			c.issuerKeys = map[string][]Key{}
		}
		c.issuerKeys[t.Issuer] = keys
	}
	return nil
}

// Stored returns the client and locks its row; realm.ErrUnknown when there is none.
func (s *Store) Stored(ctx context.Context, tx realm.Tx, clientID string) (Client, error) {
	row, err := db.New().LockClient(ctx, tx, clientID)
	if postgres.NoRows(err) {
		return Client{}, fmt.Errorf("client: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Client{}, fmt.Errorf("read a client: %w", err)
	}
	c, err := fromRow(row.Client)
	if err != nil {
		return Client{}, err
	}
	secrets, err := db.New().Secrets(ctx, tx, c.ID)
	if err != nil {
		return Client{}, fmt.Errorf("read a client's secrets: %w", err)
	}
	for _, secret := range secrets {
		c.SecretHashes = append(c.SecretHashes, secret.Hash)
	}
	return c, nil
}

// ErrClientID says that a client_id is, or was, a person's subject.
var ErrClientID = errors.New("the client_id is or was the subject of a person; choose another")

// Create makes a client. The settings must have passed Check.
func (s *Store) Create(ctx context.Context, tx realm.Tx, clientID, name string, enabled bool, set Settings) (Client, error) {
	if taken, err := db.New().IsSubject(ctx, tx, clientID); err != nil {
		return Client{}, fmt.Errorf("compare a client_id with subjects: %w", err)
	} else if taken {
		return Client{}, ErrClientID
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Client{}, fmt.Errorf("make a client's id: %w", err)
	}
	issuers, err := encodeIssuers(set.TrustedIssuers)
	if err != nil {
		return Client{}, err
	}
	now := s.now()
	err = db.New().InsertClient(ctx, tx, db.InsertClientParams{
		ID: id, ClientID: clientID, Name: name, Status: status(enabled), ApplicationType: set.ApplicationType,
		TokenEndpointAuthMethod: set.TokenEndpointAuthMethod, TokenEndpointAuthSigningAlg: set.TokenEndpointAuthSigningAlg,
		Jwks: string(set.JWKS), JwksUri: set.JWKSURI, TrustedIssuers: issuers,
		StrictAssertionAudience: set.StrictAssertionAudience, RedirectUris: set.RedirectURIs, PostLogoutRedirectUris: set.PostLogoutRedirectURIs,
		Origins: set.Origins, GrantTypes: set.GrantTypes, ResponseTypes: set.ResponseTypes, Scopes: set.Scopes, Audiences: set.Audiences, Introspects: set.Introspects,
		Pkce: set.PKCE, Consent: set.Consent, IDTokenSignedResponseAlg: set.IDTokenSignedResponseAlg,
		UserinfoSignedResponseAlg: set.UserinfoSignedResponseAlg, ClaimsInIDToken: set.ClaimsInIDToken,
		AccessTokenSeconds: seconds(set.Lifetimes.AccessToken), IDTokenSeconds: seconds(set.Lifetimes.IDToken),
		RefreshIdleSeconds: seconds(set.Lifetimes.RefreshIdle), RefreshAbsoluteSeconds: seconds(set.Lifetimes.RefreshAbsolute),
		StartUrl: set.StartURL, Publisher: set.Publisher, PolicyUri: set.PolicyURI, TosUri: set.TOSURI, Now: now,
	})
	if err != nil {
		return Client{}, fmt.Errorf("insert client %s: %w", clientID, err)
	}
	s.cache.Drop(tx.In().CacheKey(clientID))
	return Client{ID: id, ClientID: clientID, Name: name, Enabled: enabled, Settings: set, CreatedAt: now},
		event.Record(ctx, tx, Created{Subject: event.Subject{Client: clientID}}, now)
}

// Update writes name, status and settings. changed names what differs, for the event.
func (s *Store) Update(ctx context.Context, tx realm.Tx, c Client, changed []string) error {
	now, set := s.now(), c.Settings
	issuers, err := encodeIssuers(set.TrustedIssuers)
	if err != nil {
		return err
	}
	err = db.New().UpdateClient(ctx, tx, db.UpdateClientParams{
		ID: c.ID, Name: c.Name, Status: status(c.Enabled), ApplicationType: set.ApplicationType,
		TokenEndpointAuthMethod: set.TokenEndpointAuthMethod, TokenEndpointAuthSigningAlg: set.TokenEndpointAuthSigningAlg,
		Jwks: string(set.JWKS), JwksUri: set.JWKSURI, TrustedIssuers: issuers,
		StrictAssertionAudience: set.StrictAssertionAudience, RedirectUris: set.RedirectURIs, PostLogoutRedirectUris: set.PostLogoutRedirectURIs,
		Origins: set.Origins, GrantTypes: set.GrantTypes, ResponseTypes: set.ResponseTypes, Scopes: set.Scopes, Audiences: set.Audiences, Introspects: set.Introspects,
		Pkce: set.PKCE, Consent: set.Consent, IDTokenSignedResponseAlg: set.IDTokenSignedResponseAlg,
		UserinfoSignedResponseAlg: set.UserinfoSignedResponseAlg, ClaimsInIDToken: set.ClaimsInIDToken,
		AccessTokenSeconds: seconds(set.Lifetimes.AccessToken), IDTokenSeconds: seconds(set.Lifetimes.IDToken),
		RefreshIdleSeconds: seconds(set.Lifetimes.RefreshIdle), RefreshAbsoluteSeconds: seconds(set.Lifetimes.RefreshAbsolute),
		StartUrl: set.StartURL, Publisher: set.Publisher, PolicyUri: set.PolicyURI, TosUri: set.TOSURI, Now: now,
	})
	if err != nil {
		return fmt.Errorf("update client %s: %w", c.ClientID, err)
	}
	s.cache.Drop(tx.In().CacheKey(c.ClientID))
	return event.Record(ctx, tx, Updated{Subject: event.Subject{Client: c.ClientID}, Changed: changed}, now)
}

// IDs lists the client_id of every client of the realm, in order.
func (s *Store) IDs(ctx context.Context, r postgres.Reader) ([]string, error) {
	ids, err := db.New().ClientIDs(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("list the clients: %w", err)
	}
	return ids, nil
}

// Delete removes the client and its secrets. Nobody can use what it still holds: whoever presents it names a client
// that does not exist.
func (s *Store) Delete(ctx context.Context, tx realm.Tx, clientID string) error {
	if err := db.New().DeleteClient(ctx, tx, clientID); err != nil {
		return fmt.Errorf("delete client %s: %w", clientID, err)
	}
	s.cache.Drop(tx.In().CacheKey(clientID))
	return event.Record(ctx, tx, Deleted{Subject: event.Subject{Client: clientID}}, s.now())
}

func status(enabled bool) string {
	if enabled {
		return "active"
	}
	return "disabled"
}

// AddSecret gives the client one more live secret. expires may be nil.
func (s *Store) AddSecret(ctx context.Context, tx realm.Tx, c Client, secret string, expires *time.Time) error {
	id, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make a secret's id: %w", err)
	}
	now := s.now()
	if err := db.New().InsertSecret(ctx, tx, db.InsertSecretParams{ID: id, Client: c.ID, Hash: HashSecret(secret), Now: now, ExpiresAt: expires}); err != nil {
		return fmt.Errorf("insert a secret of client %s: %w", c.ClientID, err)
	}
	s.cache.Drop(tx.In().CacheKey(c.ClientID))
	return event.Record(ctx, tx, SecretAdded{Subject: event.Subject{Client: c.ClientID, Object: id.String()}}, now)
}

// RemoveSecretsExcept takes away every secret of the client whose hash is not among kept, and says how many.
func (s *Store) RemoveSecretsExcept(ctx context.Context, tx realm.Tx, c Client, kept [][]byte) (int, error) {
	secrets, err := db.New().Secrets(ctx, tx, c.ID)
	if err != nil {
		return 0, fmt.Errorf("read the secrets of client %s: %w", c.ClientID, err)
	}
	removed := 0
	for _, secret := range secrets {
		if contains(kept, secret.Hash) {
			continue
		}
		if err := db.New().DeleteSecret(ctx, tx, secret.ID); err != nil {
			return removed, fmt.Errorf("delete a secret of client %s: %w", c.ClientID, err)
		}
		if err := event.Record(ctx, tx, SecretRemoved{Subject: event.Subject{Client: c.ClientID, Object: secret.ID.String()}}, s.now()); err != nil {
			return removed, err
		}
		removed++
	}
	s.cache.Drop(tx.In().CacheKey(c.ClientID))
	return removed, nil
}

// UseAssertion notes that the assertion of that id was used, and tells whether it is the first time: of many callers at
// once it is for one. by is who made it, a client or an issuer; a client that has the name of an issuer shares its ids.
// expires is when the assertion would not be accepted any more. It is one statement, a whole change.
func UseAssertion(ctx context.Context, r realm.Realm, by, jti string, expires time.Time) (bool, error) {
	rows, err := db.New().UseAssertion(ctx, r.Write(), db.UseAssertionParams{ClientID: by, Jti: jti, ExpiresAt: expires})
	if err != nil {
		return false, fmt.Errorf("note the use of an assertion of %s: %w", by, err)
	}
	return rows == 1, nil
}

// CleanAssertions deletes at most that many ids of assertions that have ended, and says how many there were.
func CleanAssertions(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	n, err := db.New().DeleteExpiredAssertions(ctx, tx, db.DeleteExpiredAssertionsParams{Before: now, Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete the ids of ended assertions: %w", err)
	}
	return n, nil
}

// NewSecret makes a secret of 256 random bits.
func NewSecret() (string, error) {
	var b [32]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("make a client secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// MinSecretLength is the shortest secret that may be registered: with fewer characters a fast hash would not do.
const MinSecretLength = 32

// HashSecret is what is stored of a secret.
func HashSecret(secret string) []byte {
	h := sha256.Sum256([]byte(secret))
	return h[:]
}

// ProvesSecret tells whether secret is one of the client's live ones, in constant time for each.
func (c Client) ProvesSecret(secret string) bool {
	return secret != "" && contains(c.SecretHashes, HashSecret(secret))
}

func contains(hashes [][]byte, hash []byte) bool {
	found := 0
	for _, h := range hashes {
		found |= subtle.ConstantTimeCompare(h, hash)
	}
	return found == 1
}
