package main

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
)

// users runs commands on a realm of its own, as the program does.
type users struct{ call }

func newUsers(t *testing.T) users {
	t.Helper()
	u := users{call{environ: serverEnviron(t), do: operations{
		MigrateUp: app.MigrateUp, RealmApply: app.RealmApply, UserList: app.UserList, UserShow: app.UserShow,
		UserCreate: app.UserCreate, UserDo: app.UserDo, UserSetPassword: app.UserSetPassword,
		UserSetOneTimePassword: app.UserSetOneTimePassword, UserInvite: app.UserInvite, UserSendVerification: app.UserSendVerification,
		Peppers: app.SecretsPeppers,
	}}}
	u.ok(t, "", "migrate up")
	file := t.TempDir() + "/acme.yaml"
	require.NoError(t, os.WriteFile(file, []byte("realm: acme\nname: Acme\n"), 0o600))
	u.ok(t, "", "realm apply -f "+file)
	return u
}

func (u users) run(t *testing.T, stdin, line string) result {
	t.Helper()
	u.stdin = stdin
	return u.gatehouse(t, line)
}

func (u users) ok(t *testing.T, stdin, line string) string {
	t.Helper()
	r := u.run(t, stdin, line)
	require.Zero(t, r.status, "%s: %s", line, r.stderr)
	return r.stdout
}

func TestUser(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	const secret = "correct horse battery staple\n"
	made := u.ok(t, secret, "user create acme --email Ann@Example.org --username annie --name Ann --password-stdin -o json")
	var ann struct{ Subject string }
	require.NoError(t, json.Unmarshal([]byte(made), &ann))

	t.Run("is_found_by_any_name_in_any_spelling", func(t *testing.T) {
		for _, name := range []string{"ann@example.org", "ANN@EXAMPLE.ORG", "Annie", ann.Subject} {
			out := u.ok(t, "", "user show acme "+name)
			require.Contains(t, out, "Ann@Example.org (not verified)", name)
			require.Contains(t, out, "annie")
			require.Regexp(t, `password +set \d{4}-`, out)
			require.NotContains(t, out, "$argon2id$")
		}
	})
	t.Run("who_is_nobody_is_named_with_a_way_to_look", func(t *testing.T) {
		for _, line := range []string{"show acme bob", "disable acme bob", "delete acme bob --yes", "sessions acme bob", "show acme no@way@valid"} {
			r := u.run(t, "", "user "+line)
			require.Equal(t, exitFailed, r.status, line)
			require.Contains(t, r.stderr, `nobody in realm acme is called "`)
			require.Contains(t, r.stderr, "gatehouse user list acme --search")
		}
		require.Contains(t, u.run(t, "", "user show nowhere ann").stderr, "gatehouse realm list")
	})
	t.Run("shows_json", func(t *testing.T) {
		var d detailsView
		require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user show acme annie -o json")), &d))
		require.Equal(t, ann.Subject, d.Subject)
		require.Equal(t, "Ann", d.Claims.Name)
		require.Len(t, d.Names, 2)
		require.Equal(t, "argon2id", d.Password.Format)
		require.False(t, d.Password.Outdated)
		require.Empty(t, d.Password.MustChange)
		require.Nil(t, d.Password.Until)
		require.Nil(t, d.SignedInAt)
		require.Zero(t, d.Refused)
	})
	t.Run("names_are_taken_once_whatever_the_spelling", func(t *testing.T) {
		r := u.run(t, "", "user create acme --email ann@EXAMPLE.org")
		require.Equal(t, exitFailed, r.status)
		require.Contains(t, r.stderr, "has that name already")
		r = u.run(t, "", "user create acme --email nothing")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "cannot be a name")
		require.Contains(t, u.run(t, "", "user create acme --name Ann").stderr, "Give --email, --username or both.")
	})
	t.Run("passwords_follow_the_policy", func(t *testing.T) {
		for _, line := range []string{"user create acme --username eve --password-stdin", "user set-password acme annie"} {
			r := u.run(t, "short\n", line)
			require.Equal(t, exitUsage, r.status, line)
			require.Contains(t, r.stderr, "shorter than 12 characters")
		}
		require.Contains(t, u.ok(t, secret, "user set-password acme annie"), "annie has a new password.")
	})
	t.Run("acting_twice_is_no_error", func(t *testing.T) {
		require.Equal(t, "annie is disabled.\n", u.ok(t, "", "user disable acme annie --reason left"))
		require.Equal(t, "annie was disabled already.\n", u.ok(t, "", "user disable acme annie"))
		require.Contains(t, u.ok(t, "", "user list acme --status disabled"), "annie")
		require.JSONEq(t, `{"changed": true, "sessions_ended": 0, "grants_ended": 0}`, u.ok(t, "", "user enable acme annie -o json"))
		require.Equal(t, "annie is locked.\n", u.ok(t, "", "user lock acme annie"))
		require.Equal(t, "annie was not disabled.\n", u.ok(t, "", "user enable acme annie"))
		require.Equal(t, "annie is unlocked.\n", u.ok(t, "", "user unlock acme annie"))
		for range 2 {
			require.Equal(t, "the failed attempts at annie are forgotten.\n", u.ok(t, "", "user unthrottle acme annie"))
		}
		require.Equal(t, "annie is signed out everywhere.\n", u.ok(t, "", "user sessions acme annie --end"))
		require.Equal(t, exitUsage, u.run(t, "", "user lock acme annie --reason "+strings.Repeat("x", 201)).status)
	})
	t.Run("deleting_wants_to_be_meant", func(t *testing.T) {
		r := u.run(t, "", "user delete acme annie")
		require.Equal(t, exitUsage, r.status)
		require.Contains(t, r.stderr, "--yes")
		require.Equal(t, "annie is deleted.\n", u.ok(t, "", "user delete acme annie --yes"))
		require.Equal(t, exitFailed, u.run(t, "", "user delete acme annie --yes").status)
	})
}

