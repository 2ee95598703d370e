package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlFile reads the configuration file and returns its values by setting name.
// The file is one flat mapping of scalars and lists of scalars. Nodes are read
// instead of Go values so that a value stays the text that was written and an
// issue can name its line.
func (l *loader) yamlFile(path string) map[string]string {
	content, err := l.read(path)
	if err != nil {
		l.refuse(configFileName, fmt.Sprintf("names a file that cannot be read (%v)", err), "",
			"Give a path that this process may read.")
		return nil
	}
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		l.refuse(path, "is not YAML: "+yamlProblem(err), "", "")
		return nil
	}
	if len(document.Content) == 0 {
		return nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		l.refuse(path, "is not a mapping of settings to values", "", "Write lines such as: addr: 127.0.0.1:8080")
		return nil
	}
	return l.yamlMapping(path, root)
}

func (l *loader) yamlMapping(path string, root *yaml.Node) map[string]string {
	nameOf := map[string]string{}
	var keys []string
	for _, f := range l.fields {
		nameOf[f.key()] = f.name
		keys = append(keys, f.key())
		if f.secret {
			nameOf[f.key()+strings.ToLower(fileSuffix)] = f.name + fileSuffix
			keys = append(keys, f.key()+strings.ToLower(fileSuffix))
		}
	}
	given, seen := map[string]string{}, map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		where := fmt.Sprintf("%s:%d: %s", path, key.Line, key.Value)
		name, known := nameOf[key.Value]
		if !known {
			l.unknown(where, nil)
			if meant := Nearest(key.Value, keys); meant != "" {
				l.issues[len(l.issues)-1].How = "Did you mean " + meant + "?"
			}
			continue
		}
		if seen[key.Value] {
			l.refuse(where, "occurs twice", "Only one can be meant.", "Remove one of them.")
			continue
		}
		seen[key.Value] = true
		text, ok := yamlText(node)
		if !ok {
			l.refuse(where, "is neither a value nor a list of values", "", "")
			continue
		}
		given[name] = text
	}
	return given
}

// yamlText returns a scalar as it was written, or a list of scalars joined by
// commas.
func yamlText(node *yaml.Node) (string, bool) {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch node.Kind {
	case yaml.ScalarNode:
		if node.Tag == "!!null" {
			return "", true
		}
		return node.Value, true
	case yaml.SequenceNode:
		items := make([]string, 0, len(node.Content))
		for _, item := range node.Content {
			if item.Kind != yaml.ScalarNode {
				return "", false
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), true
	default:
		return "", false
	}
}

// yamlProblem keeps the line of a syntax error and drops what stood there, which
// may be a secret.
func yamlProblem(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if line, _, found := strings.Cut(text, ": "); found && strings.HasPrefix(line, "line ") {
		return "see " + line
	}
	return "it cannot be parsed"
}
