package format

import "strings"

// phc is a hash in the PHC string format:
// $id[$v=version][$name=value,…]$salt$hash
type phc struct {
	id      string
	version string
	params  []param
	salt    string
	hash    string
}

type param struct{ name, value string }

func parsePHC(encoded string) (phc, error) {
	fields := strings.Split(encoded, "$")
	if len(fields) < 4 || fields[0] != "" {
		return phc{}, ErrMalformed
	}
	out := phc{id: fields[1], salt: fields[len(fields)-2], hash: fields[len(fields)-1]}
	middle := fields[2 : len(fields)-2]
	if len(middle) > 0 {
		if version, found := strings.CutPrefix(middle[0], "v="); found {
			out.version, middle = version, middle[1:]
		}
	}
	if len(middle) > 1 {
		return phc{}, ErrMalformed
	}
	if len(middle) == 1 {
		for item := range strings.SplitSeq(middle[0], ",") {
			name, value, found := strings.Cut(item, "=")
			if !found || name == "" || value == "" {
				return phc{}, ErrMalformed
			}
			out.params = append(out.params, param{name, value})
		}
	}
	return out, nil
}

// named returns the values of exactly these parameters in exactly this order,
// as the PHC format prescribes.
func (p phc) named(names ...string) ([]string, error) {
	if len(p.params) != len(names) {
		return nil, ErrMalformed
	}
	values := make([]string, len(names))
	for i, name := range names {
		if p.params[i].name != name {
			return nil, ErrMalformed
		}
		values[i] = p.params[i].value
	}
	return values, nil
}
