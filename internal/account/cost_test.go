package account

import (
	"slices"
	"testing"
	"time"

	"troth/internal/config"
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
		"dear passwords": "[account]\npassword_target = \"1s\"\npassword_memory = 1024\n",
	} {
		if err := load(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"a mode that is none": "[signup]\nmode = \"maybe\"\n", "a year": "[session]\nabsolute = \"8760h\"\n",
		"idle longer than the session": "[session]\nidle = \"48h\"\nabsolute = \"24h\"\n", "no idle time": "[session]\nidle = \"0s\"\n",
		"cheap passwords": "[account]\npassword_target = \"1ms\"\n", "no memory": "[account]\npassword_memory = 1\n",
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
