package passkey

import (
	"testing"

	"troth/internal/access"
	"troth/internal/store"
)

// BenchmarkSignIn is a whole sign-in with a passkey: the challenge kept, the
// answer checked, both durable.
func BenchmarkSignIn(b *testing.B) {
	h := sqlite(b)
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	for b.Loop() {
		browser, options := h.asked()
		answer := d.sign(b, options)
		if r := h.signIn(browser, answer); r.Refused != nil {
			b.Fatal(r.Refused)
		}
	}
}

// BenchmarkRefused is what a stranger can make us do without a passkey: an
// answer to no challenge.
func BenchmarkRefused(b *testing.B) {
	h := sqlite(b)
	ada, d := h.person("ada"), newDevice()
	h.register(ada, d, "")
	browser, options := h.asked()
	answer := d.sign(b, options)
	h.signIn(browser, answer)
	for b.Loop() {
		err := h.DB.Write(ctx, func(tx *store.Tx) error {
			tx.Unaudited("a benchmark")
			_, err := h.SignInTx(ctx, tx, access.Subject{}, browser, answer)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
