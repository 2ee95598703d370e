// Package accesstoken is what an access token says, and how that is written: by appending, since one is made at every
// request to the token endpoint, and encoding/json takes more than twice as long and three allocations more. What reads
// tokens uses encoding/json.
package accesstoken

import (
	"encoding/json"
	"strconv"

	"github.com/gatehouse-id/gatehouse/internal/keyset"
)

// Claims are the claims of an access token (RFC 9068 §2.2).
type Claims struct {
	Issuer   string          `json:"iss"`
	Subject  string          `json:"sub"`
	Audience keyset.Audience `json:"aud"`
	ClientID string          `json:"client_id"`
	Expires  int64           `json:"exp"`
	IssuedAt int64           `json:"iat"`
	ID       string          `json:"jti"`
	Scope    string          `json:"scope,omitempty"`
	AuthTime int64           `json:"auth_time,omitempty"`
	ACR      string          `json:"acr,omitempty"`
	AMR      []string        `json:"amr,omitempty"`
	// Grant is the authorization that the token came of: what introspection and userinfo look up.
	Grant string `json:"gid,omitempty"`
}

// JSON is the same text as json.Marshal makes.
func (a Claims) JSON() []byte {
	b := appendText(append(make([]byte, 0, 512), `{"iss":`...), a.Issuer)
	b = appendText(append(b, `,"sub":`...), a.Subject)
	b = append(b, `,"aud":`...)
	if len(a.Audience) == 1 {
		b = appendText(b, a.Audience[0])
	} else {
		b = appendList(b, a.Audience)
	}
	b = appendText(append(b, `,"client_id":`...), a.ClientID)
	b = strconv.AppendInt(append(b, `,"exp":`...), a.Expires, 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), a.IssuedAt, 10)
	b = appendText(append(b, `,"jti":`...), a.ID)
	if a.Scope != "" {
		b = appendText(append(b, `,"scope":`...), a.Scope)
	}
	if a.AuthTime != 0 {
		b = strconv.AppendInt(append(b, `,"auth_time":`...), a.AuthTime, 10)
	}
	if a.ACR != "" {
		b = appendText(append(b, `,"acr":`...), a.ACR)
	}
	if len(a.AMR) > 0 {
		b = appendList(append(b, `,"amr":`...), a.AMR)
	}
	if a.Grant != "" {
		b = appendText(append(b, `,"gid":`...), a.Grant)
	}
	return append(b, '}')
}

func appendList(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, s)
	}
	return append(b, ']')
}

// appendText leaves to encoding/json what needs to be escaped.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c < ' ', c >= 0x7f, c == '"', c == '\\', c == '<', c == '>', c == '&':
			quoted, _ := json.Marshal(s) //nolint:errchkjson // a string can always be encoded
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
