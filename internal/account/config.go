package account

import (
	"time"

	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/password"
)

// The modes of sign-up.
const (
	SignupOpen   = "open"
	SignupInvite = "invite"
	SignupClosed = "closed"
)

// Config is what an operator can set.
type Config struct {
	Signup
	Passwords
	Lifetimes
	Guessing Guessing
}

// Signup is the section [signup].
type Signup struct {
	Mode string `toml:"mode" doc:"Who may sign up: open (everybody), invite (who was invited to an organisation) or closed (nobody). Left empty, it is open in development and invite in production."`
}

// Passwords is the section [account].
type Passwords struct {
	PasswordHash   string          `toml:"password_hash" doc:"How passwords are hashed: argon2id, or pbkdf2-sha256 (at least 600,000 rounds) where only algorithms approved by FIPS 140-3 may be used. Hashes of the other kind are replaced as people sign in."`
	PasswordPepper bool            `toml:"password_pepper" doc:"Mix a key of the key hierarchy into every password hash, so that the database alone is of no use for guessing. Without that key no password can be compared any more; it is backed up with the other keys. See troth password pepper."`
	PasswordTarget config.Duration `toml:"password_target" doc:"How long hashing one password should take on this machine. The cost is calibrated to it at the first start, and again when this value changes."`
	PasswordMemory int             `toml:"password_memory" doc:"How much memory, in MiB, password hashes may take together, however many people sign in at once."`
	PasswordWait   config.Duration `toml:"password_wait" doc:"How long a sign-in waits for its turn before it is told to come back later."`
	ConfirmLife    config.Duration `toml:"confirm_life" doc:"How long the mailed link lives that confirms an address."`
	ResetLife      config.Duration `toml:"reset_life" doc:"How long the mailed link lives that resets a password."`

	RecoveryDelay     config.Duration `toml:"recovery_delay" doc:"How long the recovery of an account waits that lost its second factor, while its holder is told and can stop it; and how long a change of address waits for an old mailbox that is out of reach."`
	StaffRecoveryWait config.Duration `toml:"staff_recovery_wait" doc:"How long a recovery waits that two members of staff agreed to."`
}

// Lifetimes is the section [session].
type Lifetimes struct {
	Idle     config.Duration `toml:"idle" doc:"A session that is not used for so long ends."`
	Remember config.Duration `toml:"remember" doc:"How long a browser in which somebody used a second factor may stand in for it, if that person wants; at most 90 days. 0s: never. Staff are always asked."`
	Travel   bool            `toml:"travel_factor" doc:"Whether a sign-in from further away than anybody travels since the last one (see place.database_file) asks for the second factor, if the account has one, in a browser that stands in for it too. The holder is told in any case."`
	Absolute config.Duration `toml:"absolute" doc:"A session ends after so long even when it is used; at most 30 days (NIST SP 800-63B-4, 2.1.3)."`
}

// Defaults is the configuration of an installation that sets nothing. The mode
// of sign-up is empty: it depends on the environment, and until somebody sets
// it, empty is [SignupInvite].
func Defaults() Config {
	return Config{
		Passwords: Passwords{
			PasswordHash: "argon2id", PasswordTarget: config.Duration(250 * time.Millisecond), PasswordMemory: 256, PasswordWait: config.Duration(5 * time.Second),
			ConfirmLife: config.Duration(24 * time.Hour), ResetLife: config.Duration(time.Hour),
			RecoveryDelay: config.Duration(72 * time.Hour), StaffRecoveryWait: config.Duration(24 * time.Hour),
		},
		Lifetimes: Lifetimes{Idle: config.Duration(12 * time.Hour), Absolute: config.Duration(maxAbsolute), Remember: config.Duration(30 * 24 * time.Hour), Travel: true},
		Guessing:  defaultGuessing(),
	}
}

// maxAbsolute is the longest life of a session (SP 800-63B-4, 2.1.3: at least
// once in 30 days at assurance level 1).
const maxAbsolute = 30 * 24 * time.Hour

// maxRemember is the longest that a browser may stand in for a second factor.
const maxRemember = 90 * 24 * time.Hour

// Sections describes the configuration to package config.
func (c *Config) Sections() []config.Section {
	return []config.Section{
		{Name: "signup", Doc: "Who may make an account. Nobody becomes staff by signing up.", Value: &c.Signup, Check: c.Signup.check},
		{Name: "account", Doc: "Passwords and the links that are mailed.", Value: &c.Passwords, Check: c.Passwords.check},
		{Name: "session", Doc: "How long somebody stays signed in.", Value: &c.Lifetimes, Check: c.Lifetimes.check},
		{Name: "throttle", Doc: "Limits on guessing passwords and codes. See docs/accounts.md.", Value: &c.Guessing, Check: c.Guessing.check},
	}
}

func (s *Signup) check() error {
	switch s.Mode {
	case "", SignupOpen, SignupInvite, SignupClosed:
		return nil
	}
	return fault.New(fault.Invalid, "account.signup_mode", "signup.mode is %q; choose open, invite or closed.", s.Mode).On("signup.mode")
}

func (p *Passwords) check() error {
	within := func(key string, v config.Duration, low, high time.Duration) error {
		if v.D() < low || v.D() > high {
			return fault.New(fault.Invalid, "account.config", "%s is %s; it can be %s to %s.", key, v, config.Duration(low), config.Duration(high)).On(key)
		}
		return nil
	}
	for _, err := range []error{
		within("account.password_target", p.PasswordTarget, 10*time.Millisecond, 5*time.Second),
		within("account.password_wait", p.PasswordWait, time.Second, time.Minute),
		within("account.confirm_life", p.ConfirmLife, time.Minute, 7*24*time.Hour),
		within("account.reset_life", p.ResetLife, time.Minute, 24*time.Hour),
		within("account.recovery_delay", p.RecoveryDelay, 24*time.Hour, 14*24*time.Hour),
		within("account.staff_recovery_wait", p.StaffRecoveryWait, time.Hour, 14*24*time.Hour),
	} {
		if err != nil {
			return err
		}
	}
	if _, ok := password.SchemeOf(p.PasswordHash); !ok {
		return fault.New(fault.Invalid, "account.config", "account.password_hash is %q; it can be argon2id or pbkdf2-sha256.", p.PasswordHash).On("account.password_hash")
	}
	if p.PasswordMemory < password.Comfortable/1024 || p.PasswordMemory > 1<<20 {
		return fault.New(fault.Invalid, "account.config", "account.password_memory is %d MiB; it can be %d to %d.", p.PasswordMemory, password.Comfortable/1024, 1<<20).On("account.password_memory")
	}
	return nil
}

func (l *Lifetimes) check() error {
	switch {
	case l.Absolute.D() > maxAbsolute || l.Absolute.D() < time.Minute:
		return fault.New(fault.Invalid, "account.config", "session.absolute is %s; it can be 1m to %s.", l.Absolute, config.Duration(maxAbsolute)).On("session.absolute")
	case l.Remember.D() < 0 || l.Remember.D() > maxRemember:
		return fault.New(fault.Invalid, "account.config", "session.remember is %s; it can be 0s to %s.", l.Remember, config.Duration(maxRemember)).On("session.remember")
	case l.Idle.D() < time.Minute || l.Idle > l.Absolute:
		return fault.New(fault.Invalid, "account.config", "session.idle is %s; it can be 1m to session.absolute, which is %s.", l.Idle, l.Absolute).On("session.idle")
	}
	return nil
}
