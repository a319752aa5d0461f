package ledger

import (
	"cmp"
	"slices"
)

// Entry is one event on its way into one recipient's inbox, before it has a number.
type Entry struct {
	Transition int // index of its transition
	Event      int // index in Transition.Events
	Recipient  string
	Back       int // how many entries of the same recipient come after it
}

// Heads are the recipients of some accepted transitions, sorted, each once, and how many numbers
// each needs.
type Heads struct {
	Recipients []string
	Counts     []int64
}

// Address lays out the inbox entries of the accepted transitions (indexes into ts): numbers of one
// recipient follow (aggregate id, version, ordinal), and heads are sorted by recipient, which is the
// order every lane locks them in. An entry's number is its recipient's new head minus Back.
func Address(ts []Transition, accepted []int) ([]Entry, Heads) {
	order := slices.Clone(accepted)
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(ts[a].Ref.ID, ts[b].Ref.ID), cmp.Compare(ts[a].Version, ts[b].Version),
			cmp.Compare(ts[a].Ref.Kind, ts[b].Ref.Kind))
	})
	var entries []Entry
	counts := make(map[string]int64)
	for _, i := range order {
		for j, e := range ts[i].Events {
			for k, r := range e.Recipients {
				if r == "" || slices.Contains(e.Recipients[:k], r) {
					continue // everybody gets an event once
				}
				entries = append(entries, Entry{Transition: i, Event: j, Recipient: r})
				counts[r]++
			}
		}
	}
	seen := make(map[string]int64, len(counts))
	heads := Heads{}
	for i := range entries {
		r := entries[i].Recipient
		seen[r]++
		entries[i].Back = int(counts[r] - seen[r])
		if seen[r] == 1 {
			heads.Recipients = append(heads.Recipients, r)
		}
	}
	slices.Sort(heads.Recipients)
	for _, r := range heads.Recipients {
		heads.Counts = append(heads.Counts, counts[r])
	}
	return entries, heads
}
