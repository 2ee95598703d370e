// Command bom says what the program is made of: it keeps THIRD_PARTY_LICENSES, which goes with every copy of the
// program, and writes the bill of materials of a binary.
//
//	bom [-check] ROOT                  write THIRD_PARTY_LICENSES; with -check, compare instead
//	bom -sbom BINARY ROOT              write the binary's bill of materials to standard output (CycloneDX 1.6)
//
// Both fail for a module whose licence is not among those that we may pass on (allowed).
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	check := flag.Bool("check", false, "compare instead of writing")
	binary := flag.String("sbom", "", "write the bill of materials of this `BINARY` to standard output instead")
	flag.Parse()
	root := flag.Arg(0)
	if root == "" {
		root = "."
	}
	if err := run(root, *check, *binary); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(root string, check bool, binary string) error {
	modules, err := modules(root)
	if err != nil {
		return err
	}
	var refused []error
	for i := range modules {
		if err := modules[i].read(); err != nil {
			refused = append(refused, err)
		}
	}
	if err := errors.Join(refused...); err != nil {
		return err
	}
	if binary != "" {
		return sbom(os.Stdout, binary, modules)
	}
	name, content := filepath.Join(root, "THIRD_PARTY_LICENSES"), list(modules)
	if !check {
		return os.WriteFile(name, content, 0o644) //nolint:gosec // it is for everybody
	}
	is, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(is, content) {
		return errors.Join(fmt.Errorf("%s does not say what the program is made of: `make gen` writes it", name), err)
	}
	return nil
}

// list is the text of THIRD_PARTY_LICENSES. Modules that have the same licence to the letter share it.
func list(modules []module) []byte {
	var b bytes.Buffer
	b.WriteString("Gatehouse contains the work of others, by these licences. Written by `make gen`.\n\n")
	texts, by := []string{}, map[string][]string{}
	for _, m := range modules {
		fmt.Fprintf(&b, "%s: %s\n", strings.TrimSpace(m.Path+" "+m.Version), strings.Join(m.licences, " AND "))
		if by[m.text] == nil {
			texts = append(texts, m.text)
		}
		by[m.text] = append(by[m.text], m.Path)
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(by[text], "\n"), text)
	}
	return b.Bytes()
}

// allowed are the licences, by their SPDX names, under which others' work may go into the program: they ask for their
// text to go with it, and nothing of the rest of the program. A module under the MPL stays as it is published.
var allowed = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MPL-2.0"}

// classify names the licences that a text consists of, by their SPDX names.
func classify(text string) (names []string) {
	text = strings.Join(strings.Fields(strings.ToLower(text)), " ")
	has := func(words string) bool { return strings.Contains(text, words) }
	add := func(name string, is bool) {
		if is {
			names = append(names, name)
		}
	}
	mpl := has("mozilla public license") && has("version 2.0") // which names the others as well
	add("AGPL", has("gnu affero general public license") && !mpl)
	add("Apache-2.0", has("apache license") && has("version 2.0"))
	bsd := has("redistribution and use in source and binary forms, with or without modification, are permitted")
	three := has("neither the name") || has("names of its contributors may") || has("may not be used to endorse")
	add("BSD-2-Clause", bsd && !three)
	add("BSD-3-Clause", bsd && three)
	add("GPL", has("gnu general public license") && !mpl)
	add("ISC", has("permission to use, copy, modify, and distribute this software") || has("permission to use, copy, modify, and/or distribute this software"))
	add("LGPL", has("gnu lesser general public license") && !mpl)
	add("MIT", has("permission is hereby granted, free of charge, to any person obtaining a copy"))
	add("MPL-2.0", mpl)
	return names
}

func check(name string, licences []string) error {
	if len(licences) == 0 {
		return fmt.Errorf("%s: no licence that this program knows", name)
	}
	for _, l := range licences {
		if !slices.Contains(allowed, l) {
			return fmt.Errorf("%s: its licence is %s, which is not one of %s", name, l, strings.Join(allowed, ", "))
		}
	}
	return nil
}
