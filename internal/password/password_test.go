package password_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/gatehouse-id/gatehouse/internal/password"
)

const (
	plain = "correct horse battery staple"
	// typed changes under NFKC: a ligature, a circled digit, a combining accent.
	typed = "Pa\ufb03word \u2460 e\u0301"
)

// vectors were made by argon2-cffi, passlib and Django.
func vectors() map[string]struct{ plain, typed string } {
	return map[string]struct{ plain, typed string }{
		"argon2id, default parameters": {
			"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM",
			"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$+vkeXBbsbPunHOSsS47p7O+Npd7D6CvUHu5SWolV7gQ",
		},
		"argon2id, two lanes": {
			"$argon2id$v=19$m=4096,t=3,p=2$c2FsdHNhbHRzYWx0c2FsdA$pJhSxtOqRcOY9qR/oaX8VAx0mXySpy4WJ0qlDivIVEY",
			"$argon2id$v=19$m=4096,t=3,p=2$c2FsdHNhbHRzYWx0c2FsdA$zqVXiwbjknK6bQS08QHQbr2PZKT9r5Fd/U04zgPdKns",
		},
		"argon2i": {
			"$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$VBRqg4+btGy7IwGibYuU9f0M9kmWU0rIiVedJHJJyHI",
			"$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA$NI1MmN49AFhXAfUQ1w1qZHlG+Luel/md/8R1R7PAe+w",
		},
		"bcrypt 2a": {
			"$2a$04$btsirAfxrHYkmuwckdFzl.mNt6fJL9r6LIX7/fkPJwv6lwnJeJqQi",
			"$2a$04$7P2XTEc8DRrRrM9IVtt4vOdrJzPH9WnDZxwYHg2algJbUZcwmLSO2",
		},
		"bcrypt 2b": {
			"$2b$10$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa",
			"$2b$10$X96t/i9JgHSHOS7mvNPwEO3SSBsRwbdonfpXdy8FLGfS4qxBlgCay",
		},
		"bcrypt 2y": {
			"$2y$04$DLK2JbMplpZ9FJ.yAA.yUubgkMndHLnLvU53WpqwmnM3t3UAqICD6",
			"$2y$04$L6ZO3xNZEesNtCiZ6pO2bu8oc4qzCkfWr9i27v82BaenNddcosqAm",
		},
		"scrypt": {
			"$scrypt$ln=10,r=8,p=2$PIdQCqG0lhLCGIOQck4JQQ$Daa8iI4RiBVWmCKLA/KTWcz+Kjbd+H9zsEfiAexiqDE",
			"$scrypt$ln=10,r=8,p=2$ZiwlhBACgFAqZew9J6T0ng$FCvlfFfR5XXk0cDqMDQj3+pGY24sVg96tA5FSxqanfg",
		},
		"pbkdf2-sha256": {
			"$pbkdf2-sha256$1000$jVEKYQxhLEWIMYbQ.r.3Vg$rsZ6ks0hjzLxw.8bSkW7xG9RmQBnlRxg/NSCkNPo2Ak",
			"$pbkdf2-sha256$1000$8V4r5dwbg5DynrMWorT2Pg$8TaO.5XktS62RhhPTKpRJKJTpeBDDJUH6fzWqyPXTeQ",
		},
		"pbkdf2-sha256, PHC spelling": {
			"$pbkdf2-sha256$i=1000,l=32$jVEKYQxhLEWIMYbQ+r+3Vg$rsZ6ks0hjzLxw+8bSkW7xG9RmQBnlRxg/NSCkNPo2Ak",
			"$pbkdf2-sha256$i=1000$8V4r5dwbg5DynrMWorT2Pg$8TaO+5XktS62RhhPTKpRJKJTpeBDDJUH6fzWqyPXTeQ",
		},
		"pbkdf2-sha512": {
			"$pbkdf2-sha512$1000$9h4j5NwbQ4iRUsrZG8OYEw$Fp59UVX66QtSFWl0kv5Q40lPOUTrIikVjfct6pl90KQL1WFAv/dsvMPZtmHUbEeILmnl/TE3ZaIWGm1gK3R5aA",
			"$pbkdf2-sha512$1000$4dz7vxdCCEGodY7xHmOsNQ$H5IJD/PX.V6wjtSkBLehjjsQX2vuA0RTUZ8c1jjc0.IZAe8E.ygh42eXtM.rJvEIpuiDD82yTsZ78UfDT1vnPQ",
		},
		"django": {
			"pbkdf2_sha256$1000$seasalt$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=",
			"pbkdf2_sha256$1000$seasalt$Ij2sXVxX5S2v3nF3liJ/gA95s0slvtvNOh2jpGdhtd4=",
		},
	}
}

