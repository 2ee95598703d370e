-- name: ClientByClientID :one
-- ClientByClientID reads a client, its live secrets and when the first of them ends.
SELECT sqlc.embed(c),
  coalesce((SELECT min(s.expires_at) FROM client_secrets s WHERE s.client = c.id AND s.expires_at > @now), @never)::timestamptz AS secrets_until,
  ARRAY(SELECT s.hash FROM client_secrets s WHERE s.client = c.id AND (s.expires_at IS NULL OR s.expires_at > @now) ORDER BY s.created_at DESC)::bytea[] AS secrets
FROM clients c WHERE c.client_id = @client_id;

-- name: LockClient :one
SELECT sqlc.embed(c) FROM clients c WHERE c.client_id = @client_id FOR UPDATE;

-- name: InsertClient :exec
INSERT INTO clients (id, client_id, name, status, application_type, token_endpoint_auth_method, token_endpoint_auth_signing_alg,
  jwks, jwks_uri, trusted_issuers, strict_assertion_audience, redirect_uris, post_logout_redirect_uris,
  origins, grant_types, response_types, scopes, audiences, introspects, pkce, consent, id_token_signed_response_alg, userinfo_signed_response_alg, claims_in_id_token,
  access_token_seconds, id_token_seconds, refresh_idle_seconds, refresh_absolute_seconds, start_url, publisher, policy_uri, tos_uri, created_at, updated_at)
VALUES (@id, @client_id, @name, @status, @application_type, @token_endpoint_auth_method, @token_endpoint_auth_signing_alg,
  @jwks, @jwks_uri, @trusted_issuers, @strict_assertion_audience, @redirect_uris, @post_logout_redirect_uris,
  @origins, @grant_types, @response_types, @scopes, @audiences, @introspects, @pkce, @consent, @id_token_signed_response_alg,
  @userinfo_signed_response_alg, @claims_in_id_token,
  @access_token_seconds, @id_token_seconds, @refresh_idle_seconds, @refresh_absolute_seconds, @start_url, @publisher, @policy_uri, @tos_uri, @now, @now);

-- name: UpdateClient :exec
UPDATE clients c SET name = @name, status = @status, application_type = @application_type,
  token_endpoint_auth_method = @token_endpoint_auth_method, token_endpoint_auth_signing_alg = @token_endpoint_auth_signing_alg,
  jwks = @jwks, jwks_uri = @jwks_uri, trusted_issuers = @trusted_issuers, strict_assertion_audience = @strict_assertion_audience, redirect_uris = @redirect_uris,
  post_logout_redirect_uris = @post_logout_redirect_uris, origins = @origins, grant_types = @grant_types,
  response_types = @response_types, scopes = @scopes, audiences = @audiences, introspects = @introspects, pkce = @pkce, consent = @consent,
  id_token_signed_response_alg = @id_token_signed_response_alg, userinfo_signed_response_alg = @userinfo_signed_response_alg,
  claims_in_id_token = @claims_in_id_token, 
  access_token_seconds = @access_token_seconds, id_token_seconds = @id_token_seconds, refresh_idle_seconds = @refresh_idle_seconds, refresh_absolute_seconds = @refresh_absolute_seconds, start_url = @start_url,
  publisher = @publisher, policy_uri = @policy_uri, tos_uri = @tos_uri, updated_at = @now
WHERE c.id = @id;

-- name: ClientIDs :many
SELECT c.client_id FROM clients c ORDER BY c.client_id;

-- name: DeleteClient :exec
DELETE FROM clients c WHERE c.client_id = @client_id;

-- name: Secrets :many
SELECT s.id, s.hash, s.expires_at FROM client_secrets s WHERE s.client = @client;

-- name: InsertSecret :exec
INSERT INTO client_secrets (id, client, hash, created_at, expires_at) VALUES (@id, @client, @hash, @now, @expires_at);

-- name: DeleteSecret :exec
DELETE FROM client_secrets s WHERE s.id = @id;

-- name: OriginKnown :one
-- OriginKnown tells whether any enabled client lists an origin; a preflight request does not name its client.
SELECT EXISTS (SELECT 1 FROM clients c WHERE c.status = 'active' AND @origin::text = ANY (c.origins))::boolean;

-- name: IsSubject :one
-- IsSubject tells whether a person has or had that subject: a client_id is the sub of its own access tokens, so that
-- the two may never be the same.
SELECT (EXISTS (SELECT 1 FROM users u WHERE u.subject = @client_id) OR subject_was_given(@client_id))::boolean;
