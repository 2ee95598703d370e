// Package templates carries the files that people see into the binary: the
// catalogues of texts, and beside them the pages, their assets and the mails.
// It holds no logic; i18n and web read it.
package templates

import "embed"

// FS has the folders as they lie here. A new folder is added to the pattern
// below, in the same change as its first file, because an empty one does not
// compile.
//
//go:embed locales pages assets mail
var FS embed.FS