func hasher(t testing.TB) *password.Hasher {
	t.Helper()
	h, err := password.New(password.Options{})
	require.NoError(t, err)
	return h
}

func TestPW08_Argon2idIsTheDefault(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	encoded, err := h.Hash(t.Context(), plain)
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, encoded)
	again, err := h.Hash(t.Context(), plain)
	require.NoError(t, err)
	require.NotEqual(t, encoded, again, "each hash has its own salt")

	got, err := h.Verify(t.Context(), encoded, plain)
	require.NoError(t, err)
	require.Equal(t, password.Result{OK: true}, got)
	got, err = h.Verify(t.Context(), encoded, plain+" ")
	require.NoError(t, err)
	require.Equal(t, password.Result{}, got)
}

func TestPW08_ForeignFormatsVerify(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	for name, v := range vectors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := h.Verify(t.Context(), v.plain, plain)
			require.NoError(t, err)
			require.True(t, got.OK)
			got, err = h.Verify(t.Context(), v.plain, "correct horse battery stapl")
			require.NoError(t, err)
			require.Equal(t, password.Result{}, got)
		})
	}
}

func TestPW08_ImportsHaveAFloor(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM",
		"$argon2id$v=19$m=47104,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM",
		"$2b$10$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa",
		"$scrypt$ln=17,r=8,p=1$QyglZOx9b60VghAipLQ2pg$2/OsLhVdZoSjhEW1iOQ1snR3uHJ4EEPNpHXfHvztkpU",
		"$pbkdf2-sha256$600000$UErpnVPKGSOEkLL2HsMYQw$8P9.xVSXJXKeI50H4OpnCNwF7o7T8YBJBAarpNTqlIo",
		"$pbkdf2-sha512$210000$e.99T4nxHiPEmLO2NkYIoQ$3EBSZkVF4tBDD1kpjQEuxM1GXlB2cMsOsuZACvIRzZGmx6MsCa4Im912yYdulL2yI/JX3By7bARX7HlSZABVOQ",
		"pbkdf2_sha256$1000000$seasalt$5YGFAWS1Cu+xASixJYSbolqCUgtwAdKNxflr6PT+Mys=",
	} {
		require.NoError(t, password.ValidateEncoded(good), good)
		require.NoError(t, hasher(t).ValidateEncoded(good), good)
	}
	for _, weak := range []string{
		"$argon2id$v=19$m=19456,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM",
		"$argon2i$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM",
		"$2b$09$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa",
		"$scrypt$ln=16,r=8,p=1$QyglZOx9b60VghAipLQ2pg$2/OsLhVdZoSjhEW1iOQ1snR3uHJ4EEPNpHXfHvztkpU",
		"$pbkdf2-sha256$599999$UErpnVPKGSOEkLL2HsMYQw$8P9.xVSXJXKeI50H4OpnCNwF7o7T8YBJBAarpNTqlIo",
		"pbkdf2_sha256$260000$seasalt$5YGFAWS1Cu+xASixJYSbolqCUgtwAdKNxflr6PT+Mys=",
	} {
		require.ErrorIs(t, password.ValidateEncoded(weak), password.ErrWeak, weak)
	}
}

func TestPW09_AWeakerHashAsksForANewOne(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	for name, v := range vectors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := h.Verify(t.Context(), v.plain, plain)
			require.NoError(t, err)
			require.Equal(t, name != "argon2id, default parameters", got.NeedsRehash)
		})
	}
	t.Run("when_the_parameters_are_raised", func(t *testing.T) {
		t.Parallel()
		encoded, err := h.Hash(t.Context(), plain)
		require.NoError(t, err)
		raised, err := password.New(password.Options{Params: password.Argon2id{MemoryKiB: 19456, Time: 3, Parallelism: 1}})
		require.NoError(t, err)
		got, err := raised.Verify(t.Context(), encoded, plain)
		require.NoError(t, err)
		require.Equal(t, password.Result{OK: true, NeedsRehash: true}, got)
		got, err = raised.Verify(t.Context(), encoded, "wrong")
		require.NoError(t, err)
		require.Equal(t, password.Result{}, got, "a wrong password asks for nothing")
	})
}

