package sms

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"troth/internal/fault"
	"troth/internal/secret"
)

// webhook posts texts to a service of the operator's own, signed as in Standard
// Webhooks (https://www.standardwebhooks.com, version 1): webhook-id is the same
// at every attempt, so that the receiver can drop the second one.
type webhook struct {
	wire
	url  string
	sign *standardwebhooks.Webhook
}

func newWebhook(w wire, url string, s secret.String) (*webhook, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 { // "Signature scheme": 24 to 64 bytes
		return nil, fault.New(fault.Invalid, "sms.config", "The file that sms.secret_file names holds no secret of Standard Webhooks: whsec_ and 24 to 64 random bytes in base64.").On("sms.secret_file")
	}
	sign, err := standardwebhooks.NewWebhookRaw(key)
	if err != nil {
		return nil, fmt.Errorf("preparing the signature of webhooks: %w", err)
	}
	return &webhook{w, url, sign}, nil
}

// posted is the body.
type posted struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      postedTo  `json:"data"`
}

type postedTo struct {
	To   Number `json:"to"`
	Text string `json:"text"`
	Kind string `json:"kind"`
}

// Send posts a text.
func (h *webhook) Send(ctx context.Context, o Outgoing) error {
	body, err := json.Marshal(posted{"text.send", o.At.UTC(), postedTo{o.To, o.Body, o.Kind}})
	if err != nil {
		return fmt.Errorf("writing a webhook: %w", err)
	}
	signature, err := h.sign.Sign(string(o.ID), o.At, body)
	if err != nil {
		return fmt.Errorf("signing a webhook: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the request of a webhook: %w", bare(err))
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(standardwebhooks.HeaderWebhookID, string(o.ID))
	r.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(o.At.Unix(), 10))
	r.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	status, _, err := h.post(r)
	if err != nil {
		return err
	}
	if status/100 != 2 {
		return verdict("the webhook", status, "")
	}
	return nil
}

// Probe connects.
func (h *webhook) Probe(ctx context.Context) (string, error) {
	return "the webhook at " + hostOf(h.url), h.reach(ctx, h.url)
}
