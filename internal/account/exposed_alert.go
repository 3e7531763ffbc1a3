package account

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"troth/internal/id"
	"troth/internal/mail"
	"troth/internal/secret"
	"troth/internal/store"
	"troth/internal/text"
)

// Watch is the address that is told of exposed passwords of the synthetic
// customer, so that its checks alarm nobody.
const Watch = "security@" + mail.CanaryDomain

// The bounds of one alert.
const (
	alertBatch = 1000
	alertNames = 50 // accounts that are named in a mail
	alertMost  = 20 // platform owners that are told
)

// found is an exposed password that those who watch were not told of.
type found struct {
	row
	how exposure
}

// AlertExposed tells those who watch over the installation whose passwords were
// found since the last time: the addresses of breach.alert, or else the
// platform owners. One mail says it of all, so that a list that was imported
// does not bury them. It is run every minute and bears being run again.
func (a *Accounts) AlertExposed(ctx context.Context) error {
	all, err := a.untold(ctx)
	if err != nil {
		return fmt.Errorf("looking for exposed passwords: %w", err)
	}
	var real, synthetic []found
	for _, f := range all {
		email, err := a.open(ctx, f.person, "email", f.email)
		if err != nil {
			return err
		}
		if strings.HasSuffix(email, "@"+mail.CanaryDomain) {
			synthetic = append(synthetic, f)
		} else {
			real = append(real, f)
		}
	}
	if len(synthetic) > 0 {
		if err := a.alert(ctx, synthetic, []string{Watch}); err != nil {
			return err
		}
	}
	if len(real) == 0 {
		return nil
	}
	to := a.Alert
	if len(to) == 0 {
		if to, err = a.owners(ctx); err != nil {
			return err
		}
	}
	return a.alert(ctx, real, to)
}

func (a *Accounts) untold(ctx context.Context) (all []found, err error) {
	err = a.DB.Read(ctx, func(tx *store.Tx) error {
		all = all[:0]
		rows, err := tx.Query(`SELECT account, how FROM account_exposed WHERE told_at = 0 ORDER BY found_at LIMIT $1`, alertBatch)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var f found
			if err := rows.Scan(&f.account, &f.how); err != nil {
				return err
			}
			all = append(all, f)
		}
		if err := rows.Err(); err != nil {
			return err
		}
		for i := range all {
			if all[i].row, err = byID(tx, all[i].account); err != nil {
				return err
			}
		}
		return nil
	})
	return all, err
}

// owners are the addresses of the platform owners.
func (a *Accounts) owners(ctx context.Context) ([]string, error) {
	var rows []row
	err := a.DB.Read(ctx, func(tx *store.Tx) error {
		rows = rows[:0]
		list, err := tx.Query(`SELECT `+columns+` FROM account WHERE staff = $1 AND state = $2 ORDER BY account LIMIT $3`, StaffOwner, Active, alertMost)
		if err != nil {
			return err
		}
		defer list.Close()
		for list.Next() {
			var r row
			if err := r.scan(list); err != nil {
				return err
			}
			rows = append(rows, r)
		}
		return list.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the platform owners: %w", err)
	}
	var to []string
	for _, r := range rows {
		email, err := a.open(ctx, r.person, "email", r.email)
		if err != nil {
			return nil, err
		}
		to = append(to, email)
	}
	return to, nil
}

// alert sends the mails, and notes that they were sent, in one transaction.
func (a *Accounts) alert(ctx context.Context, all []found, to []string) error {
	err := a.DB.Write(ctx, func(tx *store.Tx) error {
		for _, f := range all {
			if _, err := tx.Exec(`UPDATE account_exposed SET told_at = $1 WHERE account = $2 AND told_at = 0`, store.Micros(a.now()), f.account); err != nil {
				return err
			}
		}
		for _, address := range to {
			if err := a.Post.SendTx(tx, a.alertLetter(address, all)); err != nil {
				return err
			}
		}
		_, err := a.Log.AppendTx(tx, a.event(evAlerted, finder(), person{}, map[string]string{
			"accounts": strconv.Itoa(len(all)), "people": strconv.Itoa(len(to)),
		}))
		return err
	})
	if err != nil {
		return fmt.Errorf("telling those who watch of exposed passwords: %w", err)
	}
	return nil
}

// alertLetter names accounts by their identifiers: a mail to a team is no place
// for addresses beside the word that their passwords are known.
func (a *Accounts) alertLetter(to string, all []found) mail.Message {
	var lists, pairs []id.Account
	for _, f := range all {
		if f.how == inPair {
			pairs = append(pairs, f.account)
		} else {
			lists = append(lists, f.account)
		}
	}
	paragraphs := []text.Text{text.New("This is about %s, whose holders have been told by mail.", a.Origin)}
	if len(pairs) > 0 {
		paragraphs = append(paragraphs,
			text.New("The passwords of these accounts were found beside their addresses, in credentials that were stolen elsewhere. All of their sessions were ended; look in the log for what was done in them. Number of accounts: %d.", len(pairs)),
			line(names(pairs)))
	}
	if len(lists) > 0 {
		paragraphs = append(paragraphs,
			text.New("The passwords of these accounts appear in lists of breached passwords. Nothing says that anybody but the holders used them. Number of accounts: %d.", len(lists)),
			line(names(lists)))
	}
	paragraphs = append(paragraphs, text.New("Each of them has to set another password at the next sign-in, before anything else. “troth user show” says whose account it is."))
	return a.letter("account.exposed_alert", to, person{}, text.New("Exposed passwords were found"), paragraphs...)
}

// names are the first of the accounts, one a line.
func names(all []id.Account) string {
	var b strings.Builder
	for i, one := range all {
		if i == alertNames {
			fmt.Fprintf(&b, "+ %d", len(all)-alertNames)
			break
		}
		b.WriteString(string(one) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (a *Accounts) pairLetter(to string, about person) mail.Message {
	return a.letter("account.exposed", to, about,
		text.New("Your password was stolen elsewhere"),
		text.New("The password of your account at %s was found together with your address, in data that was stolen from another service. Others may have it, so every session of yours was ended.", a.Origin),
		text.New("Sign in, and you will be asked for another password. If you use the old one anywhere else, change it there too."),
		line(a.Origin+"/-/signin"),
	)
}

func (a *Accounts) listLetter(to string, about person) mail.Message {
	return a.letter("account.exposed", to, about,
		text.New("Your password appears in lists of breached passwords"),
		text.New("Somebody signed in to your account at %s with its password, which appears in lists of breached passwords. Attackers try what stands there, so another password was asked for.", a.Origin),
		text.New("If it was you, there is nothing more to do, but to change it wherever else you use it. If it was not you, reset the password now, and tell whoever runs this service."),
		line(a.Origin+"/-/reset"),
	)
}

// SweepPair takes one pair and does at once what becomes of it: for the check
// that shows that it does.
func (a *Accounts) SweepPair(ctx context.Context, address string, found secret.String) error {
	if _, err := a.SweepPairs(ctx, finder(), strings.NewReader(address+":"+found.Reveal()+"\n"), false); err != nil {
		return err
	}
	who, err := a.Find(ctx, finder(), address)
	if err != nil {
		return err
	}
	if err := a.comparePairs(ctx, who.ID); err != nil {
		return err
	}
	return a.AlertExposed(ctx)
}
