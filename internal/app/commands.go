package app

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"path/filepath"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
)

// MigrateUp makes the database roles, applies the migrations that are missing and returns those.
func MigrateUp(ctx context.Context, p Process) ([]postgres.Migration, error) {
	admin, login := migrationURL(p), p.Config.DatabaseURL.Reveal()
	if login == "" {
		login = admin
	}
	if err := requireTLS(p, admin); err != nil {
		return nil, err
	}
	if err := postgres.EnsureRoles(ctx, admin, login); err != nil {
		return nil, err
	}
	list, err := migrations()
	if err != nil {
		return nil, err
	}
	return postgres.Migrate(ctx, admin, list)
}

// Migrations lists the migrations and whether the database has them.
func Migrations(ctx context.Context, p Process) ([]postgres.Migration, error) {
	if err := requireTLS(p, migrationURL(p)); err != nil {
		return nil, err
	}
	list, err := migrations()
	if err != nil {
		return nil, err
	}
	return postgres.Migrations(ctx, migrationURL(p), list)
}

func migrationURL(p Process) string {
	if url := p.Config.MigrationDatabaseURL; !url.IsZero() {
		return url.Reveal()
	}
	return p.Config.DatabaseURL.Reveal()
}

// RealmApply applies realm files, each in a transaction of its own, and reports what each changed. The first that
// fails ends it; what was applied before stays.
func RealmApply(ctx context.Context, p Process, files []string, o realmfile.ApplyOptions) ([]realmfile.Report, error) {
	parsed, err := readRealmFiles(files)
	if err != nil {
		return nil, err
	}
	s, err := Open(ctx, p, Options{})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var reports []realmfile.Report
	for _, f := range parsed {
		report, err := s.Applier.Apply(asOperator(ctx), f, o)
		if err != nil {
			return reports, err
		}
		reports = append(reports, report)
	}
	return reports, nil
}

// readRealmFiles reads and checks all files before any is applied.
func readRealmFiles(paths []string) ([]realmfile.File, error) {
	var files []realmfile.File
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read a realm file: %w", err)
		}
		f, err := realmfile.Parse(content, path, realmfile.System(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// asOperator makes the person at the command line the actor of events.
func asOperator(ctx context.Context) context.Context {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return event.With(ctx, event.Origin{Kind: event.Operator, Actor: name})
}

// RealmSummary is a realm as the command line lists it.
type RealmSummary struct {
	Slug    string `json:"slug"`
	Name    string `json:"name"`
	Issuer  string `json:"issuer"`
	Enabled bool   `json:"enabled"`
}

// RealmList lists the realms by slug.
func RealmList(ctx context.Context, p Process) (list []RealmSummary, err error) {
	list = []RealmSummary{}
	err = eachRealm(ctx, p, func(_ context.Context, _ *System, r realm.Realm) error {
		list = append(list, RealmSummary{r.Slug, r.Name, r.Issuer, r.Enabled})
		return nil
	})
	return list, err
}

// eachRealm does something in every realm, by slug, until something fails.
func eachRealm(ctx context.Context, p Process, do func(ctx context.Context, s *System, r realm.Realm) error) error {
	s, err := Open(ctx, p, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	slugs, err := s.Realms.Slugs(ctx)
	if err != nil {
		return err
	}
	for _, slug := range slugs {
		r, err := s.Realms.BySlug(ctx, slug)
		if err == nil {
			err = do(ctx, s, r)
		}
		if err != nil {
			return fmt.Errorf("realm %s: %w", slug, err)
		}
	}
	return nil
}

// KeysList lists the signing keys that a realm has or had.
func KeysList(ctx context.Context, p Process, slug string) (list []keyset.Status, err error) {
	err = withRealm(ctx, p, slug, func(ctx context.Context, s *System, r realm.Realm) error {
		list, err = s.Keys.List(ctx, r)
		return err
	})
	return list, err
}

// KeysRotate publishes the next key of an algorithm, or of every algorithm that the realm signs by when alg is empty,
// and returns their ids. They sign after keyset.Ahead, when a server runs, or now (keyset.Store.RotateNow).
func KeysRotate(ctx context.Context, p Process, slug, alg string, now bool) (kids []string, err error) {
	err = withRealm(ctx, p, slug, func(ctx context.Context, s *System, r realm.Realm) error {
		algorithms := []string{alg}
		if alg == "" {
			if algorithms, err = s.Keys.Algorithms(ctx, r); err != nil {
				return err
			}
		}
		if len(algorithms) == 0 {
			return keyset.ErrUnknown
		}
		rotate := s.Keys.Prepare
		if now {
			rotate = s.Keys.RotateNow
		}
		for _, a := range algorithms {
			kid, err := rotate(ctx, r, a)
			if err != nil {
				return err
			}
			kids = append(kids, kid)
		}
		return nil
	})
	return kids, err
}

// SecretsRotate seals the data key of every realm by the current secret key and returns the slugs of those whose key
// was sealed by another one. What fails leaves the others resealed; it can be repeated.
func SecretsRotate(ctx context.Context, p Process) (resealed []string, err error) {
	err = eachRealm(asOperator(ctx), p, func(ctx context.Context, s *System, r realm.Realm) error {
		changed, err := s.Realms.Reseal(ctx, r, func(tx realm.Tx, key string) error {
			return event.Record(ctx, tx, event.RealmResealed{Key: key}, s.now())
		})
		if changed {
			resealed = append(resealed, r.Slug)
		}
		return err
	})
	return resealed, err
}

// PepperUse is a realm's passwords of one pepper.
type PepperUse struct {
	Realm string
	password.PepperUse
}

// SecretsPeppers counts the passwords of every realm by pepper.
func SecretsPeppers(ctx context.Context, p Process) (uses []PepperUse, err error) {
	err = eachRealm(ctx, p, func(ctx context.Context, s *System, r realm.Realm) error {
		found, err := s.Hasher.Peppers(ctx, r)
		for _, use := range found {
			uses = append(uses, PepperUse{r.Slug, use})
		}
		return err
	})
	return uses, err
}

// KeysRevoke ends a key at once and returns the id of the one that signs in its place, "" when it did not sign.
func KeysRevoke(ctx context.Context, p Process, slug, kid string) (successor string, err error) {
	err = withRealm(ctx, p, slug, func(ctx context.Context, s *System, r realm.Realm) error {
		successor, err = s.Keys.Revoke(ctx, r, kid)
		return err
	})
	return successor, err
}

// withRealm does something in a realm for the person at the command line.
func withRealm(ctx context.Context, p Process, slug string, do func(context.Context, *System, realm.Realm) error) error {
	s, err := Open(ctx, p, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := s.Realms.BySlug(ctx, slug)
	if err != nil {
		return err
	}
	return do(asOperator(ctx), s, r)
}
