-- Relying parties ("applications" in what administrators read) and their secrets.

-- +goose Up
CREATE TABLE clients (
  realm_id uuid NOT NULL DEFAULT current_realm() REFERENCES realms,
  id uuid NOT NULL,
  client_id text NOT NULL,
  name text NOT NULL,
  status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
  -- web, browser or native: native ones may use any port of a registered loopback address (RFC 8252 §7.3)
  application_type text NOT NULL CHECK (application_type IN ('web', 'browser', 'native')),
  token_endpoint_auth_method text NOT NULL CHECK (token_endpoint_auth_method IN ('none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt')),
  -- '' allows each algorithm that the client's keys are for
  token_endpoint_auth_signing_alg text NOT NULL DEFAULT '' CHECK (token_endpoint_auth_signing_alg IN ('', 'ES256', 'EdDSA', 'PS256', 'RS256')),
  -- public keys, a JWK set in canonical form: text, because jsonb would write it in another; or where they are published
  jwks text NOT NULL DEFAULT '',
  jwks_uri text NOT NULL DEFAULT '',
  strict_assertion_audience boolean NOT NULL DEFAULT false,
  redirect_uris text[] NOT NULL DEFAULT '{}',
  post_logout_redirect_uris text[] NOT NULL DEFAULT '{}',
  origins text[] NOT NULL DEFAULT '{}',
  grant_types text[] NOT NULL,
  response_types text[] NOT NULL,
  scopes text[] NOT NULL,
  audiences text[] NOT NULL DEFAULT '{}',
  -- audiences whose tokens the client may introspect; '*' is all
  introspects text[] NOT NULL DEFAULT '{}',
  pkce text NOT NULL DEFAULT 'required' CHECK (pkce IN ('required', 'optional')),
  consent text NOT NULL DEFAULT 'once' CHECK (consent IN ('never', 'once', 'always')),
  -- '' takes the realm's algorithm
  id_token_signed_response_alg text NOT NULL DEFAULT '' CHECK (id_token_signed_response_alg IN ('', 'ES256', 'EdDSA', 'PS256', 'RS256')),
  -- '' answers userinfo in plain JSON
  userinfo_signed_response_alg text NOT NULL DEFAULT '' CHECK (userinfo_signed_response_alg IN ('', 'ES256', 'EdDSA', 'PS256', 'RS256')),
  -- the claims of the granted scopes stand in the ID token too
  claims_in_id_token boolean NOT NULL DEFAULT false,
  -- token lifetimes below the realm's; 0 takes the realm's
  access_token_seconds integer NOT NULL DEFAULT 0,
  id_token_seconds integer NOT NULL DEFAULT 0,
  refresh_idle_seconds integer NOT NULL DEFAULT 0,
  refresh_absolute_seconds integer NOT NULL DEFAULT 0,
  start_url text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, client_id),
  CHECK (token_endpoint_auth_method <> 'none' OR pkce = 'required'),
  CHECK (token_endpoint_auth_method <> 'private_key_jwt' OR (jwks = '') <> (jwks_uri = ''))
);
CALL isolate('clients', 'SELECT, INSERT, UPDATE, DELETE');
CALL audit('clients');
CALL announce('clients');

CREATE TABLE client_secrets (
  realm_id uuid NOT NULL DEFAULT current_realm(),
  id uuid NOT NULL,
  client uuid NOT NULL,
  -- SHA-256 of a secret of at least 256 random bits: nothing slower is needed against guessing
  hash bytea NOT NULL,
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  PRIMARY KEY (realm_id, id),
  UNIQUE (realm_id, client, hash),
  FOREIGN KEY (realm_id, client) REFERENCES clients ON DELETE CASCADE
);
CALL isolate('client_secrets', 'SELECT, INSERT, DELETE');
CALL audit('client_secrets');
CALL announce('client_secrets');
