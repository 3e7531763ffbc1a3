package plug

import (
	"time"

	"troth/internal/trust"
)

func (p *plug) claims() []trust.Claim {
	return []trust.Claim{
		{
			ID:       "D2",
			Sentence: "Everything between you and this service is encrypted with TLS 1.2 or 1.3, with forward secrecy and authenticated ciphers only, AES-256 among them; older versions and weaker ciphers are refused.",
			Scope:    "the public listener of this installation",
			Criteria: []string{"CC6.1", "CC6.7", "A.5.14", "A.8.24", "PR.DS-02", "SC-8", "SC-8(1)"},
			NotProven: "The check connects from the same machine, so it does not see what stands in between, as a load balancer that ends TLS itself. Which cipher TLS 1.3 picks is up to both sides; that AES-256 can be agreed on is shown with TLS 1.2. " +
				"The way from here to the application is not covered: it should stay on one machine.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "edge.transport", Version: 1, Period: time.Hour, Timeout: 30 * time.Second,
				Method: "Connects to the real listener with TLS 1.3, with TLS 1.2 and each AES-256 suite, and with a hybrid post-quantum key exchange: all must succeed and show a certificate that is valid for the service's name. " +
					"Connects with TLS 1.0 and 1.1, with ciphers without forward secrecy or authentication, and without TLS: all must be refused. Looks for HSTS, unless the name is localhost or a bare address.",
				Run: p.checkTransport,
			}},
		},
		{
			ID:       "D3",
			Sentence: "Nothing fails open: while the database, the keys or the log cannot be reached, every request is refused, and none reaches the application.",
			Scope:    "every page of this service and of the application behind it",
			Criteria: []string{"CC6.1", "A.8.24", "PR.DS-01", "SC-12", "SC-13"},
			NotProven: "The check breaks a second installation that was built by the same program from the same parts, because breaking this one would hurt everybody. A failure is noticed within about a second; " +
				"until then, requests are answered from what is cached. A connection or an answer that is under way already goes on for about five seconds. A dependency that answers wrongly instead of not at all is not simulated. " +
				"Answered even then are the health pages, which name what cannot be reached, and nothing but embedded style files: they tell nothing about anybody.",
			Fresh: 12 * time.Hour,
			Checks: []trust.Check{{
				Name: "edge.fails_closed", Version: 2, Period: 4 * time.Hour, Timeout: 60 * time.Second,
				Method: "Builds a second installation with an application behind it and signs a synthetic person in. Then the database, the keys and the log are made to fail, one after the other. " +
					"Within two seconds every kind of request (the application's pages, public ones too, own pages, forms, the sign-in) must be answered with 503, and no request may reach the application; afterwards everything must work again.",
				Run: p.checkFailsClosed,
			}},
		},
		{
			ID:       "D4",
			Sentence: "Passwords, session secrets, links that open something, e-mail addresses, names and network addresses never stand in a log in clear text.",
			Scope:    "the program's own log and the tables of the audit log, on this installation",
			Criteria: []string{"CC6.1", "A.8.15", "PR.DS-01", "PR.PS-04", "SC-28", "SC-28(1)"},
			NotProven: "What the application behind Troth writes into logs of its own. What the operating system or a debugger records. Values that no form takes. " +
				"The check hears the log of the node on which it runs and searches the newest rows of the log's tables.",
			Fresh: 3 * time.Hour,
			Checks: []trust.Check{{
				Name: "edge.clear_text", Version: 1, Period: time.Hour, Timeout: 60 * time.Second,
				Method: "Sends fresh random passwords, secrets, addresses and names through every form of this service, in links, cookies, headers and queries, as a stranger and as a signed-in synthetic person. " +
					"Then searches for each of them, plain and in the usual encodings, in everything that the program wrote into its log meanwhile and in every new row of the audit log's tables.",
				Run: p.checkClearText,
			}},
		},
	}
}
