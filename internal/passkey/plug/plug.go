// Package plug is package passkey as pages: adding, naming and removing
// passkeys, and the document by which password managers find those pages. How
// one signs in with a passkey is on the pages of package account.
//
// They are reached from the page of all ways to sign in, which is package
// factor's. Adding one needs JavaScript, since only scripts can ask a device;
// everything else does without.
package plug

import (
	"context"
	"embed"
	"encoding/json"
	"net/http"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/part"
	"troth/internal/passkey"
	"troth/internal/text"
	"troth/internal/web"
)

//go:embed pages
var pages embed.FS

// permOwn is what every signed-in person may do with the own account.
const permOwn = "account.own"

// The addresses.
const (
	pathList = "/-/account/passkeys"
	pathNew  = "/-/account/passkeys/new"
)

// Holders knows what a person is called. Package account fills it.
type Holders interface {
	// HolderOf is the one who asks, with address and name as they are now.
	HolderOf(ctx context.Context, by access.Subject) (passkey.Holder, error)
}

// Deps are what the pages work with. Passkeys may be nil where nothing is served.
type Deps struct {
	Passkeys *passkey.Passkeys
	Holders  Holders
	Config   *passkey.Config
	Origin   string // where the pages are, for those who find them by the document
}

type plug struct{ Deps }

// New describes package passkey to the rest of the house.
func New(d Deps) part.Part {
	p := &plug{d}
	return part.Part{
		Name: "passkey", Config: d.Config.Sections(), Migrations: passkey.Migrations, Tables: passkey.Tables,
		Events: passkey.Events, Routes: p.routes(), Pages: part.Pages(pages), Retention: passkey.Retention,
	}
}

func (p *plug) routes() []web.Route {
	const get, post = http.MethodGet, http.MethodPost
	one := map[string]string{"passkey": "pky_00000000000000000000000000"}
	return []web.Route{
		{Method: get, Path: pathList, Needs: permOwn, Doc: "The own passkeys, also as JSON.", Handle: p.list},
		{Method: get, Path: pathNew, Needs: permOwn, Recent: true, Doc: "The form to add a passkey.", Handle: p.showAdd},
		{Method: post, Path: pathNew, Needs: permOwn, Recent: true, Doc: "Add a passkey (name, passkey: what the device made).", Handle: p.add},
		{Method: post, Path: pathNew + "/options", Needs: permOwn, Recent: true, Doc: "What a browser asks a device to make a passkey.", Handle: p.options},
		{Method: get, Path: pathList + "/{passkey}", Needs: permOwn, Recent: true, Doc: "The form to rename a passkey.", Example: one, Handle: p.showRename},
		{Method: post, Path: pathList + "/{passkey}", Needs: permOwn, Recent: true, Doc: "Rename a passkey (name).", Example: one, Handle: p.rename},
		{Method: get, Path: pathList + "/{passkey}/remove", Needs: permOwn, Recent: true, Doc: "Asks whether a passkey shall be removed.", Example: one, Handle: p.showRemove},
		{Method: post, Path: pathList + "/{passkey}/remove", Needs: permOwn, Recent: true, Doc: "Remove a passkey.", Example: one, Handle: p.remove},
		// https://www.w3.org/TR/passkey-endpoints/
		{Method: get, Path: "/.well-known/passkey-endpoints", Public: "two addresses that are the same for everybody", Doc: "Tells password managers where passkeys are added and managed.", Anonymous: true, Handle: p.endpoints},
	}
}

// endpoints answers which pages there are. Where there are no passkeys, neither
// member is there.
func (p *plug) endpoints(r *web.Request) error {
	doc := struct {
		Enroll string `json:"enroll,omitempty"`
		Manage string `json:"manage,omitempty"`
	}{}
	if p.Passkeys.Enabled() {
		doc.Enroll, doc.Manage = p.Origin+pathNew, p.Origin+pathList
	}
	return r.JSON(doc)
}

