package web

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/labstack/echo/v5"

	"github.com/gatehouse-id/gatehouse/internal/problem"
)

// asset is a file that pages load.
type asset struct {
	content     []byte
	contentType string
	// name is the file's name with the digest of its content: gatehouse.1f2e3d4c5b6a7988.css.
	name string
}

// readAssets reads assets/* into memory, by file name.
func readAssets(files fs.FS) (map[string]asset, error) {
	names, err := fs.Glob(files, "assets/*")
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	assets := make(map[string]asset, len(names))
	for _, name := range names {
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		base, ext := path.Base(name), path.Ext(name)
		contentType := assetType(ext)
		if contentType == "" {
			return nil, fmt.Errorf("asset %s: unknown kind of file", base)
		}
		digest := sha256.Sum256(content)
		assets[base] = asset{
			content: content, contentType: contentType,
			name: strings.TrimSuffix(base, ext) + "." + hex.EncodeToString(digest[:8]) + ext,
		}
	}
	return assets, nil
}

// assetType does not ask the machine's own tables, which differ.
func assetType(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".woff2":
		return "font/woff2"
	}
	return ""
}

// Asset serves the path parameter "file", to be mounted as "/assets/:file" below each issuer. A file
// under its current digest may be kept for ever. Another digest is that of another release, which a page on its way
// to us during an update may name: it gets what we have, for now.
func (w *Web) Asset(c *echo.Context) error {
	file := c.Param("file")
	ext := path.Ext(file)
	stem := strings.TrimSuffix(file, ext)
	stem = strings.TrimSuffix(stem, path.Ext(stem))
	found, ok := w.assets[stem+ext]
	if !ok {
		return problem.New(problem.NotFound)
	}
	h := c.Response().Header()
	w.setHeaders(h, static)
	if found.name == file {
		h.Set(echo.HeaderCacheControl, "public, max-age=31536000, immutable")
	} else {
		h.Set(echo.HeaderCacheControl, "no-cache")
	}
	return c.Blob(http.StatusOK, found.contentType, found.content)
}

// assetURL is where a page finds the asset: below the realm's issuer, or at the root outside of realms.
func (w *Web) assetURL(base, file string) (string, error) {
	found, ok := w.assets[file]
	if !ok {
		return "", fmt.Errorf("there is no asset %q", file)
	}
	return base + "/assets/" + found.name, nil
}
