package mail

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"troth/internal/fault"
	"troth/internal/id"
)

// checkText refuses a subject that would end its header and a body that is no
// text. Both are ours, but names of people and organisations stand in them.
func checkText(subject, body string) error {
	switch {
	case subject == "" || utf8.RuneCountInString(subject) > maxSubject || hasControl(subject):
		return fault.New(fault.Invalid, "mail.subject", "The subject of a mail is one line of 1 to %d characters.", maxSubject)
	case len(body) > maxBody:
		return fault.New(fault.TooLarge, "mail.body_long", "The text of a mail has at most %d KiB.", maxBody>>10)
	case !utf8.ValidString(body) || strings.ContainsFunc(body, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\t' || r == 0x7f
	}):
		return fault.New(fault.Invalid, "mail.body", "The text of a mail has a control character in it.")
	}
	return nil
}

// compose writes the message as it goes over the line (RFC 5322; RFC 2045).
func compose(from netmail.Address, c content, mail id.Mail, at time.Time) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(gomail.EncodingQP))
	if err := msg.From(from.String()); err != nil {
		return nil, fmt.Errorf("writing the sender: %w", err)
	}
	if err := msg.To(c.To); err != nil {
		return nil, fmt.Errorf("writing the recipient: %w", redact(err))
	}
	// RFC 2047, 2: "=?" begins an encoded word, and a name in the subject must
	// not turn into other letters than were typed.
	msg.Subject(strings.ReplaceAll(c.Subject, "=?", "= ?"))
	msg.SetDateWithValue(at)
	msg.SetMessageIDWithValue(string(mail) + from.Address[strings.LastIndexByte(from.Address, '@'):])
	// RFC 3834, 5: so that vacation programs do not answer.
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, strings.ReplaceAll(c.Body, "\n", "\r\n"))
	var b bytes.Buffer
	if _, err := msg.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("writing a mail: %w", err)
	}
	return b.Bytes(), nil
}

// Received is a message as a mailbox of ours shows it.
type Received struct {
	ID      id.Mail // of its stay in the mailbox
	At      time.Time
	From    string
	To      string
	Subject string
	Body    string
	made    id.Mail // under which it was queued
}

// read takes a message apart that compose wrote.
func read(raw []byte) (Received, error) {
	msg, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Received{}, fmt.Errorf("reading a mail: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(quotedprintable.NewReader(msg.Body), 2*maxBody))
	if err != nil {
		return Received{}, fmt.Errorf("reading the text of a mail: %w", err)
	}
	var words mime.WordDecoder
	subject, err := words.DecodeHeader(msg.Header.Get("Subject"))
	if err != nil {
		return Received{}, fmt.Errorf("reading the subject of a mail: %w", err)
	}
	from, err := words.DecodeHeader(msg.Header.Get("From"))
	if err != nil {
		return Received{}, fmt.Errorf("reading the sender of a mail: %w", err)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(msg.Header.Get("Message-ID"), "<"), "@")
	mail, _ := id.Parse[id.Mail](name) // "" in what was not composed here
	return Received{made: mail, From: from, Subject: subject, Body: strings.ReplaceAll(string(body), "\r\n", "\n")}, nil
}
