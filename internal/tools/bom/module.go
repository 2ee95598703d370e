package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// module is a part of the program that others wrote.
type module struct {
	Path, Version, Dir string

	licences []string // SPDX names
	text     string   // of its licence and notice
}

// systems are those that the program is built for; what it is made of differs a little.
var systems = []string{"linux", "darwin"}

// modules lists what the program is made of on any of the systems, Go itself first.
func modules(root string) ([]module, error) {
	found := map[string]module{}
	for _, system := range systems {
		cmd := exec.Command("go", "list", "-deps", "-json=Module", "./cmd/gatehouse")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64", "GOOS="+system)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list the program's modules: %w: %s", err, errs.String())
		}
		if err := gather(found, out); err != nil {
			return nil, fmt.Errorf("read the list of modules: %w", err)
		}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find Go: %w", err)
	}
	all := []module{{Path: "std", Dir: strings.TrimSpace(string(goroot))}}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		all = append(all, found[p])
	}
	return all, nil
}

// gather reads what `go list` writes. The main module is ours, and so is one that a folder of it replaces.
func gather(found map[string]module, out []byte) error {
	in := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var pkg struct {
			Module *struct {
				module
				Main    bool
				Replace *module
			}
		}
		err := in.Decode(&pkg)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case pkg.Module == nil || pkg.Module.Main:
			continue
		}
		m := pkg.Module.module
		if by := pkg.Module.Replace; by != nil {
			if by.Version == "" {
				continue
			}
			m.Version, m.Dir = by.Version, by.Dir
		}
		found[m.Path] = m
	}
}

var (
	licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([.-].*)?$`)
	noticeName  = regexp.MustCompile(`(?i)^(notice|patents)([.-].*)?$`)
)

// read fills in the module's licences from the files at its top.
func (m *module) read() error {
	files, err := os.ReadDir(m.Dir)
	if err != nil {
		return fmt.Errorf("%s: read its folder: %w", m.Path, err)
	}
	var texts []string
	for _, f := range files {
		licence := licenceName.MatchString(f.Name())
		if f.IsDir() || !licence && !noticeName.MatchString(f.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, f.Name()))
		if err != nil {
			return fmt.Errorf("%s: read its licence: %w", m.Path, err)
		}
		texts = append(texts, strings.TrimSpace(strings.ReplaceAll(string(text), "\r\n", "\n")))
		if licence {
			m.licences = append(m.licences, classify(string(text))...)
		}
	}
	slices.Sort(m.licences)
	m.licences = slices.Compact(m.licences)
	m.text = strings.Join(texts, "\n\n")
	return check(m.Path, m.licences)
}
