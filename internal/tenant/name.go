package tenant

import (
	"strings"

	"troth/internal/fault"
	"troth/internal/text"
)

// nameLimit is the longest name of an organisation, in code points.
const nameLimit = 80

// readName checks the name of an organisation. It stands in mails to people
// who do not know the sender.
func readName(s string) (string, error) {
	s, flaw := text.ReadName(s, nameLimit)
	var err *fault.Error
	switch flaw {
	case text.Fair:
		return s, nil
	case text.Empty:
		err = fault.New(fault.Invalid, "tenant.name_empty", "Give the organisation a name.")
	case text.Long:
		err = fault.New(fault.Invalid, "tenant.name_long", "Use at most %d characters for the name.", nameLimit)
	case text.Link:
		err = fault.New(fault.Invalid, "tenant.name_link", "The name looks like the address of a site. It stands in the mails to the people you invite, and mail programs would make a link of it. Write a space after the dot, or leave the dot out.")
	default:
		err = fault.New(fault.Invalid, "tenant.name_unprintable", "Use only visible characters in the name, and at least one letter or digit.")
	}
	return "", err.On("name")
}

// quoted is a name as a mail shows it: in quotation marks, so that a reader sees
// where the words of somebody else begin and end. One that was given before names
// were read so strictly, and could mislead, is shown as what it is instead.
func quoted(name, instead string) string {
	const longest = 100 // of a person
	name, flaw := text.ReadName(name, longest)
	if flaw != text.Fair {
		return instead
	}
	return "“" + strings.NewReplacer("“", "'", "”", "'", `"`, "'").Replace(name) + "”"
}