func TestUserList(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	for _, name := range []string{"--email Ann@example.org --username anna", "--username Anton", "--username bob", "--email straße@example.org"} {
		u.ok(t, "", "user create acme "+name)
	}
	list := func(line string) (page peopleView) {
		require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "user list acme -o json "+line)), &page))
		return page
	}
	names := func(page peopleView) (names []string) {
		for _, p := range page.Users {
			names = append(names, p.Username+p.Email)
		}
		return names
	}
	t.Run("in_the_order_of_making_page_by_page", func(t *testing.T) {
		first := list("--limit 3")
		require.Equal(t, []string{"annaAnn@example.org", "Anton", "bob"}, names(first))
		second := list("--limit 3 --after " + first.Next)
		require.Equal(t, []string{"straße@example.org"}, names(second))
		require.Empty(t, second.Next)
		require.Contains(t, u.run(t, "", "user list acme --limit 1").stderr, "go on with --after ")
		require.Equal(t, exitUsage, u.run(t, "", "user list acme --after nonsense").status)
	})
	t.Run("by_how_a_name_begins_in_any_spelling_everybody_once", func(t *testing.T) {
		require.Equal(t, []string{"annaAnn@example.org", "Anton"}, names(list("--search AN")))
		require.Equal(t, []string{"annaAnn@example.org"}, names(list("--search ann@ex")))
		require.Equal(t, []string{"straße@example.org"}, names(list("--search STRASSE")))
		first := list("--search an --limit 1")
		require.Equal(t, []string{"Anton"}, names(list("--search an --limit 1 --after "+first.Next)))
		require.Empty(t, names(list("--search nn")))
	})
	t.Run("refuses_what_cannot_be", func(t *testing.T) {
		require.Contains(t, u.run(t, "", "user list acme --status gone").stderr, "active, disabled or locked")
		require.Equal(t, exitUsage, u.run(t, "", "user list acme --limit 0").status)
	})
}

func TestNothingPrintedMovesATerminal(t *testing.T) {
	t.Parallel()
	require.Equal(t, "Ann�[2J�", shown("Ann\x1b[2J\u202e"))
}

func TestPW11_PeppersAreCounted(t *testing.T) {
	t.Parallel()
	u := newUsers(t)
	const secret = "correct horse battery staple\n"
	u.ok(t, secret, "user create acme --username ann --password-stdin")
	bare := u.environ
	u.environ = append(slices.Clone(bare), "GATEHOUSE_PASSWORD_PEPPER=k1:mYqk3V1o2kq6mY8o1cQ3b3Z3kq9m8r1v2n3p4q5r6s8=")
	for _, name := range []string{"bob", "cyd"} {
		u.ok(t, secret, "user create acme --username "+name+" --password-stdin")
	}
	require.Regexp(t, `password format +argon2id, pepper k1~[0-9a-f]{8}\n`, u.ok(t, "", "user show acme bob"))
	require.Regexp(t, `password format +argon2id, replaced at the next sign-in\n`, u.ok(t, "", "user show acme ann"))
	require.Regexp(t, `acme +none +yes +1\nacme +k1~[0-9a-f]{8} +yes +2\n`, u.ok(t, "", "secrets peppers"))
	u.environ = bare
	var uses []pepperView
	require.NoError(t, json.Unmarshal([]byte(u.ok(t, "", "secrets peppers -o json")), &uses))
	require.Len(t, uses, 2)
	require.Equal(t, pepperView{"acme", "", true, 1}, uses[0])
	require.False(t, uses[1].Configured)
	require.Contains(t, u.run(t, secret, "user show acme bob").stdout, "replaced at the next sign-in")
}
