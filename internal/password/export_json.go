package password

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
)

var (
	errNoJSON   = errors.New("the account is not written as it is in such an export")
	errDisabled = errors.New("the account is disabled there")
	errNoHash   = errors.New("the account has no password there: its holder signs up here, or comes by a reset link after being admitted")
)

// keycloakUser is a user of a realm export of Keycloak.
type keycloakUser struct {
	Username      string `json:"username"`
	Email         string `json:"email"`
	EmailVerified bool   `json:"emailVerified"`
	Enabled       *bool  `json:"enabled"`
	FirstName     string `json:"firstName"`
	LastName      string `json:"lastName"`
	Credentials   []struct {
		Type           string `json:"type"`
		SecretData     string `json:"secretData"`
		CredentialData string `json:"credentialData"`
	} `json:"credentials"`
}

// readKeycloak reads a realm export, or an array of its users.
func readKeycloak(r io.Reader) iter.Seq2[Exported, error] {
	return readDocuments(r, "users", func(raw json.RawMessage) Exported {
		var u keycloakUser
		if err := json.Unmarshal(raw, &u); err != nil {
			return Exported{Err: errNoJSON}
		}
		e := Exported{Email: u.Email, Name: strings.TrimSpace(u.FirstName + " " + u.LastName), Confirmed: u.EmailVerified, Err: errNoHash}
		if e.Email == "" && strings.Contains(u.Username, "@") {
			e.Email = u.Username
		}
		for _, c := range u.Credentials {
			switch c.Type {
			case "password":
				e.Hash, e.Err = keycloakHash(c.SecretData, c.CredentialData)
			case "otp", "webauthn", "webauthn-passwordless":
				e.Note = "its second factor is not imported: it has to be set up again"
			}
		}
		if u.Enabled != nil && !*u.Enabled {
			e.Err = errDisabled
		}
		return e
	})
}

// keycloakHash reads the two documents of a password credential.
func keycloakHash(secretData, credentialData string) (Hash, error) {
	var kept struct {
		Value string `json:"value"`
		Salt  string `json:"salt"`
	}
	var about struct {
		HashIterations       uint32              `json:"hashIterations"`
		Algorithm            string              `json:"algorithm"`
		AdditionalParameters map[string][]string `json:"additionalParameters"`
	}
	if json.Unmarshal([]byte(secretData), &kept) != nil || json.Unmarshal([]byte(credentialData), &about) != nil {
		return Hash{}, fmt.Errorf("secretData and credentialData of the password are not as Keycloak writes them")
	}
	h := Hash{Params: Params{Passes: about.HashIterations}}
	switch about.Algorithm {
	case "pbkdf2":
		h.Params.Scheme = PBKDF2SHA1
	case "pbkdf2-sha256":
		h.Params.Scheme = PBKDF2SHA256
	case "pbkdf2-sha512":
		h.Params.Scheme = PBKDF2SHA512
	case "argon2":
		more := func(name string) string { return strings.Join(about.AdditionalParameters[name], " ") }
		number := func(name string) uint32 {
			n, _ := strconv.ParseUint(more(name), 10, 32) // 0 is refused below
			return uint32(n)
		}
		switch more("type") {
		case "id":
		case "i":
			h.Params.Scheme = Argon2i
		default:
			return Hash{}, fmt.Errorf("this type of Argon2 is not read: only id and i")
		}
		if v := more("version"); v != "1.3" {
			return Hash{}, fmt.Errorf("this version of Argon2 is not read: only 1.3")
		}
		h.Params.Memory, h.Params.Lanes = number("memory"), number("parallelism")
	default:
		return Hash{}, fmt.Errorf("passwords of this algorithm are not read")
	}
	if err := h.Params.valid(); err != nil {
		return Hash{}, err
	}
	return h.with(kept.Salt, kept.Value)
}

// auth0User is a line of a password export of Auth0, or a user as its bulk
// import takes it.
type auth0User struct {
	Email         string `json:"email"`
	EmailVerified bool   `json:"email_verified"`
	Name          string `json:"name"`
	Blocked       bool   `json:"blocked"`
	PasswordHash  string `json:"passwordHash"`
	PasswordHash2 string `json:"password_hash"`
	Custom        struct {
		Hash struct {
			Value string `json:"value"`
		} `json:"hash"`
	} `json:"custom_password_hash"`
	Factors []json.RawMessage `json:"mfa_factors"`
}

func readAuth0(r io.Reader) iter.Seq2[Exported, error] {
	return readDocuments(r, "", func(raw json.RawMessage) Exported {
		var u auth0User
		if err := json.Unmarshal(raw, &u); err != nil {
			return Exported{Err: errNoJSON}
		}
		e := Exported{Email: u.Email, Name: u.Name, Confirmed: u.EmailVerified, Err: errNoHash}
		for _, hash := range []string{u.PasswordHash, u.PasswordHash2, u.Custom.Hash.Value} {
			if hash != "" {
				e.Hash, e.Err = ReadForeign(hash)
				break
			}
		}
		if len(u.Factors) > 0 {
			e.Note = "its second factor is not imported: it has to be set up again"
		}
		if u.Blocked {
			e.Err = errDisabled
		}
		return e
	})
}

// firebaseUser is a user as `firebase auth:export FILE.json` writes it.
type firebaseUser struct {
	Email         string            `json:"email"`
	EmailVerified bool              `json:"emailVerified"`
	DisplayName   string            `json:"displayName"`
	Disabled      bool              `json:"disabled"`
	PasswordHash  string            `json:"passwordHash"`
	Salt          string            `json:"salt"`
	Factors       []json.RawMessage `json:"mfaInfo"`
}

func (f Firebase) readExport(r io.Reader) iter.Seq2[Exported, error] {
	return readDocuments(r, "users", func(raw json.RawMessage) Exported {
		var u firebaseUser
		if err := json.Unmarshal(raw, &u); err != nil {
			return Exported{Err: errNoJSON}
		}
		e := Exported{Email: u.Email, Name: u.DisplayName, Confirmed: u.EmailVerified, Err: errNoHash}
		if u.PasswordHash != "" {
			e.Hash, e.Err = f.Hash(u.Salt, u.PasswordHash)
		}
		if len(u.Factors) > 0 {
			e.Note = "its second factor is not imported: it has to be set up again"
		}
		if u.Disabled {
			e.Err = errDisabled
		}
		return e
	})
}
