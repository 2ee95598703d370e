package realmfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Issue is one thing wrong with a realm file.
type Issue struct {
	File         string
	Line, Column int
	Path         string // where in the document, for example applications[0].redirect_uris
	What         string // what is wrong; never a secret
	How          string // how to mend it; may be empty where What says it
}

// String is the issue in one line: file:line:column: path: what. how
func (i Issue) String() string {
	text := fmt.Sprintf("%s:%d:%d: ", i.File, i.Line, i.Column)
	if i.Path != "" {
		text += i.Path + ": "
	}
	text += strings.TrimSuffix(i.What, ".") + "."
	if i.How != "" {
		text += " " + i.How
	}
	return text
}

// InvalidError is everything that is wrong with a file, so that a person mends it at once.
type InvalidError []Issue

// Error lists the issues, one a line, in the order of the file.
func (e InvalidError) Error() string {
	lines := make([]string, 0, len(e))
	for _, i := range e {
		lines = append(lines, i.String())
	}
	return strings.Join(lines, "\n")
}

// issues collects what is wrong with one file.
type issues struct {
	file string
	list []Issue
}

// add reports something about the value at n.
func (i *issues) add(n *yaml.Node, path, how, format string, args ...any) {
	issue := Issue{File: i.file, Line: 1, Column: 1, Path: path, What: fmt.Sprintf(format, args...), How: how}
	if n != nil && n.Line > 0 {
		issue.Line, issue.Column = n.Line, n.Column
	}
	i.list = append(i.list, issue)
}

// addAll reports sentences of a domain's Check about the mapping at n, each at the field that it begins with.
func (i *issues) addAll(n *yaml.Node, path string, sentences []string) {
	for _, sentence := range sentences {
		at, below := locate(n, sentence)
		where := path
		if below != "" {
			where = strings.TrimPrefix(path+"."+below, ".")
			sentence = strings.TrimLeft(strings.TrimPrefix(sentence, below), ": ")
		}
		i.add(at, where, "", "%s", sentence)
	}
}

// locate finds what a sentence such as `lifetimes.code is 1h; …` is about, as deep as the file names it.
func locate(n *yaml.Node, sentence string) (at *yaml.Node, path string) {
	subject, _, _ := strings.Cut(sentence, " ")
	at = n
	var found []string
	for _, name := range strings.Split(strings.TrimSuffix(subject, ":"), ".") {
		child := member(at, name)
		if child == nil {
			break
		}
		at, found = child, append(found, name)
	}
	if at != nil && at.Kind == yaml.SequenceNode {
		for _, item := range at.Content {
			if strings.Contains(sentence, fmt.Sprintf("%q", item.Value)) {
				at = item
				break
			}
		}
	}
	return at, strings.Join(found, ".")
}

// err is nil or an InvalidError in the order of the file.
func (i *issues) err() error {
	if len(i.list) == 0 {
		return nil
	}
	slices.SortStableFunc(i.list, func(a, b Issue) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return InvalidError(slices.Compact(i.list))
}
