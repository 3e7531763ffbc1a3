package plug

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"troth/internal/access"
	"troth/internal/id"
	"troth/internal/store"
	"troth/internal/tenant"
)

// The checks pass, again and again, with the same two synthetic people.
func TestChecksPass(t *testing.T) {
	d := open(t)
	b := d.bench()
	for _, claim := range []string{"B1", "B2", "B1", "B2"} {
		r, err := d.run(b, claim)
		if err != nil {
			t.Fatalf("%s could not be exercised: %v", claim, err)
		}
		if !r.Passed || len(r.Observed) < 20 {
			t.Errorf("%s did not pass, with %d observations:\n%s", claim, len(r.Observed), unexpected(r))
		}
		for _, o := range r.Observed { // evidence is public
			if s := o.What + o.Expected + o.Seen; strings.Contains(s, "@") || strings.Contains(s, "acc_0") || strings.Contains(s, "ten_0") || strings.Contains(s, "inv_0") {
				t.Errorf("an observation holds an identifier or an address: %q", s)
			}
		}
	}
}

// breaks runs a check on a door that was broken and wants it to fail, and to
// have seen why.
func breaks(t *testing.T, claim, sees string, change ...func(*door)) {
	t.Helper()
	d := open(t, change...)
	r, err := d.run(d.bench(), claim)
	if err != nil {
		t.Fatalf("the check could not be exercised, so it shows nothing: %v", err)
	}
	if r.Passed {
		t.Fatalf("%s passes although what it watches is broken", claim)
	}
	if !strings.Contains(unexpected(r), sees) {
		t.Errorf("the check failed without seeing %q:\n%s", sees, unexpected(r))
	}
}

// everybody is a model in which everybody may look into every organisation.
type everybody struct{ tenant.Roles }

func (e everybody) RoleTx(tx *store.Tx, ten id.Tenant, account id.Account) (access.Role, error) {
	role, err := e.Roles.RoleTx(tx, ten, account)
	if err == nil && role == access.RoleNone {
		role = access.Viewer
	}
	return role, err
}

func TestIsolationFailsWhenTheModelLeaks(t *testing.T) {
	breaks(t, "B1", "permissions that a role gives", func(d *door) { d.roles = everybody{} })
}

// A page that shows what an identifier names, whoever asks.
func TestIsolationFailsWhenAPageLeaks(t *testing.T) {
	breaks(t, "B1", "GET /-/org/people/{account} with the identifiers of the other organisation: expected 404, seen 200",
		func(d *door) {
			d.wrap = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/-/org/people/acc_") && r.Header.Get("Cookie") != "" {
						w.Write([]byte("<main>Ada Lovelace, ada@example.org</main>"))
						return
					}
					next.ServeHTTP(w, r)
				})
			}
		})
}

// The answer tells an identifier that exists elsewhere from one that never did.
func TestIsolationFailsWhenTheAnswerTells(t *testing.T) {
	breaks(t, "B1", "answers as for identifiers that never existed", func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, r)
				for name, values := range rec.Header() {
					w.Header()[name] = values
				}
				w.WriteHeader(rec.Code)
				page := rec.Body.String()
				if rec.Code == http.StatusNotFound && !strings.Contains(r.URL.Path, "_00000000") {
					page = strings.Replace(page, "There is nothing here under that identifier.", "This belongs to another organisation.", 1)
				}
				_, _ = w.Write([]byte(page))
			})
		}
	})
}

// A write of one organisation that lands in another: the invitation of the
// other one is revoked by whoever knows its identifier.
func TestIsolationFailsWhenAWriteLands(t *testing.T) {
	breaks(t, "B1", "the other organisation afterwards", func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				next.ServeHTTP(w, r)
				path := strings.Split(r.URL.Path, "/")
				if r.Method != http.MethodPost || path[len(path)-1] != "revoke" {
					return
				}
				err := d.db.Write(r.Context(), func(tx *store.Tx) error {
					tx.Unaudited("what the test breaks")
					_, err := tx.Exec(`UPDATE tenant_invitation SET outcome = 'revoked' WHERE invitation = $1`, path[len(path)-2])
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// frozen decides by the first role that it ever saw.
type frozen struct {
	tenant.Roles
	mu   sync.Mutex
	seen map[string]access.Role
}

func (f *frozen) RoleTx(tx *store.Tx, ten id.Tenant, account id.Account) (access.Role, error) {
	role, err := f.Roles.RoleTx(tx, ten, account)
	f.mu.Lock()
	defer f.mu.Unlock()
	k := string(ten) + string(account)
	if first, ok := f.seen[k]; ok {
		return first, err
	}
	if err == nil && role != access.RoleNone {
		f.seen[k] = role
	}
	return role, err
}

func TestRolesFailWhenAChangeComesLate(t *testing.T) {
	breaks(t, "B2", "as a member, signed in again: sees who is in the organisation: expected 200, seen 403",
		func(d *door) { d.roles = &frozen{seen: map[string]access.Role{}} })
}

// sessions that go on when their holder gets more power.
type lasting struct{}

func (lasting) RaisedTx(*store.Tx, access.Subject, id.Account) error { return nil }

func TestRolesFailWhenASessionGrows(t *testing.T) {
	breaks(t, "B2", "made member, with the next request: has to sign in again: expected yes, seen no", func(d *door) { d.sessions = lasting{} })
}

// generous decides about viewers as if they were members.
type generous struct{ tenant.Roles }

func (g generous) RoleTx(tx *store.Tx, ten id.Tenant, account id.Account) (access.Role, error) {
	role, err := g.Roles.RoleTx(tx, ten, account)
	if role == access.Viewer {
		role = access.Member
	}
	return role, err
}

func TestRolesFailWhenAViewerMayMore(t *testing.T) {
	breaks(t, "B2", "as a viewer: sees who is in it: expected 403, seen 200", func(d *door) { d.roles = generous{} })
}

// Everybody who is in has every permission.
func TestRolesFailWhenPermissionsAreTooWide(t *testing.T) {
	breaks(t, "B2", "as a viewer: sees who is in it: expected 403, seen 200", func(d *door) {
		d.grants = func(list []access.Grant) []access.Grant {
			for i := range list {
				if len(list[i].Roles) > 0 {
					list[i].Roles = access.Roles()
				}
			}
			return list
		}
	})
}

// A removal that removes nothing.
func TestRolesFailWhenARemovalDoesNot(t *testing.T) {
	breaks(t, "B2", "removed, with the next request: sees nothing of the organisation: expected yes, seen no", func(d *door) {
		d.wrap = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/remove") {
					http.Redirect(w, r, "/-/org/people", http.StatusSeeOther)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	})
}

// A check that cannot get through is no success and no failure.
func TestChecksThatCannotRunSaySo(t *testing.T) {
	for _, claim := range []string{"B1", "B2"} {
		d := open(t, func(d *door) {
			d.wrap = func(http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
			}
		})
		if r, err := d.run(d.bench(), claim); err == nil || r.Passed {
			t.Errorf("%s on a door that answers nothing: %+v, %v", claim, r, err)
		}
	}
}
