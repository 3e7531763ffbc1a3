package passkey

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/google/uuid"

	"troth/internal/config"
	"troth/internal/fault"
)

// Whose passkeys have to be attested.
const (
	AttestNobody    = "nobody"
	AttestStaff     = "staff"
	AttestEverybody = "everybody"
)

// Config is the section [passkey].
type Config struct {
	RPID      string   `toml:"rp_id" doc:"The domain to which passkeys are bound for ever: the host of the origin, or a domain above it, such as example.com for app.example.com. Empty: the host of the origin."`
	Attested  string   `toml:"attested" doc:"Whose new passkeys have to prove which make their device is: nobody, staff or everybody. Passkeys that cannot are then refused to those people."`
	RootsFile string   `toml:"roots_file" doc:"A PEM file with the certificates of makers whose attestation is believed. Needed when anybody's passkeys have to be attested."`
	AAGUIDs   []string `toml:"aaguids" doc:"The models whose passkeys are taken where they have to be attested, by AAGUID, as in \"cb69481e-8ff7-4039-93ec-0a2729a154a8\". Empty: every model of the makers in roots_file."`
}

// Defaults is the configuration of an installation that sets nothing.
func Defaults() Config { return Config{Attested: AttestNobody} }

// Sections describes the configuration to package config.
func (c *Config) Sections() []config.Section {
	return []config.Section{{Name: "passkey", Doc: "Passkeys: signing in with a device instead of a password, or besides one.", Value: c, Check: c.check}}
}

func (c *Config) check() error {
	switch c.Attested {
	case AttestNobody:
		if c.RootsFile != "" || len(c.AAGUIDs) > 0 {
			return fault.New(fault.Invalid, "passkey.config", "passkey.roots_file and passkey.aaguids mean nothing while passkey.attested is nobody. Set it to staff or everybody, or leave them out.").On("passkey.attested")
		}
		return nil
	case AttestStaff, AttestEverybody:
	default:
		return fault.New(fault.Invalid, "passkey.config", "passkey.attested is %q; choose nobody, staff or everybody.", c.Attested).On("passkey.attested")
	}
	// What is not anchored is a claim that any program can make.
	if c.RootsFile == "" {
		return fault.New(fault.Invalid, "passkey.config", "passkey.attested is %s, so passkey.roots_file has to name the certificates that are believed.", c.Attested).On("passkey.roots_file")
	}
	_, err := c.models()
	return err
}

// models are the AAGUIDs that are taken; none is every one.
func (c *Config) models() (map[uuid.UUID]bool, error) {
	all := map[uuid.UUID]bool{}
	for _, s := range c.AAGUIDs {
		u, err := uuid.Parse(s)
		if err != nil || u == uuid.Nil || u.String() != s {
			return nil, fault.New(fault.Invalid, "passkey.config", "passkey.aaguids holds %q, which is no AAGUID. Write 32 hexadecimal digits as in cb69481e-8ff7-4039-93ec-0a2729a154a8.", s).On("passkey.aaguids")
		}
		all[u] = true
	}
	return all, nil
}

// maxRoots bounds the file of roots.
const maxRoots = 4 << 20

// anchors reads the roots and the models.
func (c *Config) anchors() (*anchors, error) {
	models, err := c.models()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(c.RootsFile)
	if err != nil || info.Size() > maxRoots {
		return nil, fault.Wrap(err, fault.Invalid, "passkey.roots", "The file %s of passkey.roots_file cannot be read, or is larger than %d MiB.", c.RootsFile, maxRoots>>20).On("passkey.roots_file")
	}
	file, err := os.ReadFile(c.RootsFile)
	if err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "passkey.roots", "The file %s of passkey.roots_file cannot be read.", c.RootsFile).On("passkey.roots_file")
	}
	roots, err := certificates(file)
	if err != nil || len(roots) == 0 {
		return nil, fault.Wrap(err, fault.Invalid, "passkey.roots", "The file %s of passkey.roots_file holds no certificates in PEM, or something else besides.", c.RootsFile).On("passkey.roots_file")
	}
	return &anchors{models: models, entry: &metadata.Entry{MetadataStatement: metadata.Statement{
		AttestationTypes:            metadata.AuthenticatorAttestationTypes{metadata.BasicFull, metadata.AttCA, metadata.AnonCA},
		AttestationRootCertificates: roots,
	}}}, nil
}

func certificates(file []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for rest := bytes.TrimSpace(file); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("after %d certificates stands something else", len(all))
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("reading certificate %d: %w", len(all)+1, err)
		}
		all, rest = append(all, c), after
	}
	return all, nil
}

// anchors answers what the library asks about devices: those of the listed
// models, attested by a certificate that chains up to the roots, and no others
// (L3, 7.1 steps 22 to 24). Self attestation is no attestation here.
type anchors struct {
	models map[uuid.UUID]bool
	entry  *metadata.Entry
}

// GetEntry is the same for every model that is taken.
func (a *anchors) GetEntry(_ context.Context, aaguid uuid.UUID) (*metadata.Entry, error) {
	if len(a.models) > 0 && !a.models[aaguid] {
		return nil, nil
	}
	return a.entry, nil
}

// GetValidateEntry refuses models that are not taken.
func (a *anchors) GetValidateEntry(context.Context) bool { return true }

// GetValidateEntryPermitZeroAAGUID lets no device pass that does not say its model.
func (a *anchors) GetValidateEntryPermitZeroAAGUID(context.Context) bool { return false }

// GetValidateTrustAnchor asks for a chain up to the roots.
func (a *anchors) GetValidateTrustAnchor(context.Context) bool { return true }

// GetValidateStatus is off: there are no status reports.
func (a *anchors) GetValidateStatus(context.Context) bool { return false }

// GetValidateAttestationTypes refuses self attestation.
func (a *anchors) GetValidateAttestationTypes(context.Context) bool { return true }

// ValidateStatusReports has nothing to say.
func (a *anchors) ValidateStatusReports(context.Context, []metadata.StatusReport) error { return nil }
