package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The flood: so many connections, with so many wrong sign-ins under way on each.
const (
	floodConnections = 1000
	floodStreams     = 100
)

// flood measures what 100,000 wrong sign-ins at once do to the memory of the
// program, and to the pages of somebody who is signed in.
//
// All 100,000 are written before the first answer is awaited, each from another
// address (the program believes the X-Forwarded-For of this machine), half of
// them at one account. How many the program works on at one moment is for it to
// decide; that is what is measured. The flood and the person are processes of
// their own on the same machine. The flood gives way to the others (nice 10):
// it stands for machines elsewhere.
func flood(ctx context.Context, l *lab) (err error) {
	dir, err := l.house(ctx)
	if err != nil {
		return err
	}
	s, err := l.serve(ctx, dir, "TROTH_TRUSTED_PROXIES=127.0.0.0/8")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.quiet(ctx); err != nil {
		return err
	}
	before := s.resident()
	calm, err := l.during(ctx, s, dir, 0)
	if err != nil {
		return err
	}
	for range 2 { // the second time the budgets are spent already
		storm, err := l.during(ctx, s, dir, floodStreams)
		if err != nil {
			return err
		}
		l.floodLines(storm, calm, before)
	}
	return nil
}

// storm is what was seen while a flood lasted.
type storm struct {
	peak    float64 // bytes
	took    time.Duration
	answers map[string]int
	person  sight
}

func (l *lab) floodLines(s, calm storm, before float64) {
	n := floodConnections * floodStreams
	l.table.add(line{what: fmt.Sprintf("memory at the peak of %d wrong sign-ins at once", n), asked: "≤ 512 MB", measured: megabytes(int64(s.peak)),
		beside: "before: " + megabytes(int64(before)), holds: s.peak <= 512e6})
	p99 := percentile(s.person.Took, 0.99)
	l.table.add(line{what: "a page of somebody who is signed in meanwhile, 99 % within", asked: "≤ 100 ms", measured: short(p99),
		beside: "without a flood: " + short(percentile(calm.person.Took, 0.99)), holds: p99 <= 100*time.Millisecond})
	l.table.add(line{what: "pages of that person that were refused", asked: "0", measured: fmt.Sprint(s.person.Refused), beside: "of " + fmt.Sprint(len(s.person.Took)), holds: s.person.Refused == 0})
	if s.person.Refused > 0 {
		l.say("the last of them: %s", s.person.Last)
	}
	var all []string
	for _, status := range []string{"401", "429", "503", "error"} {
		if s.answers[status] > 0 {
			all = append(all, fmt.Sprintf("%s: %d", status, s.answers[status]))
		}
	}
	l.table.note("the answers to them, and how long all took", strings.Join(all, ", ")+", in "+short(s.took), fmt.Sprintf("%d pages of the person, %s at most", len(s.person.Took), short(percentile(s.person.Took, 1))))
}

// during watches the program, and a person in it, while a flood with so many
// streams a connection comes; without any, for three seconds.
func (l *lab) during(ctx context.Context, s *program, dir string, streams int) (seen storm, err error) {
	common := []string{"-at", s.addr, "-origin", s.origin, "-ca", filepath.Join(dir, "ca.pem")}
	person, err := helper(ctx, append([]string{"person"}, common...), "")
	if err != nil {
		return seen, err
	}
	if err := person.tell(l.who.Token.Reveal()); err != nil {
		return seen, err
	}
	if _, err := person.hear(); err != nil { // it has seen its page once
		return seen, err
	}
	if streams == 0 {
		time.Sleep(3 * time.Second)
	} else if err = seen.storm(ctx, s, common, streams); err != nil {
		return seen, err
	}
	said, err := person.end()
	if err != nil {
		return seen, err
	}
	return seen, json.Unmarshal(said, &seen.person)
}

// storm lets a flood come, and samples the memory meanwhile.
func (seen *storm) storm(ctx context.Context, s *program, common []string, streams int) error {
	flood, err := helper(ctx, append([]string{"flood", "-connections", fmt.Sprint(floodConnections), "-streams", fmt.Sprint(streams)}, common...), "10")
	if err != nil {
		return err
	}
	if _, err := flood.hear(); err != nil { // its connections stand
		return err
	}
	sampling, stop := context.WithCancel(ctx)
	sampled := make(chan float64)
	go func() {
		peak := 0.0
		for t := time.NewTicker(10 * time.Millisecond); ; {
			select {
			case <-sampling.Done():
				t.Stop()
				sampled <- peak
				return
			case <-t.C:
				peak = max(peak, s.resident())
			}
		}
	}()
	began := time.Now()
	said, err := flood.end()
	seen.took = time.Since(began)
	stop()
	seen.peak = <-sampled
	if err != nil {
		return err
	}
	return json.Unmarshal(said, &seen.answers)
}

// aid is a process of this very program that helps to measure: what it is told
// ends with a line, and so does what it says.
type aid struct {
	cmd *exec.Cmd
	in  *os.File
	out *json.Decoder
}

// helper starts one; nice is how far it gives way to others.
func helper(ctx context.Context, args []string, nice string) (*aid, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if nice != "" {
		self, args = "nice", append([]string{"-n", nice, self}, args...)
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdin = read
	err = cmd.Start()
	return &aid{cmd: cmd, in: write, out: json.NewDecoder(out)}, errors.Join(err, read.Close())
}

func (a *aid) tell(s string) error {
	_, err := fmt.Fprintln(a.in, s)
	return err
}

func (a *aid) hear() (said json.RawMessage, err error) {
	err = a.out.Decode(&said)
	return said, err
}

// end tells it that there is nothing more to come, and returns what it says last.
func (a *aid) end() (json.RawMessage, error) {
	err := a.in.Close()
	said, herr := a.hear()
	return said, errors.Join(err, herr, a.cmd.Wait())
}
