// Package realmfile reads realm files and makes realms be as they say.
//
// A realm file is one YAML document that describes one realm: its settings, keys, applications and people, keyed by
// natural names (slug, client_id, user name). Parse checks all that can be checked without a database and reports
// everything that is wrong, each with its place and its mend. Applier.Apply brings the database to what the file
// says, the whole realm in one transaction.
//
// The rules that callers and writers of files rely on:
//
//   - What a file does not name stays as it is. A field that is present is set: lists as a whole, mappings key by
//     key. An empty text takes a setting, a claim or an overriding text back to its default.
//   - Applying a file twice changes nothing the second time: no row and no event. Secrets are compared by hash,
//     passwords are verified against the stored hash.
//   - Nothing is deleted without ApplyOptions.Prune, and with it only applications that the file does not name, and
//     secrets beyond those that a named application lists. People are never deleted or disabled by pruning: most
//     accounts of a realm that lets people register are in no file.
//   - An imported password hash and a generated password are for a person who has no password yet. Stored hashes are
//     made anew at sign-in and people choose new passwords, so that neither may come back from a file. A plain
//     password in the file is different: it is what the file's writer wants it to be, always.
//   - `enabled: true` enables what an administrator had disabled; it does not open an account that its owner or
//     evidence of abuse has locked.
//
// The package decides no rule of a domain: each part is checked and written by the package that owns it. What a
// command prints, and which actor the events name (event.With), is the caller's.
package realmfile
