package sms

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"troth/internal/config"
	"troth/internal/fault"
	"troth/internal/secret"
)

const (
	hush  = "5ecret-that-nobody-may-read"
	whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

// service is a server that speaks the API of one carrier, over TLS.
type service struct {
	*httptest.Server
	status int
	answer string
	delay  chan struct{} // closed when the answer may come
	path   string
	header http.Header
	user   string
	pass   string
	body   []byte
	hits   int
}

func serve(t *testing.T) *service {
	t.Helper()
	s := &service{}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.hits++
		s.path, s.header = r.Method+" "+r.URL.RequestURI(), r.Header.Clone()
		s.user, s.pass, _ = r.BasicAuth()
		s.body, _ = io.ReadAll(r.Body)
		if s.delay != nil {
			select {
			case <-s.delay:
			case <-r.Context().Done():
			}
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
		io.WriteString(w, s.answer)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // connections that end early are what some tests are about
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// configured is the driver of a section that leads to the service.
func (s *service) configured(t *testing.T, c Config, value string) Sender {
	t.Helper()
	c.URL, c.Countries, c.PerHour = s.URL, []string{"+49"}, 10
	if c.Timeout == 0 {
		c.Timeout = config.Duration(5 * time.Second)
	}
	c.SecretFile = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(c.SecretFile, []byte(value+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Fatal(err)
	}
	sender, err := c.Sender()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	wireOf(sender).client.Transport.(*http.Transport).TLSClientConfig.RootCAs = roots
	return sender
}

func wireOf(s Sender) wire {
	switch s := s.(type) {
	case *webhook:
		return s.wire
	case *twilio:
		return s.wire
	case *vonage:
		return s.wire
	case *sns:
		return s.wire
	}
	panic("unknown driver")
}

var (
	twilioConfig = Config{Driver: DriverTwilio, Account: "AC" + strings.Repeat("0a", 16), From: "+4930901899"}
	vonageConfig = Config{Driver: DriverVonage, Key: "abcd1234", From: "Troth"}
	snsConfig    = Config{Driver: DriverSNS, Key: "AKIDEXAMPLE", Region: "eu-central-1", From: "Troth"}
	hookConfig   = Config{Driver: DriverWebhook}
)

var out = Outgoing{ID: "txt_06h0685231r012305w14w2f4h4", Kind: "factor.code", To: berlin, Body: "Your code is 12345678 – für dich", At: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}

func form(t *testing.T, b []byte) url.Values {
	t.Helper()
	v, err := url.ParseQuery(string(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTwilio(t *testing.T) {
	s := serve(t)
	s.status, s.answer = 201, `{"sid":"SM1","status":"queued","error_code":null}`
	if err := s.configured(t, twilioConfig, hush).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	v := form(t, s.body)
	if s.path != "POST /2010-04-01/Accounts/"+twilioConfig.Account+"/Messages.json" || s.user != twilioConfig.Account || s.pass != hush ||
		v.Get("To") != string(berlin) || v.Get("From") != twilioConfig.From || v.Get("Body") != out.Body || len(v) != 3 {
		t.Errorf("%s %s %v", s.path, s.user, v)
	}
	withKey := twilioConfig
	withKey.Key, withKey.From = "SK"+strings.Repeat("0b", 16), "MG"+strings.Repeat("0c", 16)
	if err := s.configured(t, withKey, hush).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	if v := form(t, s.body); s.user != withKey.Key || v.Get("MessagingServiceSid") != withKey.From || v.Has("From") {
		t.Errorf("%s %v", s.user, v)
	}
}

func TestVonage(t *testing.T) {
	s := serve(t)
	s.status, s.answer = 202, `{"message_uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}`
	if err := s.configured(t, vonageConfig, hush).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	var got map[string]string
	if err := json.Unmarshal(s.body, &got); err != nil {
		t.Fatal(err)
	}
	if s.path != "POST /v1/messages" || s.user != "abcd1234" || s.pass != hush || got["to"] != "4930901820" || got["from"] != "Troth" ||
		got["text"] != out.Body || got["channel"] != "sms" || got["message_type"] != "text" || got["client_ref"] != string(out.ID) {
		t.Errorf("%s %v", s.path, got)
	}
}

func TestSNS(t *testing.T) {
	s := serve(t)
	s.status, s.answer = 200, `<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>`
	if err := s.configured(t, snsConfig, hush).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	v := form(t, s.body)
	if s.path != "POST /" || v.Get("Action") != "Publish" || v.Get("PhoneNumber") != string(berlin) || v.Get("Message") != out.Body ||
		v.Get("MessageAttributes.entry.1.Value.StringValue") != "Transactional" || v.Get("MessageAttributes.entry.2.Name") != "AWS.SNS.SMS.SenderID" {
		t.Errorf("%s %v", s.path, v)
	}
	// Signature Version 4: what is signed covers host, time and body.
	sum := s.header.Get("Authorization")
	if !strings.HasPrefix(sum, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/eu-central-1/sns/aws4_request, SignedHeaders=") ||
		!strings.Contains(sum, "host;x-amz-date, Signature=") || s.header.Get("X-Amz-Date") != "20261122T120000Z" {
		t.Errorf("the signature: %s", sum)
	}
	before := sum
	other := out
	other.Body += "!"
	if err := s.configured(t, snsConfig, hush).Send(ctx, other); err != nil || s.header.Get("Authorization") == before {
		t.Errorf("%v: another text has the same signature", err)
	}
	number := snsConfig
	number.From = "+4930901899"
	if err := s.configured(t, number, hush).Send(ctx, out); err != nil || form(t, s.body).Get("MessageAttributes.entry.2.Name") != "AWS.MM.SMS.OriginationNumber" {
		t.Errorf("%v: the number that it comes from is missing", err)
	}
}

func TestWebhook(t *testing.T) {
	s := serve(t)
	s.status = 204
	if err := s.configured(t, hookConfig, whsec).Send(ctx, out); err != nil {
		t.Fatal(err)
	}
	verify, err := standardwebhooks.NewWebhook(whsec)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify.VerifyIgnoringTimestamp(s.body, s.header); err != nil {
		t.Errorf("the signature is not right: %v", err)
	}
	var got posted
	if err := json.Unmarshal(s.body, &got); err != nil || got.Type != "text.send" || got.Data.To != berlin || got.Data.Text != out.Body || got.Data.Kind != "factor.code" {
		t.Errorf("%v %+v", err, got)
	}
	if s.header.Get("Webhook-Id") != string(out.ID) || s.header.Get("Webhook-Timestamp") != fmt.Sprint(out.At.Unix()) {
		t.Errorf("headers: %v", s.header)
	}
	if err := verify.VerifyIgnoringTimestamp(append(s.body, ' '), s.header); err == nil {
		t.Error("another body has the same signature")
	}
	for _, bad := range []string{"whsec_", "short", "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65)), "whsec_!"} {
		if _, err := newWebhook(newWire(time.Second), s.URL, secret.Of(bad)); fault.KindOf(err) != fault.Invalid {
			t.Errorf("the secret %q: %v", bad, err)
		}
	}
}

// What the services answer when they do not take a text, as their documents
// have it, and what becomes of it.
func TestErrorAnswers(t *testing.T) {
	long := strings.Repeat("x", 2*maxAnswer)
	for name, c := range map[string]struct {
		config Config
		secret string
		status int
		answer string
		final  bool
		says   string
	}{
		"twilio: no number":      {twilioConfig, hush, 400, `{"code":21211,"message":"The 'To' number ` + string(berlin) + ` is not a valid phone number.","status":400}`, true, "Twilio answered 400, error 21211"},
		"twilio: wrong token":    {twilioConfig, hush, 401, `{"code":20003,"message":"Authenticate","status":401}`, true, "Twilio answered 401, error 20003"},
		"twilio: too many":       {twilioConfig, hush, 429, `{"code":20429,"message":"Too Many Requests","status":429}`, false, "Twilio answered 429, error 20429"},
		"twilio: down":           {twilioConfig, hush, 503, `<html>` + hush + `</html>`, false, "Twilio answered 503"},
		"twilio: long answer":    {twilioConfig, hush, 400, long, true, "Twilio answered 400"},
		"twilio: redirect":       {twilioConfig, hush, 302, ``, true, "Twilio answered 302"},
		"twilio: 200 is no 201":  {twilioConfig, hush, 200, `{}`, true, "Twilio answered 200"},
		"vonage: no credit":      {vonageConfig, hush, 402, `{"type":"https://developer.vonage.com/api-errors/#low-balance","title":"Low balance","detail":"to ` + string(berlin) + `"}`, true, "Vonage answered 402, low-balance"},
		"vonage: bad parameters": {vonageConfig, hush, 422, `{"type":"https://developer.vonage.com/api-errors/messages#1150","title":"Invalid params"}`, true, "Vonage answered 422, 1150"},
		"vonage: too many":       {vonageConfig, hush, 429, `{"type":"https://developer.vonage.com/api-errors#throttled"}`, false, "Vonage answered 429, throttled"},
		"vonage: down":           {vonageConfig, hush, 500, ``, false, "Vonage answered 500"},
		"sns: no number":         {snsConfig, hush, 400, `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter: PhoneNumber Reason: ` + string(berlin) + ` is not valid</Message></Error></ErrorResponse>`, true, "Amazon SNS answered 400, InvalidParameter"},
		"sns: denied":            {snsConfig, hush, 403, `<ErrorResponse><Error><Code>AuthorizationError</Code></Error></ErrorResponse>`, true, "Amazon SNS answered 403, AuthorizationError"},
		"sns: throttled":         {snsConfig, hush, 400, `<ErrorResponse><Error><Code>Throttling</Code></Error></ErrorResponse>`, false, "Throttling"},
		"sns: down":              {snsConfig, hush, 500, `<ErrorResponse><Error><Code>InternalError</Code></Error></ErrorResponse>`, false, "Amazon SNS answered 500, InternalError"},
		"sns: a code with words": {snsConfig, hush, 400, `<ErrorResponse><Error><Code>call ` + string(berlin) + `</Code></Error></ErrorResponse>`, true, "Amazon SNS answered 400"},
		"webhook: refused":       {hookConfig, whsec, 422, string(berlin), true, "the webhook answered 422"},
		"webhook: gone":          {hookConfig, whsec, 410, ``, true, "the webhook answered 410"},
		"webhook: busy":          {hookConfig, whsec, 429, ``, false, "the webhook answered 429"},
		"webhook: down":          {hookConfig, whsec, 502, long, false, "the webhook answered 502"},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.status, s.answer = c.status, c.answer
			err := s.configured(t, c.config, c.secret).Send(ctx, out)
			var rejected *Rejected
			if err == nil || errors.As(err, &rejected) != c.final || !strings.Contains(err.Error(), c.says) || s.hits != 1 {
				t.Fatalf("%v after %d requests, want final %v: %s", err, s.hits, c.final, c.says)
			}
			silent(t, err, c.secret)
		})
	}
}

// silent fails when an error holds what it must not.
func silent(t *testing.T, err error, secret string) {
	t.Helper()
	for _, never := range []string{string(berlin), "4930901820", "12345678", secret, strings.TrimPrefix(secret, "whsec_"), twilioConfig.Account} {
		if strings.Contains(fmt.Sprintf("%v %+v", err, err), never) {
			t.Errorf("the error holds %q: %v", never, err)
		}
	}
}

func TestServicesThatDoNotAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		config Config
		secret string
	}{"twilio": {twilioConfig, hush}, "vonage": {vonageConfig, hush}, "sns": {snsConfig, hush}, "webhook": {hookConfig, whsec}} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.status, s.delay = 200, make(chan struct{})
			sender := s.configured(t, c.config, c.secret)
			wireOf(sender).client.Timeout = 50 * time.Millisecond
			err := sender.Send(ctx, out)
			var rejected *Rejected
			if err == nil || errors.As(err, &rejected) {
				t.Errorf("too slow: %v", err)
			}
			silent(t, err, c.secret)
			if _, err := sender.Probe(ctx); err != nil {
				t.Errorf("it can be reached, and yet: %v", err)
			}
			close(s.delay)
			s.Close()
			err = sender.Send(ctx, out)
			if err == nil || errors.As(err, &rejected) {
				t.Errorf("down: %v", err)
			}
			silent(t, err, c.secret)
			if _, err := sender.Probe(ctx); err == nil {
				t.Error("it is down, and can be reached")
			}
		})
	}
}

// The certificate of a service is checked.
func TestForeignCertificateIsRefused(t *testing.T) {
	s := serve(t)
	s.status = 201
	sender := s.configured(t, twilioConfig, hush)
	wireOf(sender).client.Transport.(*http.Transport).TLSClientConfig.RootCAs = x509.NewCertPool()
	if err := sender.Send(ctx, out); err == nil || s.hits != 0 {
		t.Errorf("%v after %d requests", err, s.hits)
	}
}
