-- name: UseAssertion :execrows
-- UseAssertion notes that the assertion of that id, by that client or that issuer, was used. No row: it was used before.
INSERT INTO used_assertions (client_id, jti, expires_at) VALUES (@client_id, @jti, @expires_at) ON CONFLICT DO NOTHING;

-- name: DeleteExpiredAssertions :execrows
-- DeleteExpiredAssertions deletes the ids of assertions that nobody would accept any more, a batch at a time. FOR UPDATE
-- would need a right to change rows that nobody has; two processes at once merely find less to do.
DELETE FROM used_assertions a WHERE (a.client_id, a.jti) IN (
  SELECT u.client_id, u.jti FROM used_assertions u WHERE u.expires_at < @before ORDER BY u.expires_at LIMIT @most);
