package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// prefix starts the names of all settings but the four flags.
const prefix = "GATEHOUSE_"

// fileSuffix after a secret's name makes the setting that holds its path.
const fileSuffix = "_FILE"

// configFileName is the one setting that says where the others are.
const configFileName = "GATEHOUSE_CONFIG_FILE"

// Options say how to load.
type Options struct {
	// Mode is the command being run.
	Mode Mode
	// ConfigFile is the value of --config; it wins over GATEHOUSE_CONFIG_FILE.
	ConfigFile string
	// Flags are the settings given on the command line, by setting name:
	// {"GATEHOUSE_ADDR": "127.0.0.1:9000"}.
	Flags map[string]string
	// ReadFile reads the YAML file and the files of secrets, usually os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// Load reads the configuration from the environment (in the form of
// os.Environ), the YAML file and the flags, and validates it for the mode. When
// something is wrong the error is an Invalid that lists all of it, and the
// Config holds whatever could be read.
func Load(environ []string, o Options) (Config, error) {
	l := loader{options: o, fields: fieldsOf(), values: map[string]value{}}
	environment := l.environment(environ)

	path := o.ConfigFile
	if path == "" {
		path = environment[configFileName]
	}
	if path != "" {
		l.layer(SourceFile, l.yamlFile(path))
	}
	l.layer(SourceEnv, environment)
	l.layer(SourceFlag, l.flags())

	config := l.parse()
	config.settings = l.list()
	var invalid Invalid
	if errors.As(config.Validate(), &invalid) {
		for _, issue := range invalid {
			if !l.issues.about(issue.Name) {
				l.issues = append(l.issues, issue)
			}
		}
	}
	if len(l.issues) > 0 {
		return config, l.issues
	}
	return config, nil
}

// field is one setting, as the tags of Config describe it.
type field struct {
	goName   string // the field's name in Config
	name     string
	fallback string
	dev      *string
	secret   bool
}

// key is the setting's name in the YAML file.
func (f field) key() string { return strings.ToLower(strings.TrimPrefix(f.name, prefix)) }

// fieldsOf lists the settings in the order of Config.
func fieldsOf() []field {
	var fields []field
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		name := f.Tag.Get("env")
		if name == "" || name == "-" {
			continue
		}
		described := field{goName: f.Name, name: name, fallback: f.Tag.Get("envDefault")}
		if dev, ok := f.Tag.Lookup("dev"); ok {
			described.dev = &dev
		}
		described.secret = f.Type == reflect.TypeFor[Secret]() || f.Type == reflect.TypeFor[Keys]() || f.Type == reflect.TypeFor[MailServers]()
		fields = append(fields, described)
	}
	return fields
}

// value is what a layer said about a setting.
type value struct {
	text   string
	source Source
	from   string
}

// loader gathers values layer by layer, and everything wrong on the way.
type loader struct {
	options Options
	fields  []field
	values  map[string]value
	issues  Invalid
}

func (l *loader) refuse(name, what, why, how string) {
	l.issues = append(l.issues, Issue{Name: name, What: what, Why: why, How: how})
}

// read reads a file through the options.
func (l *loader) read(path string) ([]byte, error) {
	if l.options.ReadFile == nil {
		return nil, errors.ErrUnsupported
	}
	return l.options.ReadFile(path)
}

// layer lays the values of one source over the weaker ones.
func (l *loader) layer(source Source, given map[string]string) {
	for _, f := range l.fields {
		text, path := given[f.name], ""
		if f.secret {
			path = given[f.name+fileSuffix]
		}
		switch {
		case text != "" && path != "":
			l.refuse(f.name, "and "+f.name+fileSuffix+" are both set",
				"Only one can be meant.", "Remove one of them.")
		case path != "":
			content, err := l.read(path)
			if err != nil {
				l.refuse(f.name+fileSuffix, fmt.Sprintf("cannot be read (%v)", err), "",
					"Give a path that this process may read.")
				continue
			}
			l.values[f.name] = value{text: strings.TrimRight(string(content), "\r\n"), source: source, from: path}
		case text != "":
			l.values[f.name] = value{text: text, source: source}
		}
	}
}

