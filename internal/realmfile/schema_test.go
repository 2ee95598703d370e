package realmfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-id/gatehouse/internal/client"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

const (
	schemaFile = "../../api/realm.schema.json"
	examples   = "../../api/examples"
)

type object = map[string]any

func readSchema(t *testing.T) object {
	t.Helper()
	content, err := os.ReadFile(schemaFile)
	require.NoError(t, err)
	var schema object
	require.NoError(t, json.Unmarshal(content, &schema))
	return schema
}

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	require.NoError(t, compiler.AddResource("realm.schema.json", readSchema(t)))
	schema, err := compiler.Compile("realm.schema.json")
	require.NoError(t, err)
	return schema
}

// TestSchema holds the published schema against what the program reads.
func TestSchema(t *testing.T) {
	t.Parallel()

	t.Run("has exactly the fields that are read, each described", func(t *testing.T) {
		t.Parallel()
		agree(t, "$", reflect.TypeFor[document](), readSchema(t))
	})

	t.Run("names the defaults that are used", func(t *testing.T) {
		t.Parallel()
		properties := readSchema(t)["properties"].(object)
		settings := properties["settings"].(object)["properties"].(object)
		standard := realm.Settings{}.WithDefaults()
		require.Equal(t, standard.Locale, settings["locale"].(object)["default"])
		passwords := settings["password"].(object)["properties"].(object)
		for name, index := range fieldsOf(reflect.TypeFor[realm.PasswordPolicy]()) {
			used, err := json.Marshal(reflect.ValueOf(standard.Password).FieldByIndex(index).Interface())
			require.NoError(t, err)
			written, err := json.Marshal(passwords[name].(object)["default"])
			require.NoError(t, err)
			require.JSONEq(t, strings.Replace(string(used), "null", "[]", 1), string(written), name)
		}
		rates := settings["rate_limits"].(object)["properties"].(object)
		for name, index := range fieldsOf(reflect.TypeFor[realm.RateLimits]()) {
			require.InDelta(t, reflect.ValueOf(standard.RateLimits).FieldByIndex(index).Int(), rates[name].(object)["default"], 0, name)
		}
		requireDefaults(t, "throttling", reflect.ValueOf(standard.Throttling), settings["throttling"].(object))
		lifetimes := settings["lifetimes"].(object)["properties"].(object)
		for name, index := range fieldsOf(reflect.TypeFor[realm.Lifetimes]()) {
			written, err := realm.ParseDuration(lifetimes[name].(object)["default"].(string))
			require.NoError(t, err)
			used := reflect.ValueOf(standard.Lifetimes).FieldByIndex(index).Interface().(realm.Duration)
			require.Equal(t, time.Duration(used), time.Duration(written), name)
		}
		app := properties["applications"].(object)["items"].(object)["properties"].(object)
		for name, index := range fieldsOf(reflect.TypeFor[client.Settings]()) {
			written, err := json.Marshal(app[name].(object)["default"])
			require.NoError(t, err)
			used, err := json.Marshal(reflect.ValueOf(client.Settings{}.WithDefaults()).FieldByIndex(index).Interface())
			require.NoError(t, err)
			require.JSONEq(t, string(used), string(written), name)
		}
	})

	t.Run("accepts every example, which is also read without complaint", func(t *testing.T) {
		t.Parallel()
		schema := compile(t)
		files, err := filepath.Glob(filepath.Join(examples, "*.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, schema.Validate(decoded(t, content)), file)
			_, err = Parse(content, file, exampleLookup())
			require.NoError(t, err)
		}
	})

	t.Run("refuses what is refused here", func(t *testing.T) {
		t.Parallel()
		schema := compile(t)
		for _, content := range []string{
			"name: Demo",
			"realm: demo\nrealms: []",
			"realm: Demo!",
			"realm: demo\nsettings: {lifetimes: {code: 60}}",
			"realm: demo\nsettings: {password: {min_length: many}}",
			"realm: demo\nflags: {ENABLE_MFA: maybe}",
			"realm: demo\napplications: [{name: Web}]",
			"realm: demo\napplications: [{client_id: web, secrets: [short]}]",
			"realm: demo\napplications: [{client_id: web, pkce: never}]",
			"realm: demo\nusers: [{enabled: true}]",
		} {
			require.Error(t, schema.Validate(decoded(t, []byte(content))), content)
			_, err := Parse([]byte(content), "realm.yaml", Lookup{})
			require.Error(t, err, content)
		}
	})
}

// requireDefaults walks the defaults that are used and a schema side by side.
func requireDefaults(t *testing.T, path string, used reflect.Value, schema object) {
	t.Helper()
	if used.Kind() != reflect.Struct {
		value, err := json.Marshal(used.Interface())
		require.NoError(t, err)
		written, err := json.Marshal(schema["default"])
		require.NoError(t, err)
		require.JSONEq(t, string(value), string(written), path)
		return
	}
	for name, index := range fieldsOf(used.Type()) {
		requireDefaults(t, path+"."+name, used.FieldByIndex(index), schema["properties"].(object)[name].(object))
	}
}

func exampleLookup() Lookup {
	values := map[string]string{"ANA_PASSWORD": "correct horse battery staple"}
	return Lookup{
		Env: func(name string) (string, bool) {
			if v, ok := values[name]; ok {
				return v, true
			}
			return "a-secret-that-is-long-enough-for-us-all", true
		},
		File: func(string) ([]byte, error) { return []byte("another-secret-that-is-long-enough-too\n"), nil },
	}
}

// decoded is YAML as JSON has it: days are texts.
func decoded(t *testing.T, content []byte) any {
	t.Helper()
	var root yaml.Node
	require.NoError(t, yaml.Unmarshal(content, &root))
	var plain func(n *yaml.Node)
	plain = func(n *yaml.Node) {
		if n.Tag == "!!timestamp" {
			n.Tag = "!!str"
		}
		for _, child := range n.Content {
			plain(child)
		}
	}
	plain(&root)
	var v any
	require.NoError(t, root.Decode(&v))
	return v
}

// agree walks a Go type and its schema side by side.
func agree(t *testing.T, path string, typ reflect.Type, schema object) {
	t.Helper()
	require.NotEmpty(t, schema["description"], "%s has no description", path)
	if p, ok := reflect.New(typ).Interface().(overlay); ok {
		typ = reflect.TypeOf(p).Elem().Field(0).Type
	}
	switch typ.Kind() {
	case reflect.Pointer:
		agree(t, path, typ.Elem(), schema)
	case reflect.Slice:
		require.Equal(t, "array", schema["type"], path)
		if element := typ.Elem(); element.Kind() == reflect.Struct && !strings.HasSuffix(element.Name(), "Secret") {
			agree(t, path+"[]", element, schema["items"].(object))
		}
	case reflect.Struct:
		if typ.Name() == "Secret" {
			return
		}
		require.Equal(t, "object", schema["type"], path)
		require.Equal(t, false, schema["additionalProperties"], path)
		properties := schema["properties"].(object)
		for _, f := range reflect.VisibleFields(typ) {
			require.True(t, f.Anonymous || f.Tag.Get("yaml") != "", "%s: %s has no name in the file", path, f.Name)
		}
		fields := fieldsOf(typ)
		for name, index := range fields {
			require.NotNil(t, properties[name], "%s.%s: the program reads it, the schema does not know it", path, name)
			agree(t, path+"."+name, typ.FieldByIndex(index).Type, properties[name].(object))
		}
		for name := range properties {
			require.NotNil(t, fields[name], "%s.%s: the schema knows it, the program does not read it", path, name)
		}
	default: // scalars need a description only
	}
}
