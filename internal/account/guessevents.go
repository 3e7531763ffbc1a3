package account

import (
	"context"
	"time"

	"troth/internal/audit"
	"troth/internal/retention"
	"troth/internal/store"
)

// EventGuessesPaused is the event of wrong guesses that keep strangers waiting.
const EventGuessesPaused = "account.guesses_paused"

// The names of the events around guessing.
const (
	evGuessesPaused   = EventGuessesPaused
	evGuessesShut     = "account.guesses_shut"
	evOwnPaused       = "account.own_guesses_paused"
	evBrowserStrange  = "account.browser_forgotten"
	evSessionExpelled = "account.session_expelled"
	evUnlockAsked     = "account.unlock_asked"
	evUnlockUnknown   = "account.unlock_unknown"
	evUnlocked        = "account.unlocked"
	evUnlockedFor     = "account.unlocked_for"
	evGuessing        = "account.guessing_set"
)

var guessEvents = []audit.Type{
	{Name: evGuessesPaused, Sentence: "{actor} gave wrong passwords or codes in a row: {failures}; from new browsers none is taken for {pause}", Outcome: audit.Denied},
	{Name: evGuessesShut, Sentence: "{actor} gave wrong passwords or codes in a row: {failures}; from new browsers none is taken until the account is unlocked", Outcome: audit.Denied},
	{Name: evOwnPaused, Sentence: "{actor} gave wrong passwords or codes in a row in a known browser: {failures}; there, none is taken for {pause}", Outcome: audit.Denied},
	{Name: evBrowserStrange, Sentence: "{actor} gave wrong passwords or codes in a row in a known browser: {failures}; it counts as a new one from now on", Outcome: audit.Denied},
	{Name: evSessionExpelled, Sentence: "{actor} gave wrong passwords or codes in a row: {failures}; the session was ended", Outcome: audit.Denied},
	{Name: evUnlockAsked, Sentence: "{actor} asked for a link to sign in in a new browser"},
	{Name: evUnlockUnknown, Sentence: "{actor} asked for a link to sign in in a new browser, for an address without an account", Outcome: audit.Failure},
	{Name: evUnlocked, Sentence: "{actor} unlocked the account: wrong passwords and codes are forgotten"},
	{Name: evUnlockedFor, Sentence: "{actor} unlocked the account for its holder: {reason}"},
	{Name: evGuessing, Sentence: "{actor} set how many wrong guesses in a row the account bears: {free}, then none for {pause}"},
}

var guessRetention = []retention.Rule{{
	Table: "account_guess", Every: 15 * time.Minute,
	Keep: "How many wrong guesses in a row there were, under a keyed digest: at an account until somebody guesses right, it is unlocked or it is destroyed; at an address without one, and in a known browser, for 400 days after the last; in a session for 30.",
	Sweep: func(_ context.Context, tx *store.Tx, now time.Time) (int64, error) {
		return tx.Exec(`DELETE FROM account_guess WHERE key IN
			(SELECT key FROM account_guess WHERE expires_at > $1 AND expires_at <= $2 LIMIT $3)`, unending, store.Micros(now), sweepLimit)
	},
}}
