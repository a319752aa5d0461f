package storetest

import (
	"sync"
	"testing"
	"time"

	"weelo/internal/otp"
)

// Fails is the conformance suite of otp.Fails. open gives an empty store.
func Fails(t *testing.T, open func(t *testing.T) otp.Fails) {
	t.Helper()

	t.Run("failed tries count per phone, from a time on, until they are cleared or pruned", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		const phone, other = "+919876543210", "+919876543211"
		count := func(number string, since time.Time, want int) {
			t.Helper()
			if n, err := s.CountFails(t.Context(), number, since); n != want || err != nil {
				t.Errorf("%d failed tries, %v; want %d", n, err, want)
			}
		}
		for i := range 4 {
			fail(t, s, phone, noon.Add(time.Duration(i)*time.Hour))
		}
		fail(t, s, other, noon)
		count(phone, noon.Add(-time.Hour), 4)
		count(phone, noon, 3)
		count(phone, noon.Add(3*time.Hour), 0)
		if n, err := s.PruneFails(t.Context(), noon.Add(90*time.Minute), 2); n != 2 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		if n, err := s.PruneFails(t.Context(), noon.Add(90*time.Minute), 2); n != 1 || err != nil {
			t.Errorf("pruned %d more, %v", n, err)
		}
		count(phone, time.Time{}, 2)
		must(t, s.ClearFails(t.Context(), phone))
		count(phone, time.Time{}, 0)
	})

	t.Run("racing failures are all counted", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				if try, err := s.Reserve(t.Context(), "+919876543210", noon, time.Time{}, 100); try == 0 || err != nil {
					t.Error(try, err)
				}
			})
		}
		wg.Wait()
		if n, err := s.CountFails(t.Context(), "+919876543210", noon.Add(-1)); n != 20 || err != nil {
			t.Errorf("%d of 20, %v", n, err)
		}
	})

	t.Run("of racing tries as many are reserved as are left, and what is released can be had again", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		const phone = "+919876543210"
		since := noon.Add(-24 * time.Hour)
		fail(t, s, phone, since) // does not count: it is not after since
		fail(t, s, "+919876543211", noon)
		reserved := make(chan int64, 40)
		var wg sync.WaitGroup
		for range cap(reserved) {
			wg.Go(func() {
				try, err := s.Reserve(t.Context(), phone, noon, since, 15)
				if err != nil {
					t.Error(err)
				}
				reserved <- try
			})
		}
		wg.Wait()
		close(reserved)
		tries := map[int64]bool{}
		for try := range reserved {
			if try != 0 {
				tries[try] = true
			}
		}
		if n, err := s.CountFails(t.Context(), phone, since); len(tries) != 15 || n != 15 || err != nil {
			t.Fatalf("%d reserved, %d counted, %v", len(tries), n, err)
		}
		for try := range tries {
			must(t, s.Release(t.Context(), try))
			must(t, s.Release(t.Context(), try)) // gone
			break
		}
		fail(t, s, phone, noon)
		if try, err := s.Reserve(t.Context(), phone, noon, since, 15); try != 0 || err != nil {
			t.Errorf("a sixteenth: %d, %v", try, err)
		}
	})
}

// fail adds one failed try.
func fail(t *testing.T, s otp.Fails, phone string, at time.Time) {
	t.Helper()
	try, err := s.Reserve(t.Context(), phone, at, time.Time{}, 1000)
	must(t, err)
	if try == 0 {
		t.Fatal("a try is not counted")
	}
}
