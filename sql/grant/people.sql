-- name: RevokeByUser :many
-- RevokeByUser ends everything that a person authorized, what outlives sessions too, and names the clients.
UPDATE grants g SET revoked_at = @now
WHERE g.user_id = @user_id AND g.revoked_at IS NULL AND g.ends_at > @now
RETURNING g.client_id;

-- name: AccessByUser :many
-- AccessByUser lists the applications that may still act for a person: by a live authorization that outlives sessions
-- or whose session lives.
SELECT g.client_id, count(*) AS grants, bool_or(g.offline)::boolean AS offline, min(g.created_at)::timestamptz AS since,
  max(coalesce(g.rotated_at, g.created_at))::timestamptz AS used_at
FROM grants g
WHERE g.user_id = @user_id AND g.revoked_at IS NULL AND g.ends_at > @now AND g.idle_at > @now
  AND (g.offline OR EXISTS (SELECT 1 FROM sessions s WHERE s.id = g.session_id AND s.ended_at IS NULL AND s.ends_at > @now
    AND s.seen_at + make_interval(secs => s.idle_seconds) > @now))
GROUP BY g.client_id ORDER BY g.client_id;
