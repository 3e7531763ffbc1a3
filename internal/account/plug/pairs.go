package plug

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"troth/internal/account"
	"troth/internal/cli"
	"troth/internal/fault"
)

// pairsCommand joins the group of package breach.
func pairsCommand() cli.Command {
	return cli.Command{Use: "breach", Short: "Lists of breached passwords, and whom they concern", Sub: []cli.Command{{
		Use: "pairs FILE…", Short: "Find the accounts of stolen credentials", Args: cobra.MinimumNArgs(1), NeedsData: true, Destroys: true, Run: sweepPairs,
		Long: "Reads ADDRESS:PASSWORD or ADDRESS:HASH, one a line, as text or gzip, or from stdin (-). Pairs of addresses without\n" +
			"an account are dropped at once, and nothing is kept in plain text. The server compares passwords with the stored\n" +
			"hashes within minutes; a hash (MD5, SHA-1, SHA-256, SHA-512, NTLM, bcrypt) waits until its holder signs in next.\n" +
			"Where they match, all sessions of the account end, its holder has to set another password and is told by mail,\n" +
			"and so are the addresses of breach.alert, or the platform owners.",
		Example: "  troth breach pairs --dry-run collection.txt.gz",
	}}}
}

func sweepPairs(ctx context.Context, env *cli.Env, args []string) error {
	accounts, err := opened(env)
	if err != nil {
		return err
	}
	var sum account.PairReport
	for _, name := range args {
		r, err := sweepFile(ctx, env, accounts, name)
		if err != nil {
			return err
		}
		sum = account.PairReport{
			Lines: sum.Lines + r.Lines, Unread: sum.Unread + r.Unread, Accounts: sum.Accounts + r.Accounts,
			Compare: sum.Compare + r.Compare, Keep: sum.Keep + r.Keep, Known: sum.Known + r.Known,
		}
	}
	answer := struct {
		account.PairReport
		DryRun bool `json:"dry_run,omitempty"`
	}{sum, env.DryRun}
	return env.Print(answer, func(t *cli.Table) {
		t.Line("%d pairs were read; %d lines hold none. %d are of addresses that have an account:", sum.Lines-sum.Unread, sum.Unread, sum.Accounts)
		t.Row("to compare with the stored hash", sum.Compare)
		t.Row("to compare at the next sign-in", sum.Keep)
		t.Row("waiting already", sum.Known)
		if env.DryRun {
			t.Line("Nothing was kept.")
		}
	})
}

// sweepFile sweeps one file, and shows how far it is.
func sweepFile(ctx context.Context, env *cli.Env, accounts *account.Accounts, name string) (account.PairReport, error) {
	from, size := env.Stdin, int64(0)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return account.PairReport{}, fault.Wrap(err, fault.NotFound, "account.pairs_file", "%s cannot be read.", name)
		}
		defer f.Close() // was only read
		info, err := f.Stat()
		if err != nil {
			return account.PairReport{}, fmt.Errorf("looking at a file of credential pairs: %w", err)
		}
		from, size = f, info.Size()
	}
	bar := env.Transfer("sweeping")
	defer bar.Done()
	in := bufio.NewReader(&watched{from, bar, 0, size})
	head, err := in.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return account.PairReport{}, fmt.Errorf("reading credential pairs: %w", err)
	}
	if !bytes.Equal(head, []byte{0x1f, 0x8b}) {
		return accounts.SweepPairs(ctx, operator(), in, env.DryRun)
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return account.PairReport{}, fault.Wrap(err, fault.Invalid, "account.pairs_file", "%s is a damaged gzip file.", name)
	}
	return accounts.SweepPairs(ctx, operator(), z, env.DryRun)
}

// watched tells how much was read.
type watched struct {
	io.Reader
	bar         *cli.Transfer
	done, total int64
}

// Read reads and tells.
func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	w.done += int64(n)
	w.bar.Set(w.done, w.total)
	return n, err
}
