-- name: RevokeByUserAndClient :execrows
-- RevokeByUserAndClient ends everything that a person authorized a client to do.
UPDATE grants g SET revoked_at = @now
WHERE g.user_id = @user_id AND g.client_id = @client_id AND g.revoked_at IS NULL AND g.ends_at > @now;
