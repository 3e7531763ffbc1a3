package sms

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"strings"

	"troth/internal/secret"
)

// vonage speaks the Messages API of Vonage, version 1: JSON, by basic
// authentication with API key and secret.
// https://developer.vonage.com/en/api/messages
type vonage struct {
	wire
	url    string
	key    string
	secret secret.String
	from   string
}

// message is the body. Numbers stand there without the plus sign.
type message struct {
	Type    string `json:"message_type"`
	Channel string `json:"channel"`
	To      string `json:"to"`
	From    string `json:"from"`
	Text    string `json:"text"`
	Ref     string `json:"client_ref"`
}

// Send hands a message over.
func (v *vonage) Send(ctx context.Context, o Outgoing) error {
	body, err := json.Marshal(message{
		"text", "sms", strings.TrimPrefix(string(o.To), "+"), strings.TrimPrefix(v.from, "+"), o.Body, string(o.ID),
	})
	if err != nil {
		return fmt.Errorf("writing a message to Vonage: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url+"/v1/messages", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request to Vonage: %w", bare(err))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.SetBasicAuth(v.key, v.secret.Reveal())
	status, answer, err := v.post(r)
	if err != nil {
		return err
	}
	if status == http.StatusAccepted {
		return nil
	}
	// RFC 9457: the type is an address whose last part names the error.
	var said struct {
		Type string `json:"type"`
	}
	detail := ""
	if json.Unmarshal(answer, &said) == nil && said.Type != "" {
		detail = code(path.Base(strings.ReplaceAll(said.Type, "#", "/")))
	}
	return verdict("Vonage", status, detail)
}

// Probe connects.
func (v *vonage) Probe(ctx context.Context) (string, error) {
	return "Vonage", v.reach(ctx, v.url)
}
