package plug

import (
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"troth/internal/factor"
	"troth/internal/secret"
	"troth/internal/text"
)

// app sets an app up through the pages and returns its key.
func (h *house) app(name string) secret.String {
	h.t.Helper()
	path := h.leads(h.post(pathApp, "name", name), pathApp+"/fct_")
	var answer struct{ Key, Link string }
	if err := json.Unmarshal([]byte(h.json(path)), &answer); err != nil || !strings.HasPrefix(answer.Link, "otpauth://totp/Orchard:") {
		h.t.Fatalf("%v: %+v", err, answer)
	}
	p := h.want(h.get(path), 200, answer.Key, "1. Give the app the key", "3. Enter the code")
	if !strings.Contains(p.raw, `<path fill="#000" d="M`) || !strings.Contains(p.raw, `href="otpauth://totp/`) || strings.Contains(p.raw, "style=") {
		h.t.Errorf("the page has no picture or no link: %s", p.raw)
	}
	h.want(h.post(path, "code", "000000"), 422, "This code is not right")
	key := secret.Of(answer.Key)
	h.leads(h.post(path, "code", h.code(key)), pathList)
	h.add(30 * time.Second)
	if again := h.get(path); again.status != 404 || strings.Contains(again.raw, answer.Key) {
		h.t.Errorf("the key is shown again: %d", again.status)
	}
	return key
}

func (h *house) code(key secret.String) string {
	h.t.Helper()
	code, err := factor.CodeAt(key, h.now())
	if err != nil {
		h.t.Fatal(err)
	}
	return code
}

// From nothing to an app, recovery codes, and back.
func TestAppJourney(t *testing.T) {
	h := open(t)
	h.want(h.get(pathList), 200, "No second factor", "Add a passkey", "Set up an app")
	h.want(h.get(pathApp), 200, "What do you call it?")
	h.app("Phone & <b>tablet</b>")
	p := h.want(h.get(pathList), 200, "A second factor is set up", "Phone & <b>tablet</b>", "You have no recovery codes")
	remove := regexp.MustCompile(`/-/account/factors/remove/fct_[0-9a-z]{26}`).FindString(p.raw)

	h.want(h.get(pathRecovery), 200, "Make recovery codes")
	shown := h.want(h.post(pathRecovery), 200, "shown now and never again")
	codes := regexp.MustCompile(`<li><code>([0-9a-z]{4}(?:-[0-9a-z]{4}){3})</code></li>`).FindAllStringSubmatch(shown.raw, -1)
	file := regexp.MustCompile(`href="(data:text/plain[^"]*)" download="recovery-codes.txt"`).FindStringSubmatch(shown.raw)
	if len(codes) != 10 || file == nil {
		t.Fatalf("%d codes, file %v", len(codes), file)
	}
	text, err := url.PathUnescape(html.UnescapeString(file[1]))
	if err != nil || !strings.Contains(text, codes[9][1]) || !strings.Contains(text, "https://orchard.example") {
		t.Errorf("the file reads %q, %v", text, err)
	}
	if p := h.want(h.get(pathRecovery), 200, "You have 10 codes"); strings.Contains(p.raw, codes[0][1]) {
		t.Error("the codes are shown again")
	}
	h.want(h.get(pathList), 200, "10 of 10 are left")

	h.want(h.get(remove), 200, "Remove the app “Phone & <b>tablet</b>”?", "your recovery codes are void", "signed out everywhere else")
	h.leads(h.post(remove), pathList)
	h.want(h.get(pathList), 200, "No second factor")
	h.want(h.get(remove), 404)
	h.want(h.post(pathRecovery), 409, "Set up a passkey or an authenticator app first")
}

func TestFewCodesAreTold(t *testing.T) {
	h := open(t)
	h.app("")
	h.want(h.post(pathRecovery), 200)
	if strings.Contains(h.get(pathList).words, "are left. Make new ones") {
		t.Error("ten are few")
	}
	d := listData{}
	d.Counts, d.Recovery.Left = true, factor.FewLeft
	if !d.Few() {
		t.Error("three are many")
	}
}

func TestPhoneJourney(t *testing.T) {
	h := open(t)
	h.want(h.get(pathPhone), 200, "SIM swap", "weakest method that counts", "use one of them instead")
	h.want(h.post(pathPhone, "number", "12345"), 422, "Write it with the country code")
	path := h.leads(h.post(pathPhone, "number", "+49 30 901820"), pathPhone+"/fct_")
	h.want(h.get(path), 200, "•••• 20", "good for ten minutes")
	h.want(h.post(path+"/send"), 429, "less than a minute ago")
	h.add(time.Minute)
	h.leads(h.post(path+"/send"), path)
	h.want(h.post(path, "code", "00000000"), 422, "Enter the newest one")
	code := regexp.MustCompile(`#(\d{8})$`).FindStringSubmatch(h.texts[1].Body)
	h.leads(h.post(path, "code", code[1][:4]+" "+code[1][4:]), pathRecovery)
	p := h.want(h.get(pathList), 200, "•••• 20", "Change the number")
	if strings.Contains(p.raw, "901820") {
		t.Error("the number is shown")
	}
	h.want(h.get(regexp.MustCompile(`/-/account/factors/remove/fct_[0-9a-z]{26}`).FindString(p.raw)), 200, "Remove the number •••• 20?")
	h.plan = false
	h.want(h.get(pathPhone), 200, "The plan of no organisation")
	h.want(h.post(pathPhone, "number", "+49 30 901820"), 409)
	h.want(h.get(pathList), 200, "•••• 20")
}

func TestMailJourney(t *testing.T) {
	h := open(t)
	h.want(h.get(pathList), 200, "The weakest method there is")
	h.want(h.get(pathMail), 200, "does not count as a second factor")
	h.leads(h.post(pathMail), pathList)
	p := h.want(h.get(pathList), 200, "Switch off", "No second factor")
	remove := regexp.MustCompile(`/-/account/factors/remove/fct_[0-9a-z]{26}`).FindString(p.raw)
	h.want(h.get(remove), 200, "Stop mailing codes?")
	h.leads(h.post(remove), pathList)
	h.want(h.get(pathList), 200, "Switch on")
}

func TestPasskeysAreListed(t *testing.T) {
	h := open(t)
	h.keys = []Passkey{{Label: text.New("%s", "Laptop"), AddedAt: h.now()}}
	h.want(h.get(pathList), 200, "Laptop", "Manage passkeys", "Not used yet")
}

// What is shown or changed asks again in an old session; the list does not.
func TestOldSessionsAreAskedAgain(t *testing.T) {
	h := open(t)
	h.age = 16 * time.Minute
	h.want(h.get(pathList), 200)
	for _, r := range h.part.Routes {
		if r.Path == pathList {
			continue
		}
		if !r.Recent {
			t.Errorf("%s asks nobody again", r.Pattern())
		}
		p := h.get(r.URL(nil))
		if r.Method == "POST" {
			p = h.post(r.URL(nil))
		}
		h.leads(p, "/-/again")
	}
}