var (
	titleList   = text.New("Your passkeys")
	titleAdd    = text.New("Add a passkey")
	titleRename = text.New("Rename a passkey")
	titleRemove = text.New("Remove a passkey?")
)

// listData is what the page of passkeys shows, and its JSON.
type listData struct {
	Passkeys []passkey.Passkey `json:"passkeys"`
	Enabled  bool              `json:"-"`
	Full     bool              `json:"-"`
	Max      int               `json:"-"`
	Signals  string            `json:"-"` // what the browser tells the devices
}

func (p *plug) list(r *web.Request) error {
	list, err := p.Passkeys.List(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	d := listData{Passkeys: list, Enabled: p.Passkeys.Enabled(), Full: len(list) >= passkey.Max, Max: passkey.Max}
	if r.WantsJSON() {
		return r.JSON(d)
	}
	if d.Enabled {
		h, err := p.Holders.HolderOf(r.Context(), r.Subject)
		if err != nil {
			return err
		}
		signals, err := p.Passkeys.Signals(r.Context(), r.Subject, h)
		if err != nil {
			return err
		}
		d.Signals = string(signals)
	}
	return r.Page("passkey/list", titleList, d)
}

func (p *plug) showAdd(r *web.Request) error { return r.Page("passkey/add", titleAdd, nil) }

// options says what the browser asks a device.
func (p *plug) options(r *web.Request) error {
	h, err := p.Holders.HolderOf(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	options, err := p.Passkeys.BeginRegistration(r.Context(), r.Subject, h)
	if err != nil {
		return err
	}
	return r.JSON(json.RawMessage(options))
}

func (p *plug) add(r *web.Request) error {
	h, err := p.Holders.HolderOf(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	which, err := p.Passkeys.FinishRegistration(r.Context(), r.Subject, h, r.Value("name"), []byte(r.Value("passkey")))
	if err != nil {
		return r.FormPage("passkey/add", titleAdd, nil, err)
	}
	k, err := p.Passkeys.Get(r.Context(), r.Subject, which)
	if err != nil {
		return err
	}
	r.Flash(text.New("The passkey %s is added. You can sign in with it from now on.", k.Label()))
	return r.See(pathList)
}

// one is the passkey in the path.
func (p *plug) one(r *web.Request) (passkey.Passkey, error) {
	which, err := id.Parse[id.Passkey](r.PathValue("passkey"))
	if err != nil {
		return passkey.Passkey{}, err
	}
	return p.Passkeys.Get(r.Context(), r.Subject, which)
}

func (p *plug) showRename(r *web.Request) error {
	k, err := p.one(r)
	if err != nil {
		return err
	}
	return r.Page("passkey/rename", titleRename, k)
}

func (p *plug) rename(r *web.Request) error {
	k, err := p.one(r)
	if err != nil {
		return err
	}
	if err := p.Passkeys.Rename(r.Context(), r.Subject, k.ID, r.Value("name")); err != nil {
		return r.FormPage("passkey/rename", titleRename, k, err)
	}
	r.Flash(text.New("The passkey is renamed."))
	return r.See(pathList)
}

// removeData is what the page shows that asks before a passkey is removed.
type removeData struct {
	passkey.Passkey
	Last bool
}

func (p *plug) removePage(r *web.Request, refusal error) error {
	k, err := p.one(r)
	if err != nil {
		return err
	}
	list, err := p.Passkeys.List(r.Context(), r.Subject)
	if err != nil {
		return err
	}
	return r.FormPage("passkey/remove", titleRemove, removeData{k, len(list) == 1}, refusal)
}

func (p *plug) showRemove(r *web.Request) error { return p.removePage(r, nil) }

func (p *plug) remove(r *web.Request) error {
	k, err := p.one(r)
	if err != nil {
		return err
	}
	if err := p.Passkeys.Remove(r.Context(), r.Subject, k.ID); err != nil {
		return p.removePage(r, err)
	}
	r.Flash(text.New("The passkey %s is removed. Every other browser is signed out.", k.Label()))
	return r.See(pathList)
}
