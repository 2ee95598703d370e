package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// keyring is a realm's keys as the command line shows them.
type keyring []keyView

func (k keyring) states() map[string]string {
	states := map[string]string{}
	for _, key := range k {
		states[key.KID] = key.State
	}
	return states
}

// TestJW05_KeysByTheCommandLine works on the keys of a database, command by command.
func TestJW05_KeysByTheCommandLine(t *testing.T) {
	t.Parallel()
	c := call{
		environ: append(production()[1:], "GATEHOUSE_DATABASE_URL="+testdb.NewURL(t), "GATEHOUSE_DATABASE_MIN_CONNS=1"),
		do: operations{
			RealmApply: app.RealmApply, KeysList: app.KeysList, KeysRotate: app.KeysRotate, KeysRevoke: app.KeysRevoke,
		},
	}
	file := filepath.Join(t.TempDir(), "acme.yaml")
	require.NoError(t, os.WriteFile(file, []byte("{realm: acme, keys: {algorithms: [ES256, EdDSA]}}"), 0o600))
	must := func(line string) result {
		t.Helper()
		r := c.gatehouse(t, line)
		require.Zero(t, r.status, "%s: %s", line, r.stderr)
		return r
	}
	read := func(line string, into any) {
		t.Helper()
		require.NoError(t, json.Unmarshal([]byte(must(line+" -o json").stdout), into))
	}
	list := func() (keys keyring) {
		t.Helper()
		read("keys list acme", &keys)
		return keys
	}
	must("realm apply -f " + file)

	first := list()
	require.Len(t, first, 2)
	byAlg := map[string]string{}
	for _, k := range first {
		require.Regexp(t, `^[0-9a-f]{24}$`, k.KID, "it can be typed: a dash would begin an option")
		require.Equal(t, "active", k.State)
		require.Equal(t, k.CreatedAt, k.Since)
		byAlg[k.Alg] = k.KID
	}
	require.Len(t, byAlg, 2)
	table := must("keys list acme").stdout
	require.Contains(t, table, byAlg["ES256"])
	require.NotContains(t, table, "PRIVATE")

	var rotated struct{ Next []string }
	read("keys rotate acme --alg ES256", &rotated)
	require.Len(t, rotated.Next, 1)
	next := rotated.Next[0]
	require.Equal(t, map[string]string{byAlg["ES256"]: "active", byAlg["EdDSA"]: "active", next: "next"}, list().states())
	require.Contains(t, must("keys rotate acme --alg ES256").stdout, next, "one waits already")
	read("keys rotate acme", &rotated)
	require.Len(t, rotated.Next, 2, "every algorithm that the realm signs by")
	require.Contains(t, rotated.Next, next)
	require.Len(t, list(), 4)

	var revoked struct{ Revoked, Successor string }
	read("keys revoke acme "+byAlg["ES256"], &revoked)
	require.Equal(t, byAlg["ES256"], revoked.Revoked)
	require.Equal(t, next, revoked.Successor, "the one that waited signs")
	require.Equal(t, "revoked", list().states()[byAlg["ES256"]])
	require.Equal(t, "active", list().states()[next])
	read("keys revoke acme "+next, &revoked)
	require.NotContains(t, []string{"", next}, revoked.Successor, "one was made, for none waited")
	require.Equal(t, "active", list().states()[revoked.Successor])

	var early struct{ Active, Next []string }
	read("keys rotate acme --alg EdDSA --now", &early)
	require.Len(t, early.Active, 1)
	require.Empty(t, early.Next)
	require.Equal(t, "retired", list().states()[byAlg["EdDSA"]], "what it signed stays good")
	require.Equal(t, "active", list().states()[early.Active[0]])
	require.Contains(t, must("keys rotate acme --alg EdDSA --now").stdout, "five minutes", "it says what that costs")
	read("keys rotate acme --now", &early)
	require.Len(t, early.Active, 2, "every algorithm that the realm signs by")

	for line, says := range map[string]string{
		"keys revoke acme " + next:              "gatehouse keys list", // it was revoked before
		"keys revoke acme nonsense":             "gatehouse keys list",
		"keys rotate acme --alg RS256":          "gatehouse keys list", // the realm signs by no such
		"keys rotate acme --alg HS256":          "gatehouse keys list",
		"keys rotate acme --alg RS256 --now":    "gatehouse keys list",
		"keys list nowhere":                     "gatehouse realm list",
		"keys rotate nowhere":                   "gatehouse realm list",
		"keys revoke nowhere " + next:           "gatehouse realm list",
		"keys revoke system " + early.Active[0]: "gatehouse keys list", // another realm's
	} {
		r := c.gatehouse(t, line)
		require.Equal(t, exitFailed, r.status, "%s: %s", line, r.stdout)
		require.Contains(t, r.stderr, says, line)
	}
	for _, kid := range early.Active {
		require.Equal(t, "active", list().states()[kid])
	}
}
