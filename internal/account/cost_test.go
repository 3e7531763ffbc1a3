package account

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/id"
	"troth/internal/password"
	"troth/internal/secret"
)

// The first start calibrates, the next one uses what was found, and another
// target calibrates again.
func TestCalibrationIsKept(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		own := func(o *Options) { o.Hashing, o.Config.PasswordTarget = nil, config.Duration(60*time.Millisecond) }
		first := h.start(h.DB, h.Keys, own)
		c, err := first.Calibrated(ctx)
		if err != nil || c.CalibratedAt.IsZero() || c.Target != 60*time.Millisecond || c.Took <= 0 || c.Params.Below(password.Floor) {
			t.Fatalf("the calibration is %+v, %v", c, err)
		}
		if p := first.Hashing.(*password.Hasher).Params(); p != c.Params {
			t.Errorf("it hashes at %s, calibrated was %s", p, c.Params)
		}
		second := h.start(h.DB, h.Keys, own)
		if again, err := second.Calibrated(ctx); err != nil || again != c {
			t.Errorf("the second start found %+v, %v", again, err)
		}
		third := h.start(h.DB, h.Keys, own, func(o *Options) { o.Config.PasswordTarget = config.Duration(20 * time.Millisecond) })
		if again, err := third.Calibrated(ctx); err != nil || again.Target != 20*time.Millisecond || !again.CalibratedAt.After(c.CalibratedAt) {
			t.Errorf("with another target it found %+v, %v", again, err)
		}
		if n := count(h.events(id.Platform), evCalibrated); n != 2 {
			t.Errorf("the log has %d calibrations", n)
		}
		if _, err := third.SignUp(ctx, stranger(), Application{Email: ada, Name: "Ada", Password: secret.Of(goodWord)}); err != nil {
			t.Error(err)
		}
	})
}

