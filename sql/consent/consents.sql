-- name: LockConsent :one
-- LockConsent reads what a person allowed an application and keeps others from changing it.
SELECT k.scopes FROM consents k WHERE k.user_id = @user_id AND k.client_id = @client_id FOR UPDATE;

-- name: PutConsent :exec
-- PutConsent stores what a person allows an application from now on.
INSERT INTO consents (user_id, client_id, scopes, granted_at, updated_at)
VALUES (@user_id, @client_id, @scopes, @now, @now)
ON CONFLICT ON CONSTRAINT consents_pkey DO UPDATE SET scopes = excluded.scopes, updated_at = excluded.updated_at;

-- name: DeleteConsent :one
-- DeleteConsent forgets what a person allowed an application, and returns it.
DELETE FROM consents k WHERE k.user_id = @user_id AND k.client_id = @client_id RETURNING k.scopes;
