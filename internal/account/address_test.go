package account

import "testing"

// A domain in the letters of its language and the ASCII that stands for it are
// one address: one account, reached by mail under the ASCII.
func TestAddressesOfEveryScript(t *testing.T) {
	h := sqlite(t)
	const spelt, ascii = "ada@Bücher.example", "ada@xn--bcher-kva.example"
	h.apply(spelt, goodWord)
	if _, err := h.Confirm(ctx, stranger(), h.link(ascii, PathConfirm), h.here()); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{spelt, ascii, "ada@bücher.example", "ADA@XN--BCHER-KVA.example"} {
		if by, _ := h.signIn(email, goodWord); by.Account == "" {
			t.Errorf("nobody signed in as %s", email)
		}
	}
	before := len(h.post.to(ascii))
	h.apply("ada@bücher.example", newWord) // taken: the holder is told
	if n := len(h.post.to(ascii)); n != before+1 {
		t.Errorf("the holder was told %d times", n-before)
	}
}