func TestConfig(t *testing.T) {
	load := func(text string) error {
		c := Defaults()
		if err := config.Decode("troth.toml", []byte(text), c.Sections()...); err != nil {
			return err
		}
		for _, s := range c.Sections() {
			if err := s.Check(); err != nil {
				return err
			}
		}
		return nil
	}
	for name, text := range map[string]string{
		"nothing": "", "open": "[signup]\nmode = \"open\"\n", "short sessions": "[session]\nidle = \"15m\"\nabsolute = \"8h\"\n",
		"approved": "[account]\npassword_hash = \"pbkdf2-sha256\"\npassword_pepper = true\n", "dear passwords": "[account]\npassword_target = \"1s\"\npassword_memory = 1024\n",
	} {
		if err := load(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"a mode that is none": "[signup]\nmode = \"maybe\"\n", "a year": "[session]\nabsolute = \"8760h\"\n",
		"idle longer than the session": "[session]\nidle = \"48h\"\nabsolute = \"24h\"\n", "no idle time": "[session]\nidle = \"0s\"\n",
		"bcrypt": "[account]\npassword_hash = \"bcrypt\"\n", "cheap passwords": "[account]\npassword_target = \"1ms\"\n", "no memory": "[account]\npassword_memory = 1\n",
		"no patience": "[account]\npassword_wait = \"0s\"\n", "a link for ever": "[account]\nreset_life = \"100h\"\n",
	} {
		if err := load(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	var names []string
	c := Defaults()
	for _, s := range c.Sections() {
		names = append(names, s.Name)
	}
	if !slices.Equal(names, []string{"signup", "account", "session", "throttle"}) {
		t.Errorf("the sections are %v", names)
	}
}

// Another scheme is calibrated when it is configured; who signs in goes over to
// it, and to the pepper.
func TestSchemeAndPepperByChoice(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		by, _ := h.person(ada, goodWord)
		fips := h.start(h.DB, h.Keys, func(o *Options) {
			o.Hashing, o.Config.PasswordTarget = nil, config.Duration(20*time.Millisecond)
			o.Config.PasswordHash, o.Config.PasswordPepper = "pbkdf2-sha256", true
		})
		c, err := fips.Calibrated(ctx)
		if err != nil || c.Params != password.FloorPBKDF2 {
			t.Fatalf("the calibration is %s, %v", c, err)
		}
		fips.signIn(ada, goodWord)
		first := h.stored(by.Account)
		if !strings.HasPrefix(first, "$pbkdf2-sha256$i=600000,keyid=1$") {
			t.Fatalf("after signing in, stored is %s", first)
		}
		if _, err := fips.SignIn(ctx, stranger(), Attempt{Email: ada, Password: secret.Of(newWord)}); !errors.Is(err, errSignIn) {
			t.Errorf("a wrong password: %v", err)
		}
		if _, err := fips.RotatePepper(ctx, stranger()); fault.KindOf(err) != fault.Denied {
			t.Errorf("a stranger rotates: %v", err)
		}
		if n, err := fips.RotatePepper(ctx, host()); err != nil || n != 2 {
			t.Fatalf("rotating: %d, %v", n, err)
		}
		if n := count(h.events(id.Platform), evPeppered); n != 1 {
			t.Errorf("the log has %d rotations", n)
		}
		fips.signIn(ada, goodWord)
		if second := h.stored(by.Account); !strings.Contains(second, ",keyid=2$") {
			t.Errorf("after rotating and signing in, stored is %s", second)
		}
		if n, err := fips.CountHashes(ctx, host(), 10); err != nil || n != (Hashes{Looked: 1}) {
			t.Errorf("the hashes are %+v, %v", n, err)
		}
		_, err = h.RotatePepper(ctx, host())
		want(t, err, fault.Conflict, "account.no_pepper")
	})
}

// The command proposes, stores what is higher, and asks before it lowers.
func TestCalibrateAgain(t *testing.T) {
	h := sqlite(t, func(o *Options) { o.Config.PasswordTarget = config.Duration(60 * time.Millisecond) })
	if _, err := h.Calibrate(ctx, stranger(), true, true); fault.KindOf(err) != fault.Denied {
		t.Fatalf("a stranger calibrates: %v", err)
	}
	stored := func(p password.Params) {
		t.Helper()
		h.clock.add(time.Second)
		if err := h.storeCost(ctx, host(), Cost{Params: p, Target: 60 * time.Millisecond, Took: 60 * time.Millisecond, CalibratedAt: h.now()}); err != nil {
			t.Fatal(err)
		}
		h.clock.add(time.Second)
	}
	stored(password.Params{Memory: password.Floor.Memory, Passes: 24, Lanes: 1}) // by a far faster machine
	c, err := h.Calibrate(ctx, host(), false, false)
	if err != nil || c.Stored || c.Takes < 2*c.Present.Target || !c.Proposed.Params.Below(c.Present.Params) {
		t.Fatalf("the proposal is %+v, %v", c, err)
	}
	if _, takes, drift, err := h.Drift(ctx); err != nil || drift != password.Slower {
		t.Errorf("it takes %v: %d, %v", takes, drift, err)
	}
	_, err = h.Calibrate(ctx, host(), true, false)
	want(t, err, fault.Conflict, "account.lower_cost")
	if c, err = h.Calibrate(ctx, host(), true, true); err != nil || !c.Stored {
		t.Fatalf("with leave to lower: %+v, %v", c, err)
	}
	if now, err := h.Calibrated(ctx); err != nil || now.Params != c.Proposed.Params {
		t.Errorf("stored is %s, %v", now, err)
	}
	stored(password.Floor) // by a far slower one
	h.Config.PasswordTarget = config.Duration(time.Second)
	if c, err = h.Calibrate(ctx, host(), true, false); err != nil || !c.Stored || !c.Present.Params.Below(c.Proposed.Params) {
		t.Errorf("higher: %+v, %v", c, err)
	}
}

// When the machine has become another, the operator's log says so; nothing is
// changed.
func TestWatchCost(t *testing.T) {
	var said strings.Builder
	h := sqlite(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
	if err := h.WatchCost(ctx); err != nil || said.Len() > 0 {
		t.Errorf("without a calibration: %v, %s", err, &said)
	}
	c := Cost{Params: password.Floor, Target: 20 * time.Second, Took: 20 * time.Second, CalibratedAt: h.now()}
	if err := h.storeCost(ctx, host(), c); err != nil {
		t.Fatal(err)
	}
	if err := h.WatchCost(ctx); err != nil || !strings.Contains(said.String(), "troth password calibrate") {
		t.Errorf("on a faster machine: %v, %s", err, &said)
	}
	said.Reset()
	slow := Cost{Params: password.Params{Memory: password.Comfortable, Passes: 2, Lanes: 1}, Target: time.Millisecond, Took: time.Millisecond, CalibratedAt: h.now().Add(time.Second)}
	if err := h.storeCost(ctx, host(), slow); err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := h.WatchCost(ctx); err != nil || (said.Len() > 0) != (i >= slowInARow-1) {
			t.Errorf("on a slower machine, after %d times: %v, %s", i+1, err, &said)
		}
	}
	c = slow
	if now, err := h.Calibrated(ctx); err != nil || now.Params != c.Params {
		t.Errorf("watching changed the cost: %s, %v", now, err)
	}
}
