package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"troth/internal/secret"
)

// twilio speaks the Messages resource of Twilio's API of 2010-04-01: a form, by
// basic authentication with the account's token or, better, an API key.
// https://www.twilio.com/docs/messaging/api/message-resource
type twilio struct {
	wire
	url     string
	account string
	user    string
	secret  secret.String
	from    string
}

// Send creates a message.
func (t *twilio) Send(ctx context.Context, o Outgoing) error {
	form := url.Values{"To": {string(o.To)}, "Body": {o.Body}}
	if strings.HasPrefix(t.from, "MG") && len(t.from) == 34 {
		form.Set("MessagingServiceSid", t.from)
	} else {
		form.Set("From", t.from)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url+"/2010-04-01/Accounts/"+t.account+"/Messages.json", strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("making a request to Twilio: %w", bare(err))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(t.user, t.secret.Reveal())
	status, answer, err := t.post(r)
	if err != nil {
		return err
	}
	if status == http.StatusCreated {
		return nil
	}
	var said struct {
		Code int `json:"code"` // https://www.twilio.com/docs/api/errors
	}
	detail := ""
	if json.Unmarshal(answer, &said) == nil && said.Code != 0 {
		detail = "error " + strconv.Itoa(said.Code)
	}
	return verdict("Twilio", status, detail)
}

// Probe connects.
func (t *twilio) Probe(ctx context.Context) (string, error) {
	return "Twilio", t.reach(ctx, t.url)
}
