package login_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/limit"
	"weelo/internal/login"
	"weelo/internal/notify"
	"weelo/internal/otp"
)

// book is an audit log in memory.
type book struct {
	mu     sync.Mutex
	events []auditlog.Event
}

func (b *book) Admit() error                  { return nil }
func (b *book) Record(e auditlog.Event) error { b.Note(e); return nil }

func (b *book) Note(e auditlog.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

// lines are what was written of deliveries.
func (b *book) lines() []string {
	var out []string
	for _, e := range b.events {
		out = append(out, fmt.Sprintf("%s %s %v %v", e.Action, e.Reason, e.Details["provider"], e.Details["why"]))
	}
	return out
}

// TestWhyACodeWasNotSentIsWrittenDown, whatever kept it: us, the way, or the provider.
func TestWhyACodeWasNotSentIsWrittenDown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		fate notify.Class
		why  error
		want string
	}{
		{notify.Accepted, nil, "code_sent  accepted <nil>"},
		{notify.Undecided, fmt.Errorf("msg91: %w", notify.ErrNoAnswer), "code_sent  undecided no_answer"},
		{notify.Undecided, fmt.Errorf("msg91: %w", notify.ErrUnclear), "code_sent  undecided unclear"},
		{notify.Refused, notify.ErrBreakerOpen, "code_not_sent SERVICE_UNAVAILABLE refused breaker_open"},
		{notify.Refused, notify.ErrQueueFull, "code_not_sent SERVICE_UNAVAILABLE refused queue_full"},
		{notify.Refused, notify.ErrWaited, "code_not_sent SERVICE_UNAVAILABLE refused waited"},
		{notify.Refused, notify.ErrStopped, "code_not_sent SERVICE_UNAVAILABLE refused stopped"},
		{notify.Refused, fmt.Errorf("msg91: %w", notify.ErrUnreached), "code_not_sent SERVICE_UNAVAILABLE refused unreached"},
		{notify.Refused, fmt.Errorf("twilio: %w: status 401", notify.ErrAccount), "code_not_sent SERVICE_UNAVAILABLE refused account"},
		{notify.Refused, fmt.Errorf("twilio: %w: code 21211", notify.ErrNumber), "code_not_sent SERVICE_UNAVAILABLE refused number"},
		{notify.Refused, fmt.Errorf("aws sns: %w", notify.ErrTemplate), "code_not_sent SERVICE_UNAVAILABLE refused template"},
		{notify.Refused, fmt.Errorf("aws sns: %w", notify.ErrBusy), "code_not_sent SERVICE_UNAVAILABLE refused busy"},
		{notify.Refused, errors.New("no credit"), "code_not_sent SERVICE_UNAVAILABLE refused other"},
	} {
		b := &book{}
		w := &world{trail: b}
		d := newDesk(t, w, false)
		w.fate, w.why = c.fate, c.why
		_, _ = send(t, d)
		if diff := cmp.Diff([]string{c.want}, b.lines()); diff != "" {
			t.Errorf("%v (-want +got):\n%s", c.why, diff)
		}
		if e := b.events[0]; e.Phone != own.Phone.E164() { // the log keeps its HMAC
			t.Errorf("written of %q", e.Phone)
		}
	}
}

// TestALateRefusalIsWrittenDown: the answer had gone out, the code had not.
func TestALateRefusalIsWrittenDown(t *testing.T) {
	t.Parallel()
	b := &book{}
	w := &world{trail: b}
	d := newDesk(t, w, false)
	w.fate, w.why = notify.Undecided, notify.ErrNoAnswer
	if _, err := send(t, d); err != nil {
		t.Fatal(err)
	}
	w.late(notify.Refused, fmt.Errorf("msg91: %w", notify.ErrBusy))
	want := []string{"code_sent  undecided no_answer", "code_not_sent SERVICE_UNAVAILABLE refused busy"}
	if diff := cmp.Diff(want, b.lines()); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// TestCodesThatNobodyWasAskedForAreWrittenDown: refused by a limit of all, or by a session without time. What
// the desk itself refuses it writes down itself.
func TestCodesThatNobodyWasAskedForAreWrittenDown(t *testing.T) {
	t.Parallel()
	y := open(func(l *limit.Login) { l.Global.Burst, l.Global.Events = 1, 1 })
	must(t, y.send(t, own))
	refusedBy(t, y, y.send(t, own), "AUTH_RATE_LIMIT_EXCEEDED", "login-global")
	y.now = y.now.Add(time.Hour)
	y.fate = fault.New(fault.Unavailable, "BUSY", "")
	_ = y.send(t, own)
	y.now = y.now.Add(time.Hour)
	y.fate = login.ErrCooldown
	_ = y.send(t, own)
	want := []string{"code_not_sent AUTH_RATE_LIMIT_EXCEEDED <nil> <nil>", "code_not_sent BUSY <nil> <nil>"}
	if diff := cmp.Diff(want, y.book.lines()); diff != "" {
		t.Fatalf("rows (-want +got):\n%s", diff)
	}
	if got := y.book.events[0].Details["limit"]; got != "login-global" {
		t.Errorf("refused by %v", got)
	}
	for _, e := range y.book.events {
		if e.Phone != own.Phone.E164() || e.Details["flow"] != string(otp.Own) {
			t.Errorf("written as %+v", e)
		}
	}
}

// TestTriesThatNobodyWasAskedForAreWrittenDown likewise, and what the desk heard of is not written twice.
func TestTriesThatNobodyWasAskedForAreWrittenDown(t *testing.T) {
	t.Parallel()
	y := open(func(l *limit.Login) { l.FailDevice.Burst, l.FailDevice.Events = 1, 1 })
	y.device = "device-of-asha"
	y.fate = fault.New(fault.Unavailable, "SHUTTING_DOWN", "")
	_ = y.try(t, own)
	y.fate = fault.New(fault.FailedPrecondition, "INVALID_OTP", "no")
	_ = y.try(t, own)
	refusedBy(t, y, y.try(t, own), login.ErrTries.Reason, "login-fails-device")
	var got []string
	for _, e := range y.book.events {
		got = append(got, fmt.Sprintf("%s %s %v", e.Action, e.Reason, e.Details["limit"]))
		if e.Phone != own.Phone.E164() || e.Details["flow"] != string(otp.Own) {
			t.Errorf("written as %+v", e)
		}
	}
	want := []string{"login_refused SHUTTING_DOWN <nil>", "login_refused " + login.ErrTries.Reason + " login-fails-device"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}
