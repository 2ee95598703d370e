-- Applications may be known by the assertions of others: the platform that a service runs on proves who it is.

-- +goose Up
-- No row is written and none is read: a constant default is kept in the catalogue, and the new check is not validated
-- against the rows that there are, each of which passes the stricter one that it replaces.
ALTER TABLE clients ADD COLUMN trusted_issuers jsonb NOT NULL DEFAULT '[]';
ALTER TABLE clients DROP CONSTRAINT clients_check1;
ALTER TABLE clients ADD CONSTRAINT clients_proof CHECK (
  token_endpoint_auth_method <> 'private_key_jwt' OR (jwks = '') <> (jwks_uri = '') OR jwks = '' AND trusted_issuers <> '[]') NOT VALID;
-- used_assertions.client_id is whose assertion it was: a client's, or, by its name, an issuer's.
