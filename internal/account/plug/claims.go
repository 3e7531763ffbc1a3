package plug

import (
	"time"

	"troth/internal/trust"
)

func (p *plug) claims() []trust.Claim {
	return []trust.Claim{
		{
			ID:       "A1",
			Sentence: "Your password is never stored: what is kept is a slow hash (Argon2id, or PBKDF2 where the operator chose that) with a salt of its own, at a cost that was calibrated to this machine, and a hash made at a lower cost is replaced when you next sign in.",
			Scope:    "every account of this installation",
			Criteria: []string{"CC6.1", "A.5.17", "A.8.5", "PR.AA-01", "PR.AA-03", "IA-5", "IA-5(1)"},
			NotProven: "The check reads the stored rows through the program that wrote them, so it shows what this program keeps, not what somebody with control of the host could record while a password is typed. " +
				"It looks into the rows of accounts, their sessions and links; that no log line holds a password is the matter of claim D4. " +
				"That the cost is high enough against the hardware of a real attacker is a judgement. The replacement of older hashes is tested with the program, not here; so is that hashes brought along from another system are replaced, of which the check says how many still wait for their holders.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "account.stored_password", Version: 2, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "Two synthetic people set the same fresh password through the front door. Their stored rows must hold hashes of it under the configured scheme at the calibrated cost or above, with different salts and different results, " +
					"and the password nowhere; where there is a pepper, a hash must be of no use without it. Computing such a hash must take about as long as was aimed at. " +
					"Of the newest 10,000 accounts none may have a hash of this program that is cheaper than the floor: 19 MiB and two passes, or 600,000 rounds. A wrong password must not open the door.",
				Run: p.checkStoredPassword,
			}},
		},
		{
			ID:       "A2",
			Sentence: "As you choose a password, you are told how strong it is, in words of encouragement. Any characters will do: no capital, digit or mark is demanded of you, and no other site learns what you type.",
			Scope:    "every page of this installation on which a password is chosen",
			Criteria: []string{"IA-5(1)"},
			NotProven: "The score is an estimate (zxcvbn, of the first 64 characters): it knows the words, names and patterns that people commonly use, most of them English. " +
				"That it agrees with the reference implementation is tested with the program, on 2,600 passwords. What you type is sent to this installation while you type it, and is kept in no log (claim D4).",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "account.strength_meter", Version: 1, Period: time.Hour, Timeout: 30 * time.Second,
				Method: "A stranger asks the meter about passwords. A common word must score low, also with a capital, a digit and a mark in it; 24 random small letters must score highest and be taken. " +
					"A name must score lower for whoever is called so. Each answer must be a sentence that does not repeat the password.",
				Run: p.checkMeter,
			}},
		},
		{
			ID: "A3",
			Sentence: "A password has 15 to 1,024 characters (or 8, where every sign-in also needs a second factor), whatever they are: spaces, accents and emoji count, and it is the same from every keyboard. You may paste it, and you are never made to change it on a schedule. " +
				"One that is refused is refused with the reason: too short, commonly chosen, or made of your own name, your address, or the name of this service.",
			Scope:    "every account of this installation",
			Criteria: []string{"CC6.1", "A.5.17", "A.8.5", "PR.AA-01", "PR.AA-03", "IA-5", "IA-5(1)"},
			NotProven: "That nobody is ever asked for another password by the calendar cannot be shown by trying; there is no such rule in the program. That a password is asked to be replaced when it is found in a breach is the matter of claim A6. " +
				"The shorter length is tested with the program, not here. What counts as common depends on the lists that this installation has; the check tries passwords that are common everywhere.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "account.password_rules", Version: 1, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "A synthetic person tries to set passwords of 14 and of 1,040 characters, common ones, and the own address: each must be refused for its reason, and the meter must have said the same. " +
					"One of 1,024 characters with spaces, accents and emoji must be taken, and must open with its accents composed otherwise. The form must name its fields for password managers and have nothing against pasting.",
				Run: p.checkRules,
			}},
		},
		{
			ID: "A4",
			Sentence: "Guesses at your password are limited, by account and by network: after a few wrong ones nobody who is new to your account gets further, not even with the right one, until time passes or you unlock it. " +
				"A browser in which you have signed in before goes on meanwhile: nobody who knows your address can lock you out.",
			Scope:    "every account of this installation",
			Criteria: []string{"CC6.1", "A.8.5", "PR.AA-03", "AC-7"},
			NotProven: "The check watches a synthetic account that bears two wrong guesses; that yours bears as few as is published follows from the configuration. " +
				"That the answer during a pause takes as long as any other, that pauses grow, that a hundred wrong guesses in a row shut an account until it is unlocked, that codes are limited alike, that all nodes obey, " +
				"and how far a million guesses from fifty thousand networks get, is tested and simulated with the program, not here. " +
				"Guesses from networks without number, each at another account, are slowed down for all unknown networks together, and not stopped: a password that is also used elsewhere can fall.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "account.guessing", Version: 1, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "A stranger gives two wrong passwords for a synthetic account. The right one must then be answered to that stranger exactly as a wrong one, and must still open in the browser in which the account has signed in before. " +
					"The log must tell of it. The link in the mail to the owner must let a new browser in. From a network of its own, wrong guesses must at last be told to wait (status 429), with the right password too; another network must not be.",
				Run: p.checkGuessing,
			}},
		},
		{
			ID:       "A5",
			Sentence: "An account with a second factor opens with it and with nothing less: each code is accepted once, a wrong one opens nothing, the step cannot be left out, and a browser that you let us remember is forgotten when your second factors change.",
			Scope:    "every account with a passkey, an authenticator app or a telephone number; staff, and members of organisations that ask for it, must have one",
			Criteria: []string{"CC6.1", "A.5.17", "A.8.5", "PR.AA-03", "IA-2(1)", "IA-2(2)", "IA-5"},
			NotProven: "The check uses an authenticator app and recovery codes; passkeys, text messages and mailed codes go through the same steps and are tested with the program. " +
				"A code can be relayed by a site that you take for this one, and a text message can reach somebody who took your number over: only a passkey withstands that. " +
				"A mailed code is no second factor and is not called one here. A session that was stolen after it began needs no second factor until something sensitive asks again.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "account.second_factor", Version: 1, Period: time.Hour, Timeout: 45 * time.Second,
				Method: "A synthetic person sets up an authenticator app, whose codes the check computes. The password alone must lead to the second step and open nothing; so must a wrong code, the code with which the app was set up, a made-up recovery code, " +
					"and the right code from a browser that did not give the password. The password and a new code must open, and the browser be remembered. After new recovery codes it must be asked again; one of these must open once, and not twice.",
				Run: p.checkFactor,
			}},
		},
		{
			ID:       "A7",
			Sentence: "You see every session of yours, with where it is used and how it was signed in, and can end it, and the next request obeys. A sign-in in a browser that is new to your account is told to you by mail, with a link that ends it. A session gets a new secret at each sign-in, ends when it is left idle and at the latest after a fixed time, and its cookie is bound to this site and to encrypted connections.",
			Scope:    "every session on this installation",
			Criteria: []string{"CC6.1", "A.5.17", "A.8.5", "PR.AA-03", "PR.AA-05", "IA-5", "AC-3"},
			NotProven: "That other nodes of the same installation obey within a second cannot be seen from outside, where nobody knows which node answers; it is measured with the program, on two nodes over one database. " +
				"So are the other ends of sessions (a higher role, a removed second factor, a changed address, an open WebSocket that is left behind) and what is told of sign-ins from further away than anybody travels. " +
				"A place is what a database on this machine believes about a network. At most five sign-ins an hour are told by mail; the activity of the account has all. " +
				"Expiry is tried with a synthetic account whose lifetimes are seconds; that yours are the published ones follows from the configuration. " +
				"Guesses at a session's secret are hopeless (256 bits); those at passwords are the matter of claim A4. " +
				"A cookie stolen from a browser opens its session until that ends: it is not bound to a device. An assertion that the application received stays valid for up to a minute.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{
				{
					Name: "account.sessions", Version: 2, Period: time.Hour, Timeout: 45 * time.Second,
					Method: "A synthetic person signs in from two browsers. The cookie must have the attributes that bind it, and its secret must not be in the database. Signing in again must change the secret and make the old one useless. " +
						"Each session must be listed for its holder, with the network that it came from and as signed in with a password; one that is ended, by its holder, by signing out and by ending all others, must be refused with the next request, while the others go on. A stranger and another person can end nothing. A third browser, which the account has never used, must be told to the holder by mail within ten seconds, and the link in the mail must end that session alone, once.",
					Run: p.checkSessions,
				},
				{
					Name: "account.session_expiry", Version: 1, Period: time.Hour, Timeout: time.Minute,
					Method: "A synthetic person whose sessions live for four seconds idle and ten in all signs in. A session that is used must go on, one that is left idle must be refused, and one that is used all the time must be refused after its absolute end.",
					Run:    p.checkExpiry,
				},
			},
		},
	}
}
