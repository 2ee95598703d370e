-- name: InsertSession :exec
-- InsertSession makes a session.
INSERT INTO sessions (id, token_hash, user_id, auth_time, amr, acr, persistent, created_at, seen_at, idle_seconds, ends_at)
VALUES (@id, @token_hash, @user_id, @auth_time, @amr, @acr, @persistent, @now, @now, @idle_seconds, @ends_at);

-- name: Reauthenticate :execrows
-- Reauthenticate gives a live session of the same person a new cookie and a new authentication time.
UPDATE sessions s SET token_hash = @token_hash, auth_time = @auth_time, amr = @amr, acr = @acr, persistent = @persistent,
  seen_at = @now, idle_seconds = @idle_seconds, ends_at = @ends_at
WHERE s.id = @id AND s.user_id = @user_id AND s.ended_at IS NULL;

-- name: Rotate :execrows
-- Rotate gives a live session a new cookie.
UPDATE sessions s SET token_hash = @token_hash WHERE s.id = @id AND s.ended_at IS NULL;

-- name: EndSession :execrows
-- EndSession ends a live session.
UPDATE sessions s SET ended_at = @now WHERE s.id = @id AND s.ended_at IS NULL;

-- name: SessionByToken :one
-- SessionByToken reads the live session of a cookie.
SELECT s.id, s.user_id, s.auth_time FROM sessions s
WHERE s.token_hash = @token_hash AND s.ended_at IS NULL AND s.ends_at > @now
  AND s.seen_at + make_interval(secs => s.idle_seconds) > @now;

-- name: Seen :exec
-- Seen writes when sessions were last used, a batch at a time.
UPDATE sessions s SET seen_at = greatest(s.seen_at, b.at)
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@times::timestamptz[]) AS at) AS b
WHERE s.id = b.id;

-- name: DeleteEnded :execrows
-- DeleteEnded deletes sessions that have ended, a batch at a time.
DELETE FROM sessions s WHERE s.id IN (
  SELECT o.id FROM sessions o WHERE o.ends_at < @before ORDER BY o.ends_at LIMIT @most FOR UPDATE SKIP LOCKED);

-- name: EndSessions :many
-- EndSessions ends all live sessions of a person but one. Those that look idle end too: their last use may not be
-- written yet.
UPDATE sessions s SET ended_at = @now
WHERE s.user_id = @user_id AND s.id <> @spared AND s.ended_at IS NULL AND s.ends_at > @now
RETURNING s.id;
