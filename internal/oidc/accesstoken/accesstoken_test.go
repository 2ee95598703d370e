package accesstoken_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/oidc/accesstoken"
)

func TestJSONIsWhatEncodingJSONMakes(t *testing.T) {
	t.Parallel()
	for _, a := range []accesstoken.Claims{
		{},
		{Issuer: "https://id.example/realms/a", Subject: "s", Audience: []string{"https://api.example"}, ClientID: "c", Expires: 2, IssuedAt: 1, ID: "j"},
		{Audience: []string{"a", "b"}, Scope: "openid profile", AuthTime: 3, ACR: "1", AMR: []string{"pwd"}, Grant: "g"},
		{Audience: []string{}, AMR: []string{"pwd", "otp"}, Expires: -1},
		{Issuer: "\"\\/<>&\u2028\x00\x1f\x7f\xff é 日本", Subject: "", Audience: []string{"\""}, ClientID: "\n", AMR: []string{"<", "\xc3"}, Scope: "a\"b"},
	} {
		want, err := json.Marshal(a)
		require.NoError(t, err)
		require.Equal(t, string(want), string(a.JSON(nil)))
	}
	for _, r := range []accesstoken.Response{
		{},
		{AccessToken: "a.b.c", TokenType: "Bearer", ExpiresIn: 300},
		{AccessToken: "a", TokenType: "Bearer", ExpiresIn: -1, Scope: "openid \"<", IDToken: "d.e.f", RefreshToken: "r"},
	} {
		want, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, string(want), string(r.JSON()))
	}
	for _, i := range []accesstoken.Introspection{
		{},
		{Active: true, TokenType: "Bearer", Issuer: "i", Subject: "s", Audience: []string{"a"}, ClientID: "c", Expires: 2, IssuedAt: 1, ID: "j"},
		{Active: true, Audience: []string{"a", "b"}, Scope: "openid", AuthTime: 3, ACR: "1", AMR: []string{"pwd"}},
		{Audience: []string{}, AMR: []string{}, Subject: "\u2028"},
	} {
		want, err := json.Marshal(i)
		require.NoError(t, err)
		require.Equal(t, string(want), string(i.JSON()))
	}
}

func BenchmarkJSON(b *testing.B) {
	a := accesstoken.Claims{
		Issuer: "https://id.example/realms/acme", Subject: "a-service", Audience: []string{"https://api.example"}, ClientID: "a-service",
		Expires: 1_800_000_300, IssuedAt: 1_800_000_000, ID: "abcdefghijklmnopqrstuv", Scope: "read write",
	}
	b.Run("appended", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a.JSON(nil)
		}
	})
	b.Run("encoding", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = json.Marshal(a)
		}
	})
}
