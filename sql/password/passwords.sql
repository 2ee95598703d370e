-- name: Candidate :one
-- Candidate finds the person of a canonical identifier and the hash to compare with; the hash is empty when the
-- person has no password.
SELECT u.id, u.subject, u.status, coalesce(p.hash, '')::text AS hash
FROM identifiers i JOIN users u ON u.id = i.user_id LEFT JOIN passwords p ON p.user_id = u.id
WHERE i.canonical = @canonical;

-- name: SetPassword :exec
INSERT INTO passwords (user_id, hash, changed_at) VALUES (@user_id, @hash, @now)
ON CONFLICT ON CONSTRAINT passwords_pkey DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at;

-- name: Upgrade :execrows
-- Upgrade replaces a hash by a stronger one of the same password, unless the password changed meanwhile.
UPDATE passwords p SET hash = @hash WHERE p.user_id = @user_id AND p.hash = @seen;

-- name: Hash :one
SELECT p.hash FROM passwords p WHERE p.user_id = @user_id;

-- name: ChangedAt :one
SELECT p.changed_at FROM passwords p WHERE p.user_id = @user_id;
