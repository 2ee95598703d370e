package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, strings.Join(args, " "), err)
	}
	return string(out)
}

// TestOP07_TheBillNamesWhatIsInTheProgram holds the bill of materials against what the go command says the program is
// linked of.
func TestOP07_TheBillNamesWhatIsInTheProgram(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "gatehouse")
	output(t, "go", "build", "-buildvcs=false", "-o", binary, "./cmd/gatehouse")
	list := output(t, "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{if not .Replace}}{{.Path}}@{{.Version}}{{end}}{{end}}{{end}}", "./cmd/gatehouse")
	var want []string
	for _, line := range strings.Fields(list) {
		if !slices.Contains(want, line) {
			want = append(want, line)
		}
	}
	found, err := modules(root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		if err := found[i].read(); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	if err := sbom(&text, binary, found); err != nil {
		t.Fatal(err)
	}
	var bill document
	if err := json.Unmarshal(text.Bytes(), &bill); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range bill.Components {
		if len(c.Licences) == 0 || c.Version == "" || !strings.HasPrefix(c.PURL, "pkg:golang/"+c.Name+"@") {
			t.Errorf("%s: %+v", c.Name, c)
		}
		if c.Name != "std" {
			got = append(got, c.Name+"@"+c.Version)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 20 || !slices.Equal(want, got) {
		t.Errorf("the program is made of\n%v\nand the bill names\n%v", want, got)
	}
}

func TestOP07_WhatMayNotGoIntoTheProgramIsRefused(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"Permission is hereby granted, free of charge, to any person\nobtaining a copy":                                              true,
		"Apache License\n   Version 2.0, January 2004":                                                                               true,
		"GNU GENERAL PUBLIC LICENSE\nVersion 3":                                                                                      false,
		"GNU AFFERO GENERAL PUBLIC LICENSE\nVersion 3":                                                                               false,
		"Permission is hereby granted, free of charge, to any person obtaining a copy, or the GNU General Public License, version 2": false,
		"Business Source License 1.1":                                                                                                false,
		"":                                                                                                                           false,
	} {
		if err := check("m", classify(text)); (err == nil) != ok {
			t.Errorf("%q is %v: %v", text, classify(text), err)
		}
	}
}
