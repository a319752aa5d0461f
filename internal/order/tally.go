package order

// Tally counts the slots by what the apps ask about.
type Tally struct {
	Total, Searching, Held, Assigned, Filled, Completed, Cancelled, Expired int
}

// Full tells whether every truck that is still wanted is there: those the customer gave up do not count.
func (t Tally) Full() bool { return t.Filled > 0 && t.Filled == t.Total-t.Cancelled }

// Undecided counts the slots that may still be filled.
func (t Tally) Undecided() int { return t.Searching + t.Held + t.Assigned }

// Tally counts the slots.
func (s State) Tally() Tally {
	t := Tally{Total: len(s.Slots)}
	for _, slot := range s.Slots {
		switch slot.Status {
		case SlotSearching:
			t.Searching++
		case SlotHeld:
			t.Held++
		case SlotAssigned:
			t.Assigned++
		case SlotCancelled:
			t.Cancelled++
		case SlotExpired:
			t.Expired++
		case SlotCompleted, SlotPartial:
			t.Completed++
		case SlotAccepted, SlotInProgress: // counted as filled
		}
		if slot.Status.Filled() {
			t.Filled++
		}
	}
	return t
}
