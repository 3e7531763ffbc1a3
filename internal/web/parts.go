package web

import (
	"net/http"
	"strings"
	"time"

	"troth/internal/fault"
	"troth/internal/text"
)

// Moment is one entry of a timeline: {{template "timeline" .Data.Moments}}
// takes a slice of them, newest first.
type Moment struct {
	At     time.Time
	Tone   string    // Good, Bad …; "" is neutral
	Icon   string    // a symbol instead of the tone's shape
	Text   text.Text // what happened, as a sentence
	Detail text.Text // the circumstances: place, browser, address
	Path   string    // the page of the entry; "" is none
	Link   text.Text // what the link says; "" is "Details"
	Sealed bool      // it stands in the signed log already
}

// Pager links the neighbouring pages of a list: {{template "pager" .Data.Pager}}.
// An empty path means that there is none.
type Pager struct{ Newer, Older string }

// Tab is one of several views of the same thing, each at its own address:
// {{template "tabs" .Data.Tabs}}.
type Tab struct {
	Label   text.Text
	Path    string
	Count   int // shown if it is not 0
	Current bool
}

// Action is a link that looks like a button.
type Action struct {
	Path  string
	Label text.Text
}

// Empty is the state of a list that holds nothing: what would stand here, and
// the one thing to do about it.
type Empty struct {
	Icon, Title, Text string // the texts are English keys
	Action            *Action
}

// newEmpty makes an Empty in a template: {{template "empty" (empty "people"
// "Nobody else is here" "Invite somebody, and they appear here.")}}, with an
// optional (action "/path" "Invite somebody") at the end.
func newEmpty(icon, title, sentence string, action ...Action) Empty {
	e := Empty{Icon: icon, Title: title, Text: sentence}
	if len(action) > 0 {
		e.Action = &action[0]
	}
	return e
}

// Confirmation is a page that stands before something that cannot be undone.
// A GET route shows it, a POST route at the same path does the thing after
// [Request.Confirmed]. It works without JavaScript.
type Confirmation struct {
	Title        text.Text
	Consequences []text.Text // what will happen, one sentence each
	Final        text.Text   // what cannot be undone; "" if everything can
	Type         string      // what must be typed to confirm; "" asks for the button only
	Button       text.Text   // the verb: "Delete the organisation"
	Back         string      // where "Cancel" leads
}

// Confirm shows a confirmation page. Its form posts to the page's own address.
// The error, if there is one, is what Confirmed or the deed said.
func (r *Request) Confirm(c Confirmation, err error) error {
	return r.FormPage("web/confirm", c.Title, c, err)
}

// Confirmed reports fault.Invalid on the field "confirm" unless the text that
// the confirmation asks for was typed.
func (r *Request) Confirmed(c Confirmation) error {
	if c.Type == "" || strings.TrimSpace(r.PostForm.Get("confirm")) == c.Type {
		return nil
	}
	return fault.New(fault.Invalid, "web.not_confirmed", "Type %q to confirm.", c.Type).On("confirm")
}

// Notice is a page that says one thing, as after a form for strangers: "Look
// into your mailbox".
type Notice struct {
	Title  text.Text
	Icon   string
	Text   []text.Text // paragraphs
	Action *Action
}

// Notice answers 200 with a notice.
func (r *Request) Notice(n Notice) error {
	return r.PageStatus(http.StatusOK, "web/notice", n.Title, n)
}