func TestPW03_AnyUnicodeIsAccepted(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	for _, p := range []string{"   spaces around   ", "пароль с пробелом", "🐴🔋📎✅🐴🔋📎✅", "tab\tand\x00nul", typed} {
		encoded, err := h.Hash(t.Context(), p)
		require.NoError(t, err)
		for _, spelling := range []string{p, norm.NFD.String(p), norm.NFKC.String(p)} {
			got, err := h.Verify(t.Context(), encoded, spelling)
			require.NoError(t, err)
			require.Equal(t, password.Result{OK: true}, got, "%q", spelling)
		}
		for _, other := range []string{strings.ToUpper(p) + "x", p + " ", " " + p} {
			got, err := h.Verify(t.Context(), encoded, other)
			require.NoError(t, err)
			require.False(t, got.OK, "%q", other)
		}
	}
	_, err := h.Hash(t.Context(), "caf\xe9 is latin-1")
	require.ErrorIs(t, err, password.ErrNotText)
}

func TestPW03_AnImportedHashSeesTheRawBytes(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	for name, v := range vectors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := h.Verify(t.Context(), v.typed, typed)
			require.NoError(t, err)
			require.Equal(t, password.Result{OK: true, NeedsRehash: true}, got)
		})
	}
}

func TestPW02_LongPasswordsAreRefusedNotCut(t *testing.T) {
	t.Parallel()
	h := hasher(t)
	t.Run("256_code_points_count_in_full", func(t *testing.T) {
		t.Parallel()
		for _, letter := range []string{"a", "界", "🐴"} {
			longest := strings.Repeat(letter, 255) + "!"
			encoded, err := h.Hash(t.Context(), longest)
			require.NoError(t, err)
			got, err := h.Verify(t.Context(), encoded, longest)
			require.NoError(t, err)
			require.True(t, got.OK)
			got, err = h.Verify(t.Context(), encoded, strings.Repeat(letter, 255)+"?")
			require.NoError(t, err)
			require.False(t, got.OK)
		}
	})
	t.Run("more_is_an_error", func(t *testing.T) {
		t.Parallel()
		for _, long := range []string{
			strings.Repeat("a", 257), strings.Repeat("a", 1025), strings.Repeat("🐴", 257),
			strings.Repeat("\ufdfa", 15), // 18 code points each under NFKC
		} {
			_, err := h.Hash(t.Context(), long)
			require.ErrorIs(t, err, password.ErrTooLong)
			_, err = h.Verify(t.Context(), vectors()["bcrypt 2b"].plain, long)
			require.ErrorIs(t, err, password.ErrTooLong)
			require.ErrorIs(t, h.VerifyDummy(t.Context(), long), password.ErrTooLong)
		}
	})
	t.Run("bcrypt_does_not_ignore_what_follows_byte_72", func(t *testing.T) {
		t.Parallel()
		// Made by passlib from 80 letters x, so from the first 72.
		const cut = "$2b$04$fK7oYC4w3UUJHq8J7PiOg.LDmN9nw.zhns3bOvvvM7LP5WuwcCOPa"
		got, err := h.Verify(t.Context(), cut, strings.Repeat("x", 72))
		require.NoError(t, err)
		require.True(t, got.OK)
		for _, long := range []string{strings.Repeat("x", 73), strings.Repeat("x", 80)} {
			got, err = h.Verify(t.Context(), cut, long)
			require.NoError(t, err)
			require.Equal(t, password.Result{}, got)
		}
	})
}

func TestHash_refuses_the_empty_password(t *testing.T) {
	t.Parallel()
	_, err := hasher(t).Hash(t.Context(), "")
	require.ErrorIs(t, err, password.ErrEmpty)
}

