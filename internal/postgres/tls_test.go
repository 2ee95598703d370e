package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/postgres"
)

func TestOP01_TheDatabaseIsReachedOverVerifiedTLS(t *testing.T) {
	t.Parallel()
	for url, plain := range map[string]bool{
		"postgres://u:hunter2@db.example.test/d?sslmode=verify-full":                                 false,
		"postgres://u:hunter2@db.example.test/d?sslmode=verify-ca":                                   false,
		"postgres://u:hunter2@db.example.test/d":                                                     true, // prefers TLS
		"postgres://u:hunter2@db.example.test/d?sslmode=require":                                     true, // of whoever it is
		"postgres://u:hunter2@db.example.test/d?sslmode=allow":                                       true,
		"postgres://u:hunter2@db.example.test/d?sslmode=disable":                                     true,
		"postgres://u:hunter2@10.0.0.7/d?sslmode=disable":                                            true,
		"postgres://u:hunter2@[2001:db8::1]/d?sslmode=disable":                                       true,
		"host=db.example.test user=u password=hunter2 dbname=d sslmode=verify-full":                  false,
		"host=db.example.test user=u password=hunter2 dbname=d":                                      true,
		"postgres://u:hunter2@127.0.0.1,db.example.test/d":                                           true,
		"postgres://u:hunter2@127.0.0.1,db.example.test/d?sslmode=verify-full":                       false,
		"postgres://u:hunter2@127.0.0.1/d?sslmode=disable":                                           false,
		"postgres://u:hunter2@[::1]/d":                                                               false,
		"postgres://u:hunter2@localhost/d":                                                           false,
		"postgres://u:hunter2@/d?host=/run/postgresql":                                               false,
		"postgres://u:hunter2@localhost.example.test/d":                                              true,
		"postgres://u:hunter2@127.0.0.1.example.test/d":                                              true,
		"postgres://u:hunter2@/d?host=db.example.test&sslmode=disable":                               true,
		"postgres://u:hunter2@/d?host=/run/postgresql,db.example.test&sslmode=disable":               true,
		"host=/run/postgresql user=u password=hunter2 dbname=d sslmode=disable application_name=g":   false,
		"postgres://u:hunter2@db.example.test/d?sslmode=verify-full&target_session_attrs=read-write": false,
	} {
		err := postgres.CheckTLS(url)
		if plain {
			require.ErrorIs(t, err, postgres.ErrPlaintext, url)
			require.NotContains(t, err.Error(), "hunter2")
			continue
		}
		require.NoError(t, err, url)
	}
	for url, wants := range map[string]bool{
		"postgres://u:hunter2@db/d?sslmode=disable":          true,
		"postgres://u:hunter2@db/d?a=b&sslmode=disable&c=d":  true,
		"host=db user=u sslmode=disable":                     true,
		"postgres://u:sslmode=disable@db/d":                  false,
		"postgres://u:hunter2@db/d?sslmode=require":          false,
		"postgres://u:hunter2@db/d?application_name=disable": false,
	} {
		require.Equal(t, wants, postgres.WantsPlaintext(url), url)
	}
	err := postgres.CheckTLS("postgres://u:hunter2@h:port/d")
	require.Error(t, err)
	require.NotContains(t, err.Error(), "hunter2")
}
