package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// verb is the first word of Use.
func (c Command) verb() string {
	v, _, _ := strings.Cut(c.Use, " ")
	return v
}

// merge puts groups of the same name together, so that several parts may add
// verbs to one group, and refuses two verbs of the same name. The commands come
// back in alphabetical order.
func merge(commands []Command) ([]Command, error) {
	var out []Command
	var wrong []error
	for _, c := range commands {
		if c.verb() == "" || c.Short == "" || c.Run == nil && len(c.Sub) == 0 {
			wrong = append(wrong, fmt.Errorf("the command %q has no name, no description or nothing to do", c.Use))
			continue
		}
		i := slices.IndexFunc(out, func(o Command) bool { return o.verb() == c.verb() })
		switch {
		case i < 0:
			out = append(out, c)
		case out[i].Run != nil || c.Run != nil:
			wrong = append(wrong, fmt.Errorf("the command %q is registered twice", c.verb()))
		default:
			out[i].Sub = slices.Concat(out[i].Sub, c.Sub)
		}
	}
	for i := range out {
		sub, err := merge(out[i].Sub)
		if err != nil {
			wrong = append(wrong, fmt.Errorf("in %q: %w", out[i].verb(), err))
		}
		out[i].Sub = sub
	}
	slices.SortFunc(out, func(a, b Command) int { return strings.Compare(a.verb(), b.verb()) })
	return out, errors.Join(wrong...)
}

// indent puts an example under its heading.
func indent(s string) string {
	if s == "" {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i, l := range lines {
		lines[i] = "  " + strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n")
}

// usageTemplate is cobra's, shorter: what to type, the verbs, the flags.
const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasAvailableFlags}} [flags]{{end}}
{{- if .HasExample}}

Example:
{{.Example}}
{{- end}}
{{- if .HasAvailableSubCommands}}

Commands:
{{- range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}
{{- end}}{{end}}
{{- end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
{{- if .HasAvailableInheritedFlags}}

Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{- end}}
`
