-- name: Issue :execrows
-- Issue stores an authorization whose code is about to be sent, while its session lives. It waits, by its foreign key,
-- for whoever is ending everything of the person (user.Hold). What it stores after them is of an ended session, in which
-- no code is redeemed; what it stored before, they see and revoke.
INSERT INTO grants (id, client_id, user_id, session_id, scopes, audience, request, auth_time, amr, acr, created_at, code_hash, code_expires_at,
  idle_at, ends_at, offline)
SELECT @id, @client_id, @user_id, @session_id, @scopes, @audience, @request, @auth_time, @amr, @acr, @now, @code_hash, @code_expires_at,
  @idle_at, @ends_at, @offline
WHERE EXISTS (SELECT 1 FROM sessions s WHERE s.id = @session_id AND s.user_id = @user_id AND s.ended_at IS NULL AND s.ends_at > @now);

-- name: ByCode :one
-- ByCode reads the authorization of a code, what became of it, and whether its person may still use it. The code
-- names the row by its id and proves itself by the hash.
SELECT sqlc.embed(g), u.subject, (u.status = 'active')::boolean AS user_active,
  coalesce((SELECT s.ended_at IS NULL AND s.ends_at > @now AND s.seen_at + make_interval(secs => s.idle_seconds) > @now
    FROM sessions s WHERE s.id = g.session_id), false)::boolean AS session_live
FROM grants g CROSS JOIN LATERAL (SELECT p.subject, p.status FROM users p WHERE p.id = g.user_id LIMIT 1) AS u
WHERE g.id = @id AND g.code_hash = @code_hash;

-- name: ByID :one
-- ByID reads the authorization that a refresh token names.
SELECT sqlc.embed(g), u.subject, (u.status = 'active')::boolean AS user_active,
  coalesce((SELECT s.ended_at IS NULL AND s.ends_at > @now AND s.seen_at + make_interval(secs => s.idle_seconds) > @now
    FROM sessions s WHERE s.id = g.session_id), false)::boolean AS session_live
FROM grants g CROSS JOIN LATERAL (SELECT p.subject, p.status FROM users p WHERE p.id = g.user_id LIMIT 1) AS u
WHERE g.id = @id;

-- name: Exchange :one
-- Exchange spends a code that is still unused, and records that it did. generation is 1 when a refresh token comes
-- of it. No row: the race was lost.
WITH spent AS (
  UPDATE grants g SET code_used_at = @now, generation = @generation, rotated_at = @now, idle_at = @idle_at, used_from = @used_from
  WHERE g.id = @id AND g.code_used_at IS NULL AND g.revoked_at IS NULL AND g.code_expires_at > @now
  RETURNING g.id
)
SELECT record_event(@event) FROM spent;

-- name: Rotate :execrows
-- Rotate makes the next generation of a refresh token the live one, if the presented one still is. No row: the race
-- was lost.
UPDATE grants g SET generation = g.generation + 1, rotated_at = @now, idle_at = @idle_at
WHERE g.id = @id AND g.generation = @seen AND g.revoked_at IS NULL AND g.idle_at > @now AND g.ends_at > @now;

-- name: RotateElsewhere :one
-- RotateElsewhere is Rotate for a use from another address or program than the last, which it records.
WITH rotated AS (
  UPDATE grants g SET generation = g.generation + 1, rotated_at = @now, idle_at = @idle_at, used_from = @used_from
  WHERE g.id = @id AND g.generation = @seen AND g.revoked_at IS NULL AND g.idle_at > @now AND g.ends_at > @now
  RETURNING g.id
)
SELECT record_event(@event) FROM rotated;

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
-- RevokeBySession ends what was authorized in a session and is not meant to outlive it (offline_access).
UPDATE grants g SET revoked_at = @now WHERE g.session_id = @session_id AND g.revoked_at IS NULL AND NOT g.offline;

-- name: People :many
-- People reads what userinfo answers with: the persons of live authorizations and the names that are theirs. LIMIT 1 has
-- each row found by its key.
SELECT t.grant_id::uuid AS grant_id, t.jti::text AS jti, g.scopes, u.subject, u.claims,
  coalesce(e.display, '')::text AS email, (e.verified_at IS NOT NULL)::boolean AS email_verified,
  coalesce(n.display, '')::text AS username, u.updated_at
FROM (SELECT unnest(@grant_ids::uuid[]) AS grant_id, unnest(@jtis::text[]) AS jti) AS t
CROSS JOIN LATERAL (SELECT o.* FROM grants o WHERE o.id = t.grant_id AND o.revoked_at IS NULL AND (o.ends_at > @now) IS TRUE LIMIT 1) AS g
CROSS JOIN LATERAL (SELECT p.* FROM users p WHERE p.id = g.user_id AND p.status = 'active' LIMIT 1) AS u
LEFT JOIN LATERAL (SELECT i.display, i.verified_at FROM identifiers i WHERE i.user_id = g.user_id AND i.kind = 'email' LIMIT 1) AS e ON true
LEFT JOIN LATERAL (SELECT i.display FROM identifiers i WHERE i.user_id = g.user_id AND i.kind = 'username' LIMIT 1) AS n ON true
WHERE (SELECT true FROM revoked_tokens r WHERE r.jti = t.jti) IS NOT TRUE;

-- name: DeleteEnded :execrows
-- DeleteEnded deletes authorizations that have ended, a batch at a time.
DELETE FROM grants g WHERE g.id IN (
  SELECT o.id FROM grants o WHERE o.ends_at < @before ORDER BY o.ends_at LIMIT @most FOR UPDATE SKIP LOCKED);
