package realmfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Lookup is where a file's ${env:NAME} and ${file:path} come from. A nil function knows nothing.
type Lookup struct {
	Env  func(name string) (value string, defined bool)
	File func(path string) ([]byte, error)
}

// System looks in the process's environment and in the file system. Relative paths are below dir, which is the realm
// file's own folder.
func System(dir string) Lookup {
	return Lookup{
		Env: os.LookupEnv,
		File: func(path string) ([]byte, error) {
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			return os.ReadFile(path)
		},
	}
}

func (l Lookup) value(reference string) (string, error) {
	kind, name, _ := strings.Cut(reference, ":")
	switch {
	case kind == "env" && name != "":
		if l.Env != nil {
			if value, defined := l.Env(name); defined {
				return value, nil
			}
		}
		return "", fmt.Errorf("the environment variable %s is not defined", name)
	case kind == "file" && name != "":
		if l.File == nil {
			return "", fmt.Errorf("the file %s cannot be read here", name)
		}
		content, err := l.File(name)
		if err != nil {
			return "", fmt.Errorf("the file %s cannot be read (%w)", name, err)
		}
		// Editors and echo end a file with a line break, which belongs to no secret.
		return strings.TrimRight(string(content), "\r\n"), nil
	}
	return "", fmt.Errorf("${%s} is neither ${env:NAME} nor ${file:path}; write $${ for a plain ${", reference)
}

// expand replaces the references in one text. What was put in is not looked at again.
func (l Lookup) expand(text string) (string, error) {
	var out strings.Builder
	for {
		start := strings.Index(text, "${")
		if start < 0 {
			return out.String() + text, nil
		}
		if start > 0 && text[start-1] == '$' {
			out.WriteString(text[:start-1] + "${")
			text = text[start+2:]
			continue
		}
		length := strings.IndexByte(text[start:], '}')
		if length < 0 {
			return "", errors.New("${ has no closing }; write $${ for a plain ${")
		}
		value, err := l.value(text[start+2 : start+length])
		if err != nil {
			return "", err
		}
		out.WriteString(text[:start] + value)
		text = text[start+length+1:]
	}
}

// substituted marks a text that came from outside: it stands for whatever type its place has, so that a secret of
// digits is no number.
const substituted = "!substituted"

// substitute replaces the references in every scalar value below n; keys are taken as they are.
func substitute(n *yaml.Node, path string, lookup Lookup, found *issues) {
	switch n.Kind {
	case yaml.ScalarNode:
		if !strings.Contains(n.Value, "${") {
			return
		}
		value, err := lookup.expand(n.Value)
		if err != nil {
			found.add(n, path, "", "%s", err)
			return
		}
		n.Value, n.Tag = value, substituted
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			substitute(n.Content[i+1], join(path, n.Content[i].Value), lookup, found)
		}
	case yaml.SequenceNode, yaml.DocumentNode:
		for i, item := range n.Content {
			substitute(item, fmt.Sprintf("%s[%d]", path, i), lookup, found)
		}
	default: // aliases are refused by the decoder
	}
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
