package realmfile

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// File is a realm file that was read and found usable as far as that can be told without the database. It holds
// secrets: do not print it.
type File struct {
	name string
	doc  named[document]
}

// Realm is the slug of the realm that the file describes.
func (f File) Realm() string { return f.doc.given.Realm }

// document is the whole file. api/realm.schema.json describes it to people and editors; a test holds the two equal.
type document struct {
	Realm        string               `yaml:"realm"`
	Name         string               `yaml:"name"`
	Hosts        []string             `yaml:"hosts"`
	Settings     realm.Settings       `yaml:"settings"`
	Flags        realm.Flags          `yaml:"flags"`
	Keys         keys                 `yaml:"keys"`
	Applications []named[application] `yaml:"applications"`
	Users        []named[person]      `yaml:"users"`
}

// keys says which signing keys the realm must have.
type keys struct {
	Algorithms []string `yaml:"algorithms"`
}

type application struct {
	ClientID string `yaml:"client_id"`
	Name     string `yaml:"name"`
	Enabled  bool   `yaml:"enabled"`
	client.Settings
	Secrets        []config.Secret `yaml:"secrets"`
	GenerateSecret bool            `yaml:"generate_secret"`
}

type person struct {
	Username         string        `yaml:"username"`
	Email            string        `yaml:"email"`
	EmailVerified    bool          `yaml:"email_verified"`
	Password         config.Secret `yaml:"password"`
	PasswordHash     config.Secret `yaml:"password_hash"`
	GeneratePassword bool          `yaml:"generate_password"`
	Subject          string        `yaml:"subject"`
	Enabled          bool          `yaml:"enabled"`
	Claims           user.Claims   `yaml:"claims"`
}

// key is the name by which a person is found: the user name or, without one, the e-mail address.
func (p person) key() string {
	if p.Username != "" {
		return p.Username
	}
	return p.Email
}

// Parse reads a realm file. name is what errors call it. Every error is an InvalidError with all that is wrong.
func Parse(content []byte, name string, lookup Lookup) (File, error) {
	found := &issues{file: name}
	root := parseYAML(content, found)
	if root == nil {
		return File{}, found.err()
	}
	substitute(root, "", lookup, found)
	if err := found.err(); err != nil {
		return File{}, err // what could not be filled in would only be reported as wrong once more
	}
	f := File{name: name}
	f.doc.read(decoder{found}, root, "")
	if len(found.list) == 0 { // what was read wrongly cannot be judged
		checkFile(&f.doc, found)
	}
	return f, found.err()
}

func parseYAML(content []byte, found *issues) *yaml.Node {
	documents := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	switch err := documents.Decode(&document); {
	case errors.Is(err, io.EOF) || (err == nil && len(document.Content) == 0):
		found.add(nil, "", "", "the file is empty")
		return nil
	case err != nil:
		found.add(nil, "", "", "is not YAML: %s", yamlProblem(err))
		return nil
	}
	if err := documents.Decode(&second); !errors.Is(err, io.EOF) {
		found.add(&second, "", "Write one file for each realm.", "holds more than one document")
		return nil
	}
	return document.Content[0]
}

// yamlProblem keeps the line of a syntax error and drops what stood there, which may be a secret.
func yamlProblem(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if line, _, found := strings.Cut(text, ": "); found && strings.HasPrefix(line, "line ") {
		return "see " + line
	}
	return "it cannot be parsed"
}

// changed names the fields in which two structs differ, by their names in the file, those of structs below with a
// dot. Empty and absent are the same.
func changed(before, after any) []string {
	return differences(reflect.ValueOf(before), reflect.ValueOf(after), "")
}

func differences(before, after reflect.Value, path string) []string {
	var names []string
	for _, f := range reflect.VisibleFields(before.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		a, b := before.FieldByIndex(f.Index), after.FieldByIndex(f.Index)
		switch {
		case a.Kind() == reflect.Struct:
			names = append(names, differences(a, b, join(path, name))...)
		case (a.Kind() == reflect.Slice || a.Kind() == reflect.Map) && a.Len() == 0 && b.Len() == 0:
		case !reflect.DeepEqual(a.Interface(), b.Interface()):
			names = append(names, join(path, name))
		}
	}
	return names
}
