package fault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"troth/internal/fault"
)

func TestEveryKindHasNameAndStatus(t *testing.T) {
	names, statuses := map[string]bool{}, map[int]bool{}
	for k := fault.Internal; k <= fault.Unavailable; k++ {
		if k.String() == "" || names[k.String()] || k.Status() < 400 || statuses[k.Status()] {
			t.Errorf("kind %d is %q with status %d", k, k, k.Status())
		}
		names[k.String()], statuses[k.Status()] = true, true
	}
}

func TestCauseIsForTheLogOnly(t *testing.T) {
	cause := errors.New("dial tcp 10.0.0.5: refused")
	err := fmt.Errorf("reading the session: %w", fault.Wrap(cause, fault.Unavailable, "store.down", "The store does not answer; try again in %s.", time.Second))
	f := fault.As(err)
	if f == nil || f.Kind != fault.Unavailable || !errors.Is(err, cause) {
		t.Fatalf("got %#v", f)
	}
	if strings.Contains(f.Message.String(), "10.0.0.5") || !strings.Contains(err.Error(), "10.0.0.5") {
		t.Errorf("sentence %q, log %q", f.Message, err)
	}
}

func TestOrdinaryErrorsHaveNoSentence(t *testing.T) {
	for _, err := range []error{nil, context.Canceled, errors.New("x")} {
		if fault.As(err) != nil || fault.KindOf(err) != fault.Internal {
			t.Errorf("%v became a fault", err)
		}
	}
}

func TestIsComparesCodes(t *testing.T) {
	gone := fault.New(fault.Gone, "link.used", "This link was used.")
	if err := gone.On("code").In(time.Minute); !errors.Is(err, gone) || err.Field != "code" || gone.Field != "" || gone.After != 0 {
		t.Errorf("got %+v, original %+v", err, gone)
	}
	if errors.Is(fault.New(fault.Gone, "", "x"), fault.New(fault.Gone, "", "y")) {
		t.Error("faults without a code are equal")
	}
}
