package realmfile

import (
	"cmp"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

// decoder lays YAML nodes over Go values. Fields that the nodes do not name keep what they hold, which is what makes
// a file a patch; nothing that the old value shares (maps, pointers, slices) is written to.
type decoder struct{ found *issues }

// overlay is a value that keeps its node, so that it can be laid over another value later.
type overlay interface {
	read(d decoder, n *yaml.Node, path string)
}

// named is a T as far as the file names it.
type named[T any] struct {
	given T // the named fields over T's zero value
	node  *yaml.Node
	path  string
}

func (p *named[T]) read(d decoder, n *yaml.Node, path string) {
	p.node, p.path = n, path
	d.value(n, reflect.ValueOf(&p.given).Elem(), path)
}

// over returns base with the named fields laid over it. The nodes were read once before, so nothing is reported.
func (p *named[T]) over(base T) T {
	if p.node != nil {
		decoder{&issues{}}.value(p.node, reflect.ValueOf(&base).Elem(), p.path)
	}
	return base
}

// has tells whether the file names that field.
func (p *named[T]) has(field string) bool { return member(p.node, field) != nil }

// at is the node of a field, or of the whole where the file does not name it, with its path.
func (p *named[T]) at(field string) (*yaml.Node, string) {
	if n := member(p.node, field); n != nil {
		return n, join(p.path, field)
	}
	return p.node, p.path
}

// member is the value of a key in a mapping, nil when there is none.
func member(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (d decoder) value(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.found.add(n, path, "Write the value out.", "anchors and aliases are not read here")
		return
	}
	if o, ok := v.Addr().Interface().(overlay); ok {
		o.read(d, n, path)
		return
	}
	if n.Tag == "!!null" {
		if v.Type() == reflect.TypeFor[*bool]() {
			v.SetZero()
			return
		}
		d.found.add(n, path, "Leave the line out to keep what there is, or write [], {} or \"\" to empty it.", "has no value")
		return
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(n, text, path)
		return
	}
	if document, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		d.document(n, document, path)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.mapping(n, v, path)
	case reflect.Map:
		d.dictionary(n, v, path)
	case reflect.Slice:
		d.sequence(n, v, path)
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		if !v.IsNil() {
			fresh.Elem().Set(v.Elem())
		}
		d.value(n, fresh.Elem(), path)
		v.Set(fresh)
	default:
		d.scalar(n, v, path)
	}
}

func (d decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if !d.is(n, yaml.MappingNode, path, "a mapping of names to values") {
		return
	}
	fields := fieldsOf(v.Type())
	d.eachKey(n, path, func(key, value *yaml.Node, path string) {
		index, known := fields[key.Value]
		if !known {
			how := "Known here: " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ") + "."
			if meant := config.Nearest(key.Value, slices.Sorted(maps.Keys(fields))); meant != "" {
				how = "Did you mean " + meant + "?"
			}
			d.found.add(key, path, how, "is not known")
			return
		}
		d.value(value, v.FieldByIndex(index), path)
	})
}

func (d decoder) dictionary(n *yaml.Node, v reflect.Value, path string) {
	if !d.is(n, yaml.MappingNode, path, "a mapping of names to values") {
		return
	}
	fresh := reflect.MakeMap(v.Type())
	for _, key := range v.MapKeys() {
		fresh.SetMapIndex(key, v.MapIndex(key))
	}
	d.eachKey(n, path, func(key, value *yaml.Node, path string) {
		at := reflect.ValueOf(key.Value)
		element := reflect.New(v.Type().Elem()).Elem()
		if old := fresh.MapIndex(at); old.IsValid() {
			element.Set(old)
		}
		d.value(value, element, path)
		fresh.SetMapIndex(at, element)
	})
	v.Set(fresh)
}

