-- name: TokenState :one
-- TokenState tells by one statement whether an access token still counts: its authorization lives, when it came of
-- one, its person is active, and it was not revoked by itself.
SELECT (sqlc.narg(grant_id)::uuid IS NULL OR EXISTS (
    SELECT 1 FROM grants g WHERE g.id = sqlc.narg(grant_id) AND g.revoked_at IS NULL AND g.ends_at > @now
      AND (SELECT u.status FROM users u WHERE u.id = g.user_id) = 'active'
  ))::boolean AS live,
  EXISTS (SELECT 1 FROM revoked_tokens r WHERE r.jti = @jti) AS revoked;

-- name: RevokeToken :one
-- RevokeToken revokes a single access token and records it. No row: it was revoked before.
WITH revoked AS (
  INSERT INTO revoked_tokens (jti, expires_at) VALUES (@jti, @expires_at) ON CONFLICT DO NOTHING RETURNING jti
)
SELECT record_event(@event) FROM revoked;

-- name: DeleteExpiredTokens :execrows
-- DeleteExpiredTokens deletes revocations of tokens that have ended by themselves, a batch at a time.
DELETE FROM revoked_tokens t WHERE t.jti IN (
  SELECT r.jti FROM revoked_tokens r WHERE r.expires_at < @before ORDER BY r.expires_at LIMIT @most);