// environment keeps what concerns us and refuses names of ours that do not exist.
func (l *loader) environment(environ []string) map[string]string {
	known := l.names()
	given := map[string]string{}
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		switch {
		case slices.Contains(known, name):
			given[name] = text
		case strings.HasPrefix(name, prefix) && !foreign(name, text):
			l.unknown(name, known)
		}
	}
	return given
}

// orchestrated matches the variables that Kubernetes puts into every container
// for a service whose name starts with "gatehouse".
var orchestrated = regexp.MustCompile(
	`^GATEHOUSE_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// foreign reports whether a variable with our prefix is not meant for us: one of
// the tests, or one of the orchestrator.
func foreign(name, text string) bool {
	if strings.HasPrefix(name, prefix+"TEST_") || orchestrated.MatchString(name) {
		return true
	}
	return strings.HasSuffix(name, "_PORT") && strings.Contains(text, "://")
}

// flags checks the names of the overrides.
func (l *loader) flags() map[string]string {
	known := l.names()
	for _, name := range slices.Sorted(maps.Keys(l.options.Flags)) {
		if !slices.Contains(known, name) {
			l.unknown(name, known)
		}
	}
	return l.options.Flags
}

// names lists every name that the environment may hold.
func (l *loader) names() []string {
	names := []string{configFileName}
	for _, f := range l.fields {
		names = append(names, f.name)
		if f.secret {
			names = append(names, f.name+fileSuffix)
		}
	}
	return names
}

func (l *loader) unknown(name string, known []string) {
	how := `Remove it; "gatehouse config show" lists the names.`
	if meant := Nearest(name, known); meant != "" {
		how = "Did you mean " + meant + "?"
	}
	l.refuse(name, "is not a setting", "", how)
}

// parse turns the gathered texts into a Config.
func (l *loader) parse() Config {
	texts := map[string]string{}
	for _, f := range l.fields {
		text := f.fallback
		if f.dev != nil && l.options.Mode == ModeDev {
			text = *f.dev
		}
		if v, given := l.values[f.name]; given {
			text = v.text
		} else {
			l.values[f.name] = value{text: text, source: SourceDefault}
		}
		if text != "" {
			texts[f.name] = strings.TrimSpace(text)
		}
	}

	config := Config{Mode: l.options.Mode}
	err := env.ParseWithOptions(&config, env.Options{Environment: texts})
	config.RealmFiles = splitList(strings.Join(config.RealmFiles, ","))
	var all env.AggregateError
	if errors.As(err, &all) {
		for _, one := range all.Errors {
			l.parseIssue(one)
		}
	} else if err != nil {
		l.refuse("configuration", fmt.Sprintf("cannot be read (%v)", err), "", "")
	}
	return config
}

// parseIssue names the setting whose value could not be read.
func (l *loader) parseIssue(err error) {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		l.refuse("configuration", fmt.Sprintf("cannot be read (%v)", err), "", "")
		return
	}
	at := slices.IndexFunc(l.fields, func(f field) bool { return f.goName == parse.Name })
	if at < 0 {
		l.refuse(parse.Name, fmt.Sprintf("cannot be read (%v)", parse.Err), "", "")
		return
	}
	name := l.fields[at].name
	reason := parse.Err.Error()
	var number *strconv.NumError
	if errors.As(parse.Err, &number) {
		kind := "a whole number"
		if number.Func == "ParseBool" {
			kind = "true or false"
		}
		reason = fmt.Sprintf("%q is not %s", number.Num, kind)
	}
	l.refuse(name, "cannot be used: "+reason, "", example(name))
}

// list is every setting with its value, secrets masked.
func (l *loader) list() []Setting {
	settings := make([]Setting, 0, len(l.fields))
	for _, f := range l.fields {
		v := l.values[f.name]
		shown := v.text
		if f.secret && shown != "" {
			shown = redacted
		}
		settings = append(settings, Setting{Name: f.name, Value: shown, Source: v.source, From: v.from})
	}
	return settings
}
