// Package web is the frame of Troth's own pages and documents: routes, forms,
// errors, templates, style sheet and scripts. A capability writes handlers and
// templates; everything that must be the same on every page is here, once.
//
// # What it promises
//
//   - A route says which permission it needs, or why it is public; [Check]
//     refuses one that says neither or both. [Handler] authenticates, decides,
//     bounds and reads the body, and only then calls the route.
//   - A handler returns an error and never writes one. One place renders it, as
//     a page or as application/problem+json (RFC 9457), with a reference that is
//     in the log. What is no fault (package fault) shows no cause, ever.
//   - A stranger who opens a page goes to the sign-in page and comes back
//     ([ReturnTo] lets nobody leave the site); any other request of a stranger is
//     answered 401. A denied request is recorded before it is answered
//     ([Deps].Refused), and refused with 503 if it cannot be.
//   - A route that is sensitive (Route.Recent) asks who it is when that was
//     proven more than 15 minutes ago: a page leads to /-/again and back, anything
//     else is answered 401. A form that came too late was not obeyed, and the page
//     says so.
//   - Forms are application/x-www-form-urlencoded, JSON only where a route takes
//     it, read once, at most 64 KiB unless the route says more; a field sent
//     twice, invalid UTF-8 and control characters are refused. A parameter of
//     the query never passes for a field of the form.
//   - No request forged by another site is obeyed: Sec-Fetch-Site or Origin must
//     say that it comes from here (net/http's CrossOriginProtection), and an
//     unsafe request with a cookie and neither header is refused.
//   - Every answer carries a content security policy that allows this package's
//     assets and nothing else: no inline script or style, no framing, no
//     third party, trusted types. Pages are never stored by caches.
//   - The log line of a request has no query, and of a path with a token
//     (Route.Redact) only the pattern. The client's address is not in it.
//
// # What it is not for
//
// It limits nothing and forwards nothing: what may be tried how often is package
// throttle's, how much is worked on at once is package edge's ([Room]), which
// renders its own refusals with [Refuse] and [WithStatus]. It knows no
// account and no tenant: names for the header come through [Menus].
//
// # How to write a page
//
// A part has routes, a folder of templates, and entries of the navigation:
//
//	//go:embed pages
//	var pages embed.FS // pages/account/sessions.html; hand in fs.Sub(pages, "pages")
//
//	web.Route{Method: "GET", Path: "/-/account/sessions", Needs: PermOwn, Doc: "The browsers that are signed in.",
//		Handle: func(r *web.Request) error {
//			list, err := a.Sessions(r.Context(), r.Subject)
//			if err != nil {
//				return err
//			}
//			return r.Page("account/sessions", text.New("Sessions"), sessionsPage{Sessions: list})
//		}}
//
//	web.Route{Method: "POST", Path: "/-/account/name", Needs: PermOwn, Doc: "Changes the name.",
//		Handle: func(r *web.Request) error {
//			if err := a.Rename(r.Context(), r.Subject, r.Value("name")); err != nil {
//				return r.FormPage("account/name", titleName, nil, err) // the same page, the fault at its field
//			}
//			r.Flash(text.New("Your name was changed."))
//			return r.See("/-/account/")
//		}}
//
// A fault shows up at its field when it was made with .On("name"); FormPage
// gives back what no form can mend, and everything when the client wants no
// page, so a handler always returns what FormPage returns. Dangerous things get
// a page of their own, with [Request.Confirm] under GET and, under POST at the
// same path, [Request.Confirmed] before the deed. A page that only says one
// thing is [Request.Notice].
//
// The template is the content of <main> below the heading; the layout draws
// the rest. Dot and $ are the [View]: .Data is what the handler gave, .Title,
// .Subject, .May "permission", .Path, .Query, .With, .Tenant, .Menu:
//
//	{{define "lead"}}<p class="lead">{{t "Every browser that is signed in as you."}}</p>{{end}}
//	{{define "actions"}}<a class="button primary" href="/-/account/password">{{t "Change the password"}}</a>{{end}}
//
//	<section class="panel">
//	<table class="table">
//	<thead><tr><th>{{t "Browser"}}</th><th>{{t "Last used"}}</th><th><span class="sr">{{t "Actions"}}</span></th></tr></thead>
//	<tbody>
//	{{- range .Data.Sessions}}
//	<tr>
//	<th scope="row">{{.Agent}}<span class="sub">{{short .ID}}</span></th>
//	<td data-label="{{t "Last used"}}">{{ago .UsedAt}}</td>
//	<td class="does"><form method="post" class="inline" action="/-/account/sessions/{{.ID}}/revoke">
//	<button class="button small danger">{{t "Sign out"}}<span class="sr"> {{.Agent}}</span></button></form></td>
//	</tr>
//	{{- end}}
//	</tbody>
//	</table>
//	</section>
//
// A page may define: "kind" ("card" for one question, as sign-in; "read" for a
// public document; nothing for the usual page with navigation), "lead" (a
// sentence under the heading), "actions" (the one primary action and few
// others), "badge" (a status beside the heading), "crumbs" (links above it).
//
// A form posts to its own address: no action attribute, method post, one
// primary button, fields by the template "field":
//
//	<form method="post" class="form">
//	{{template "field" ($.Field "email" "E-mail address" "type" "email" "autocomplete" "username")}}
//	{{template "field" ($.Field "password" "Password" "type" "password" "autocomplete" "current-password")}}
//	<div class="buttons"><button class="button primary">{{t "Sign in"}}</button></div>
//	</form>
//
// See [View.Field] for the settings. The summary of what is wrong stands above
// by itself. A filter is a form with method get and class "filters": its
// fields take their values from the address. data-confirm="A question?" on a
// form asks in a dialog where there are scripts; only for what can be undone.
//
// Templates to call: "field"; "timeline" (slice of [Moment]); "empty" (with the
// function empty "icon" "Title" "Sentence" (action "/path" "Do it")); "pager"
// ([Pager]); "tabs" (slice of [Tab]).
//
// Functions: t (every text goes through it; its arguments may be link, code,
// strong, time …, and a text.Text of the data goes through it too: {{t .Sentence}}),
// link "/path" "words", code, strong, copy (a value with a copy button), short
// (an identifier), address (a mail address, in the letters of its domain), time,
// ago, date, span (a duration), bytes, status "proven" (a word with its shape; the
// words are in status.go), tone "good" "Any sentence", icon "name" (names in
// static/icons.svg), asset.
//
// Classes: panel (with header, div.body, footer; danger), table (td with
// data-label, sub, number, does, nowrap), facts (dl of div > dt + dd), rows
// (settings: text on the left, what can be done on the right), columns, stack,
// prose, callout (good, warn, bad), tag, count, tally, claims and claim, raw (a
// pre; give it tabindex="0"), more (details), consequences, buttons, button
// (primary, danger, quiet, small, icon-only), form, filters, muted, sr (for
// screen readers only).
//
// [LintTemplates] finds text outside of t; every part runs it over its pages
// in a test. Text that is not to be translated stands in an element with
// translate="no". testdata/gallery holds an example of everything; go test
// -run TestGallery -gallery DIR writes it out to be looked at.
//
// # Standards
//
// RFC 9110 (HTTP), RFC 9457 (problems), RFC 6265bis (cookies), CSP 3, Fetch
// Metadata, WCAG 2.2 AA, OWASP ASVS 5.0 chapter 3 (web frontend security).
package web
