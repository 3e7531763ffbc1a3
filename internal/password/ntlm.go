package password

import (
	"encoding/binary"
	"unicode/utf16"

	//lint:ignore SA1019 NTLM is MD4 (MS-NLMP, 3.3.1); it is compared with stolen collections, and protects nothing
	"golang.org/x/crypto/md4"

	"troth/internal/secret"
)

// NTLM is the NTLM hash of a password: MD4 of its UTF-16LE text (MS-NLMP, 3.3.1,
// NTOWFv1). It is here to recognise passwords in stolen collections, and is
// never stored.
func NTLM(p secret.String) []byte {
	units := utf16.Encode([]rune(p.Reveal()))
	text := make([]byte, 0, 2*len(units))
	for _, u := range units {
		text = binary.LittleEndian.AppendUint16(text, u)
	}
	h := md4.New()
	h.Write(text)
	return h.Sum(nil)
}
