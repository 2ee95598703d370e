-- name: RevokeByUser :many
-- RevokeByUser ends everything that a person authorized, what outlives sessions too, and names the clients.
UPDATE grants g SET revoked_at = @now
WHERE g.user_id = @user_id AND g.revoked_at IS NULL AND g.ends_at > @now
RETURNING g.client_id;