func TestVerify_bounds_parameters_before_computing(t *testing.T) {
	t.Parallel()
	const tail = "$c2FsdHNhbHRzYWx0c2FsdA$QKHrg5tayLGcN+Y0HVPNaBqykOVLUxlMkZycXE1uWRM"
	for encoded, want := range map[string]error{
		"":             password.ErrUnknownFormat,
		"plaintext":    password.ErrUnknownFormat,
		"$1$salt$hash": password.ErrMalformed,
		"$7$salt$hash": password.ErrUnknownFormat,
		"$2x$04$btsirAfxrHYkmuwckdFzl.mNt6fJL9r6LIX7/fkPJwv6lwnJeJqQi":          password.ErrUnknownFormat,
		"$argon2d$v=19$m=4096,t=3,p=1" + tail:                                   password.ErrUnknownFormat,
		"$argon2id$v=19$m=1048577,t=2,p=1" + tail:                               password.ErrTooCostly,
		"$argon2id$v=19$m=99999999999999999999,t=2,p=1" + tail:                  password.ErrTooCostly,
		"$argon2id$v=19$m=1048576,t=2,p=1" + tail:                               password.ErrTooCostly, // beyond the default budget
		"$argon2id$v=19$m=19456,t=11,p=1" + tail:                                password.ErrTooCostly,
		"$argon2id$v=19$m=19456,t=2,p=17" + tail:                                password.ErrTooCostly,
		"$argon2id$v=19$m=19456,t=0,p=1" + tail:                                 password.ErrMalformed,
		"$argon2id$v=19$m=19456,t=2,p=0" + tail:                                 password.ErrMalformed,
		"$argon2id$v=19$m=7,t=2,p=1" + tail:                                     password.ErrMalformed,
		"$argon2id$v=19$t=2,m=19456,p=1" + tail:                                 password.ErrMalformed,
		"$argon2id$v=19$m=019456,t=2,p=1" + tail:                                password.ErrMalformed,
		"$argon2id$v=16$m=19456,t=2,p=1" + tail:                                 password.ErrMalformed,
		"$argon2id$m=19456,t=2,p=1" + tail:                                      password.ErrMalformed,
		"$argon2id$v=19$m=19456,t=2,p=1$$":                                      password.ErrMalformed,
		"$argon2id$v=19$m=19456,t=2,p=1,data=AA" + tail:                         password.ErrMalformed,
		"$scrypt$ln=18,r=8,p=1" + tail:                                          password.ErrTooCostly,
		"$scrypt$ln=17,r=9,p=1" + tail:                                          password.ErrTooCostly,
		"$scrypt$ln=17,r=8,p=11" + tail:                                         password.ErrTooCostly,
		"$pbkdf2-sha256$10000001" + tail:                                        password.ErrTooCostly,
		"$pbkdf2-sha256$i=1000,l=31" + tail:                                     password.ErrMalformed,
		"pbkdf2_sha256$10000001$s$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA=": password.ErrTooCostly,
		"pbkdf2_sha256$1000$s$3xmXbyk2QpiyNcnoBbzRPwEBsYPTbDlRdtmLyBvQltA":      password.ErrMalformed,
		"$2b$17$a65Hv5BqvV3xtsisHiWTA.h7MtpxMPwgnyiY1cvpqqocp0Qk9sgFa":          password.ErrTooCostly,
		"$2b$10$short":                          password.ErrMalformed,
		"$argon2id$" + strings.Repeat("x", 600): password.ErrMalformed,
	} {
		h := hasher(t)
		_, err := h.Verify(t.Context(), encoded, plain)
		require.ErrorIs(t, err, want, "%s", encoded)
		require.ErrorIs(t, h.ValidateEncoded(encoded), want, "%s", encoded)
		require.NotContains(t, err.Error(), plain)
	}
}

func TestNew_refuses_what_is_unsafe(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]password.Options{
		"weak":           {Params: password.Argon2id{MemoryKiB: 4096, Time: 3, Parallelism: 1}},
		"no lane":        {Params: password.Argon2id{MemoryKiB: 19456, Time: 2}},
		"too costly":     {Params: password.Argon2id{MemoryKiB: 19456, Time: 11, Parallelism: 1}},
		"beyond budget":  {MemoryBudget: 19456<<10 - 1},
		"waits too long": {QueueWait: 3e9},
		"negative wait":  {QueueWait: -1},
	} {
		_, err := password.New(o)
		require.Error(t, err, name)
	}
	h, err := password.New(password.Options{Rand: bytes.NewReader(nil)})
	require.NoError(t, err)
	_, err = h.Hash(t.Context(), plain)
	require.ErrorContains(t, err, "draw salt")
}
