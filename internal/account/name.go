package account

import (
	"troth/internal/fault"
	"troth/internal/text"
)

// maxName is the length of a name in code points.
const maxName = 100

// readName reads what a person wants to be called.
func readName(s string) (string, error) {
	s, flaw := text.ReadName(s, maxName)
	var err *fault.Error
	switch flaw {
	case text.Fair:
		return s, nil
	case text.Hidden:
		err = fault.New(fault.Invalid, "account.bad_name", "The name contains a character that cannot be shown. Leave it out.")
	case text.Long:
		err = fault.New(fault.Invalid, "account.long_name", "The name may have at most %d characters.", maxName)
	case text.Link:
		err = fault.New(fault.Invalid, "account.name_link", "The name looks like the address of a site, which mail programs would make a link of. Write a space after the dot, or leave the dot out.")
	default:
		err = fault.New(fault.Invalid, "account.no_name", "Enter the name that others should see.")
	}
	return "", err.On("name")
}
