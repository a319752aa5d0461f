package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"weelo/internal/share"
)

func shareLink(n int, tripID string) share.Link {
	return share.Link{
		ID: fmt.Sprintf("link-%02d", n), TripID: tripID, Digest: share.Digest{byte(n), 1}, CreatedBy: "c1",
		CreatedAt: noon.Add(time.Duration(n) * time.Second).UTC(), EndsAt: noon.Add(24 * time.Hour).UTC(),
	}
}

// Shares is the conformance suite of share.Store. open gives an empty store.
func Shares(t *testing.T, open func(t *testing.T) share.Store) {
	t.Helper()

	t.Run("a link is found by its digest, its id and its trip", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		want := []share.Link{shareLink(1, "t1"), shareLink(2, "t1")}
		for _, l := range append(want, shareLink(3, "t2")) {
			must(t, s.Add(t.Context(), l, 5))
		}
		got, err := s.ByDigest(t.Context(), want[1].Digest)
		must(t, err)
		if diff := cmp.Diff(want[1], got); diff != "" {
			t.Errorf("by digest (-want +got):\n%s", diff)
		}
		links, err := s.OfTrip(t.Context(), "t1", noon)
		must(t, err)
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("of the trip (-want +got):\n%s", diff)
		}
		links, err = s.Links(t.Context(), []string{"link-03", "nobody's"})
		must(t, err)
		if len(links) != 1 || links[0].TripID != "t2" {
			t.Errorf("by id: %v", links)
		}
		if _, err := s.ByDigest(t.Context(), share.Digest{99}); !errors.Is(err, share.ErrMissing) {
			t.Errorf("an unknown digest: %v", err)
		}
	})

	t.Run("of many who ask at once exactly the limit get a link", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		var added atomic.Int32
		var asking sync.WaitGroup
		for n := range 20 {
			asking.Go(func() {
				switch err := s.Add(t.Context(), shareLink(n, "t1"), 5); {
				case err == nil:
					added.Add(1)
				case !errors.Is(err, share.ErrTooMany):
					t.Error(err)
				}
			})
		}
		asking.Wait()
		if n := added.Load(); n != 5 {
			t.Errorf("%d links", n)
		}
		must(t, s.Add(t.Context(), shareLink(30, "t2"), 5)) // another trip has its own
	})

	t.Run("what is revoked or over makes room and is shown no more", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		short := shareLink(1, "t1")
		short.EndsAt = noon.Add(time.Minute).UTC()
		must(t, s.Add(t.Context(), short, 2))
		must(t, s.Add(t.Context(), shareLink(2, "t1"), 2))
		if err := s.Add(t.Context(), shareLink(3, "t1"), 2); !errors.Is(err, share.ErrTooMany) {
			t.Errorf("the third: %v", err)
		}
		for _, again := range []bool{false, true} {
			at := noon.Add(5 * time.Second)
			if again {
				at = noon.Add(9 * time.Second)
			}
			if changed, err := s.Revoke(t.Context(), "t1", "link-02", at); err != nil || changed == again {
				t.Errorf("revoked, again %v: %v, %v", again, changed, err)
			}
		}
		revoked, err := s.ByDigest(t.Context(), share.Digest{2, 1})
		must(t, err)
		if !revoked.RevokedAt.Equal(noon.Add(5 * time.Second)) {
			t.Errorf("revoked at %v", revoked.RevokedAt)
		}
		must(t, s.Add(t.Context(), shareLink(4, "t1"), 2))
		links, err := s.OfTrip(t.Context(), "t1", noon.Add(time.Minute))
		must(t, err)
		if len(links) != 1 || links[0].ID != "link-04" {
			t.Errorf("left: %v", links)
		}
	})

	t.Run("nobody revokes a link by another trip", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		must(t, s.Add(t.Context(), shareLink(1, "t1"), 5))
		for _, at := range [][2]string{{"t2", "link-01"}, {"t1", "link-09"}} {
			if changed, err := s.Revoke(t.Context(), at[0], at[1], noon); changed || !errors.Is(err, share.ErrMissing) {
				t.Errorf("%v: %v, %v", at, changed, err)
			}
		}
		links, err := s.OfTrip(t.Context(), "t1", noon)
		must(t, err)
		if len(links) != 1 {
			t.Errorf("left: %v", links)
		}
	})

	t.Run("old ones are pruned, a few at a time", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for n := range 3 {
			must(t, s.Add(t.Context(), shareLink(n, "t1"), 5))
		}
		for _, step := range []struct {
			before time.Time
			want   int
		}{{noon.Add(24 * time.Hour), 0}, {noon.Add(25 * time.Hour), 2}, {noon.Add(25 * time.Hour), 1}} {
			if n, err := s.Prune(t.Context(), step.before, 2); err != nil || n != step.want {
				t.Errorf("pruned %d, %v; want %d", n, err, step.want)
			}
		}
	})
}
