-- Who makes an application and where its terms and its privacy policy are, for the page that asks for consent.

-- +goose Up
-- No row is written: constant defaults are kept in the catalogue.
ALTER TABLE clients ADD COLUMN publisher text NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN policy_uri text NOT NULL DEFAULT '';
ALTER TABLE clients ADD COLUMN tos_uri text NOT NULL DEFAULT '';
