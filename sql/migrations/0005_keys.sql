-- Signing keys.

-- +goose Up
CREATE TABLE keys (
  realm_id uuid NOT NULL DEFAULT current_realm() REFERENCES realms,
  kid text NOT NULL,
  alg text NOT NULL CHECK (alg IN ('ES256', 'RS256', 'PS256', 'EdDSA')),
  state text NOT NULL CHECK (state IN ('next', 'active', 'retired', 'revoked')),
  -- PKCS #8, sealed by the realm's data key
  private_key bytea NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, kid)
);
CREATE UNIQUE INDEX keys_active ON keys (realm_id, alg) WHERE state = 'active';
CALL isolate('keys', 'SELECT, INSERT, UPDATE');
CALL audit('keys');
CALL announce('keys');
