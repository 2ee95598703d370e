-- name: Issue :exec
-- Issue stores an authorization whose code is about to be sent.
INSERT INTO grants (id, client_id, user_id, session_id, scopes, audience, request, auth_time, amr, acr, created_at, code_hash, code_expires_at, ends_at)
VALUES (@id, @client_id, @user_id, @session_id, @scopes, @audience, @request, @auth_time, @amr, @acr, @now, @code_hash, @code_expires_at, @ends_at);

-- name: ByCode :one
-- ByCode reads the authorization of a code, what became of it, and whether its person may still use it. The code
-- names the row by its id and proves itself by the hash.
SELECT g.id, g.client_id, g.user_id, g.session_id, g.scopes, g.audience, g.request, g.auth_time, g.amr, g.acr, g.created_at,
  g.code_expires_at, g.code_used_at, g.ends_at, g.revoked_at, u.subject, (u.status = 'active')::boolean AS user_active,
  EXISTS (SELECT 1 FROM sessions s WHERE s.id = g.session_id AND s.ended_at IS NULL) AS session_live
FROM grants g JOIN users u ON u.id = g.user_id
WHERE g.id = @id AND g.code_hash = @code_hash;

-- name: Exchange :one
-- Exchange spends a code that is still unused, and records that it did. No row: the race was lost.
WITH spent AS (
  UPDATE grants g SET code_used_at = @now
  WHERE g.id = @id AND g.code_used_at IS NULL AND g.revoked_at IS NULL AND g.code_expires_at > @now
  RETURNING g.id
)
SELECT record_event(@event) FROM spent;

-- name: Burn :one
-- Burn spends a code whose proof failed, so that it cannot be tried again.
WITH burnt AS (
  UPDATE grants g SET code_used_at = @now, revoked_at = @now WHERE g.id = @id AND g.code_used_at IS NULL
  RETURNING g.id
)
SELECT record_event(@event) FROM burnt;

-- name: Revoke :one
-- Revoke ends an authorization and with it every token that came of it.
WITH revoked AS (
  UPDATE grants g SET revoked_at = @now WHERE g.id = @id AND g.revoked_at IS NULL
  RETURNING g.id
)
SELECT record_event(@event) FROM revoked;

-- name: RevokeBySession :execrows
-- RevokeBySession ends what was authorized in a session.
UPDATE grants g SET revoked_at = @now WHERE g.session_id = @session_id AND g.revoked_at IS NULL;

-- name: Person :one
-- Person reads what userinfo answers with: the person of a live authorization and the names that are theirs.
SELECT g.scopes, u.subject, u.claims,
  coalesce(e.display, '')::text AS email, (e.verified_at IS NOT NULL)::boolean AS email_verified,
  coalesce(n.display, '')::text AS username, u.updated_at
FROM grants g JOIN users u ON u.id = g.user_id
LEFT JOIN identifiers e ON e.user_id = u.id AND e.kind = 'email'
LEFT JOIN identifiers n ON n.user_id = u.id AND n.kind = 'username'
WHERE g.id = @id AND g.revoked_at IS NULL AND g.ends_at > @now AND u.status = 'active';
