package sms

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"troth/internal/secret"
)

// sns speaks the Query API of Amazon SNS, action Publish, version 2010-03-31,
// signed with Signature Version 4.
// https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
type sns struct {
	wire
	url    string
	region string
	key    string
	secret secret.String
	from   string
}

// form is the request for one text. A transactional text goes by the routes
// that deliver, a promotional one by those that are cheap.
func (s *sns) form(o Outgoing) url.Values {
	form := url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {string(o.To)}, "Message": {o.Body}}
	attributes := [][2]string{{"AWS.SNS.SMS.SMSType", "Transactional"}}
	switch {
	case strings.HasPrefix(s.from, "+"):
		attributes = append(attributes, [2]string{"AWS.MM.SMS.OriginationNumber", s.from})
	case s.from != "":
		attributes = append(attributes, [2]string{"AWS.SNS.SMS.SenderID", s.from})
	}
	for i, a := range attributes {
		entry := fmt.Sprintf("MessageAttributes.entry.%d.", i+1)
		form.Set(entry+"Name", a[0])
		form.Set(entry+"Value.DataType", "String")
		form.Set(entry+"Value.StringValue", a[1])
	}
	return form
}

// Send publishes a text to a number.
func (s *sns) Send(ctx context.Context, o Outgoing) error {
	body := s.form(o).Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/", strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request to Amazon SNS: %w", bare(err))
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	sum := sha256.Sum256([]byte(body))
	who := aws.Credentials{AccessKeyID: s.key, SecretAccessKey: s.secret.Reveal()}
	if err := v4.NewSigner().SignHTTP(ctx, who, r, hex.EncodeToString(sum[:]), "sns", s.region, o.At.UTC()); err != nil {
		return fmt.Errorf("signing a request to Amazon SNS: %w", err)
	}
	status, answer, err := s.post(r)
	if err != nil {
		return err
	}
	if status == http.StatusOK {
		return nil
	}
	var said struct {
		Code string `xml:"Error>Code"`
	}
	detail := ""
	if xml.Unmarshal(answer, &said) == nil {
		detail = code(said.Code)
	}
	if strings.HasPrefix(detail, "Throttl") { // some come with 400
		status = http.StatusTooManyRequests
	}
	return verdict("Amazon SNS", status, detail)
}

// Probe connects.
func (s *sns) Probe(ctx context.Context) (string, error) {
	return "Amazon SNS in " + s.region, s.reach(ctx, s.url)
}