// eachKey calls do for the keys of a mapping that are texts and occur once.
func (d decoder) eachKey(n *yaml.Node, path string, do func(key, value *yaml.Node, path string)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		where := join(path, key.Value)
		switch {
		case key.Kind != yaml.ScalarNode || key.Anchor != "":
			d.found.add(key, path, "", "has a key that is not a plain name")
			continue
		case seen[key.Value]:
			d.found.add(key, where, "Remove one of them.", "occurs twice")
			continue
		}
		seen[key.Value] = true
		do(key, value, where)
	}
}

func (d decoder) sequence(n *yaml.Node, v reflect.Value, path string) {
	if !d.is(n, yaml.SequenceNode, path, "a list") {
		return
	}
	fresh := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		d.value(item, fresh.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
	v.Set(fresh)
}

func (d decoder) text(n *yaml.Node, into encoding.TextUnmarshaler, path string) {
	if !d.isText(n, path) {
		return
	}
	if err := into.UnmarshalText([]byte(n.Value)); err != nil {
		d.found.add(n, path, "", "%s", err)
	}
}

// document reads what has a form of its own in JSON: as a mapping in the file, or as a text of JSON, such as one from
// another file. An empty text is an empty document.
func (d decoder) document(n *yaml.Node, into json.Unmarshaler, path string) {
	var content []byte
	if n.Kind == yaml.MappingNode {
		var v any
		plain, err := literal(n)
		if err == nil {
			err = plain.Decode(&v)
		}
		if err == nil {
			content, err = json.Marshal(v)
		}
		if err != nil {
			d.found.add(n, path, "", "cannot be read as JSON")
			return
		}
	} else {
		if !d.isText(n, path) {
			return
		}
		content = []byte(cmp.Or(strings.TrimSpace(n.Value), "{}"))
	}
	if err := into.UnmarshalJSON(content); err != nil {
		d.found.add(n, path, "", "%s", err)
	}
}

// literal copies a node with the texts that were filled in as texts, and without anchors and aliases.
func literal(n *yaml.Node) (*yaml.Node, error) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return nil, errors.New("anchors and aliases are not read here")
	}
	plain := *n
	plain.Content = nil
	if plain.Tag == substituted {
		plain.Tag = "!!str"
	}
	for _, child := range n.Content {
		c, err := literal(child)
		if err != nil {
			return nil, err
		}
		plain.Content = append(plain.Content, c)
	}
	return &plain, nil
}

func (d decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.String:
		if d.isText(n, path) {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if n.Kind != yaml.ScalarNode || (n.Tag != "!!bool" && n.Tag != substituted) || err != nil {
			d.found.add(n, path, "", "is not true or false")
			return
		}
		v.SetBool(b)
	case reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || (n.Tag != "!!int" && n.Tag != substituted) || err != nil {
			d.found.add(n, path, "", "is not a whole number")
			return
		}
		v.SetInt(int64(i))
	default:
		d.found.add(n, path, "", "cannot be read as %s", v.Type())
	}
}

func (d decoder) is(n *yaml.Node, kind yaml.Kind, path, what string) bool {
	if n.Kind != kind {
		d.found.add(n, path, "", "is not %s", what)
		return false
	}
	return true
}

// isText accepts texts, and days, which YAML tells from texts and we do not. Other plain words are refused: 1.10 and no
// mean something else to YAML than to the person who wrote them.
func (d decoder) isText(n *yaml.Node, path string) bool {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.found.add(n, path, "", "is not a text")
	case n.Tag != "!!str" && n.Tag != "!!timestamp" && n.Tag != substituted:
		d.found.add(n, path, "Put it in quotes.", "is not a text")
	case strings.ContainsRune(n.Value, 0):
		d.found.add(n, path, "", "contains a NUL character")
	default:
		return true
	}
	return false
}

// fieldsOf maps the names in the file to a struct's fields, those of embedded structs included.
func fieldsOf(t reflect.Type) map[string][]int {
	fields := map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
			fields[name] = f.Index
		}
	}
	return fields
}
