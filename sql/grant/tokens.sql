-- name: TokenStates :many
-- TokenStates tells by one statement which access tokens still count: their authorizations live, when they came of one, the
-- persons are active, and they were not revoked by themselves. The zero id is of no authorization. Each subselect finds one
-- row by its key; EXISTS might be answered by reading all.
SELECT t.grant_id::uuid AS grant_id, t.jti::text AS jti,
  ((t.grant_id = '00000000-0000-0000-0000-000000000000' OR (
    SELECT (SELECT u.status FROM users u WHERE u.id = g.user_id) = 'active'
    FROM grants g WHERE g.id = t.grant_id AND g.revoked_at IS NULL AND (g.ends_at > @now) IS TRUE
  ) IS TRUE) AND (SELECT true FROM revoked_tokens r WHERE r.jti = t.jti) IS NOT TRUE)::boolean AS live
FROM (SELECT unnest(@grant_ids::uuid[]) AS grant_id, unnest(@jtis::text[]) AS jti) AS t;

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
