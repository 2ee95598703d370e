package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// The parts of CycloneDX 1.6 (ECMA-424) that we have something to say in.
type (
	document struct {
		Format     string      `json:"bomFormat"`
		Spec       string      `json:"specVersion"`
		Version    int         `json:"version"`
		Metadata   metadata    `json:"metadata"`
		Components []component `json:"components"`
	}
	metadata struct {
		Component component `json:"component"`
	}
	component struct {
		Type     string     `json:"type"`
		Ref      string     `json:"bom-ref"`
		Name     string     `json:"name"`
		Version  string     `json:"version,omitempty"`
		Licences []licensed `json:"licenses,omitempty"`
		PURL     string     `json:"purl"`
	}
	licensed struct {
		Licence licence `json:"license"`
	}
	licence struct {
		ID string `json:"id"`
	}
)

func made(kind, path, version string, licences []string) component {
	purl := "pkg:golang/" + path
	if version != "" && version != "(devel)" {
		purl += "@" + strings.ReplaceAll(version, "+", "%2B")
	}
	c := component{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
	for _, l := range licences {
		c.Licences = append(c.Licences, licensed{licence{l}})
	}
	return c
}

// sbom writes what a binary says that it was built of.
func sbom(w io.Writer, binary string, modules []module) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("read what the binary is made of: %w", err)
	}
	licences := map[string][]string{}
	for _, m := range modules {
		licences[m.Path] = m.licences
	}
	d := document{
		Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata:   metadata{made("application", info.Main.Path, info.Main.Version, []string{"Apache-2.0"})},
		Components: []component{made("library", "std", strings.TrimPrefix(info.GoVersion, "go"), licences["std"])},
	}
	for _, m := range info.Deps {
		version := m.Version
		if m.Replace != nil {
			if m.Replace.Version == "" || m.Replace.Version == "(devel)" {
				continue // a folder of ours
			}
			version = m.Replace.Version
		}
		if licences[m.Path] == nil {
			return fmt.Errorf("the binary contains %s, which the source does not ask for: build it again", m.Path)
		}
		d.Components = append(d.Components, made("library", m.Path, version, licences[m.Path]))
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	return out.Encode(d)
}
