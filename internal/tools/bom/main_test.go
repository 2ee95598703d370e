package main

import "testing"

func TestWhatMayNotGoIntoTheProgramIsRefused(t *testing.T) {
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
