package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// key is a setting as the file has it: string, int64 or bool.
type key struct {
	path   []string // the key, or its table and the key
	want   string   // what is allowed, for a person
	allows func(any) bool
	get    func(*Settings) any
	set    func(*Settings, any)
}

// defaultsTable is the table of the default certificates, by serial number.
const defaultsTable = "default_certificates"

// keys are all settings but the default certificates, in the order in which a new
// file has them.
var keys = []key{
	choiceKey(Languages(), func(s *Settings) *string { return &s.Language }, "language"),
	choiceKey(Backends(), func(s *Settings) *string { return &s.Backend }, "backend"),
	choiceKey(Readers(), func(s *Settings) *string { return &s.Readers }, "readers"),
	boolKey(func(s *Settings) *bool { return &s.WarnDefaultPIN }, "pin", "warn_default"),
	numberKey(MinPINLengthLow, MinPINLengthHigh, func(s *Settings) *int { return &s.MinPINLength }, "pin", "min_length"),
	choiceKey(WeakPINRules(), func(s *Settings) *string { return &s.WeakPINs }, "pin", "weak"),
	boolKey(func(s *Settings) *bool { return &s.AskLastTry }, "pin", "ask_last_try"),
	numberKey(IdleMinutesLow, IdleMinutesHigh, func(s *Settings) *int { return &s.IdleMinutes }, "panel", "idle_minutes"),
}

func choiceKey(choices []string, field func(*Settings) *string, path ...string) key {
	return key{
		path: path, want: "want " + oneOf(choices),
		allows: func(v any) bool { s, ok := v.(string); return ok && slices.Contains(choices, s) },
		get:    func(s *Settings) any { return *field(s) },
		set:    func(s *Settings, v any) { *field(s) = v.(string) },
	}
}

// oneOf lists choices as TOML writes them.
func oneOf(choices []string) string {
	var b strings.Builder
	for i, c := range choices {
		switch {
		case i > 0 && i == len(choices)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(strconv.Quote(c))
	}
	return b.String()
}

func boolKey(field func(*Settings) *bool, path ...string) key {
	return key{
		path: path, want: "want true or false",
		allows: func(v any) bool { _, ok := v.(bool); return ok },
		get:    func(s *Settings) any { return *field(s) },
		set:    func(s *Settings, v any) { *field(s) = v.(bool) },
	}
}

func numberKey(low, high int64, field func(*Settings) *int, path ...string) key {
	return key{
		path: path, want: fmt.Sprintf("want a whole number from %d to %d", low, high),
		allows: func(v any) bool { n, ok := v.(int64); return ok && n >= low && n <= high },
		get:    func(s *Settings) any { return int64(*field(s)) },
		set:    func(s *Settings, v any) { *field(s) = int(v.(int64)) },
	}
}

// readKey takes over what the text says of a key.
func (d *document) readKey(k key, s *Settings) error {
	if table := k.path[0]; len(k.path) > 1 {
		if v, ok := d.value(table); ok {
			if _, isTable := v.(map[string]any); !isTable {
				return d.mistake(v, "want a table", table)
			}
		}
	}
	v, ok := d.value(k.path...)
	if !ok {
		return nil
	}
	if !k.allows(v) {
		return d.mistake(v, k.want, k.path...)
	}
	k.set(s, v)
	return nil
}

// literal writes a value in TOML; "" for one that takes too much room in a message.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		if len(v) > 64 {
			return ""
		}
		return strconv.Quote(v)
	case bool, int64, float64:
		return fmt.Sprint(v)
	}
	return ""
}
