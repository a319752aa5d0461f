package rest

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"weelo/internal/auditlog"
	"weelo/internal/fault"
	"weelo/internal/ledger"
	"weelo/internal/phone"
)

var (
	errNoCommand      = fault.New(fault.NotFound, "COMMAND_NOT_FOUND", "There is no such command in quarantine.")
	errNotQuarantined = fault.New(fault.Conflict, "NOT_QUARANTINED", "The command is not quarantined.")
	errDiscarded      = fault.New(fault.Conflict, "COMMAND_DISCARDED", "The command was discarded.")
	errTimer          = fault.New(fault.Conflict, "TIMER_NOT_DISCARDABLE", "A timer cannot be discarded: its trip or order would wait for ever. Release it.")
	errActor          = fault.New(fault.Conflict, "ACTOR_NOT_DISCARDABLE", "An actor cannot be discarded: its trip or order would be lost. Release it.")
)

func (d Admin) registerQuarantine(a *API, at func(method, path, name, summary string) Route) {
	if d.Quarantine == nil {
		return
	}
	Handle(a, at(http.MethodGet, "/quarantine", "admin-quarantine", "Commands that broke their actor, and actors that broke too often, the newest first"), d.quarantine)
	Handle(a, at(http.MethodPost, "/quarantine/{commandId}/release", "admin-release", "Let a quarantined command run again, or an actor that was taken out"), d.release)
	Handle(a, at(http.MethodPost, "/quarantine/{commandId}/discard", "admin-discard", "Give a quarantined command up for good"), d.discard)
}

// AdminCommand is a command that broke its actor, or an actor that broke too often, whatever broke it.
type AdminCommand struct {
	ID          string     `json:"id"`
	Status      string     `json:"status" enum:"struck,quarantined,released,discarded"`
	Kind        string     `json:"kind" doc:"Of what the actor is of: order or trip"`
	AggregateID string     `json:"aggregateId"`
	Command     string     `json:"command" doc:"Its id: the client's idempotency key, a letter's id, or timer:NAME:NUMBER, one arming of a timer; empty: the actor itself, which was taken out"`
	Message     string     `json:"message" doc:"What kind of command it is; actor for the actor itself"`
	ComesWith   string     `json:"comesWith" enum:"client,outbox,timer,actor" doc:"Who brings it again; outbox and timer do by themselves. actor: it is the actor itself"`
	Strikes     int        `json:"strikes" doc:"Since the last release"`
	Panic       string     `json:"panic" doc:"What its actor said the last time"`
	FirstAt     Timestamp  `json:"firstAt"`
	LastAt      Timestamp  `json:"lastAt"`
	Releases    int        `json:"releases"`
	ReleasedAt  *Timestamp `json:"releasedAt" nullable:"true"`
	DiscardedAt *Timestamp `json:"discardedAt" nullable:"true"`
}

func adminCommand(q ledger.Quarantined) AdminCommand {
	c := AdminCommand{
		ID: strconv.FormatInt(q.ID, 10), Status: string(q.Standing()), Kind: string(q.Ref.Kind), AggregateID: q.Ref.ID,
		Command: q.CommandID, Message: q.Message, ComesWith: string(q.Carrier), Strikes: q.Strikes, Panic: phone.Mask(q.Reason),
		FirstAt: At(q.First), LastAt: At(q.At), Releases: q.Releases,
	}
	if !q.Released.IsZero() {
		at := At(q.Released)
		c.ReleasedAt = &at
	}
	if !q.Discarded.IsZero() {
		at := At(q.Discarded)
		c.DiscardedAt = &at
	}
	return c
}

type adminQuarantineInput struct {
	Status string `query:"status" enum:"quarantined,struck,released,discarded,all" default:"quarantined"`
	Cursor string `query:"cursor" maxLength:"20" doc:"Of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
}

// AdminQuarantineData is a page of harmful commands.
type AdminQuarantineData struct {
	Commands []AdminCommand `json:"commands"`
	Cursor   string         `json:"cursor" doc:"For the next page"`
	HasMore  bool           `json:"hasMore"`
}

func (d Admin) quarantine(ctx context.Context, in *adminQuarantineInput) (AdminQuarantineData, error) {
	q := ledger.QuarantineQuery{Standing: ledger.Standing(in.Status), Limit: min(in.Limit, ledger.MaxStruck)}
	if in.Status == "all" {
		q.Standing = ""
	}
	if in.Cursor != "" {
		before, err := strconv.ParseInt(in.Cursor, 10, 64)
		if err != nil || before < 1 {
			return AdminQuarantineData{}, fault.Invalid("cursor", "That is no cursor of an earlier page.")
		}
		q.Before = before
	}
	found, err := d.Quarantine.List(ctx, q)
	data := AdminQuarantineData{Commands: make([]AdminCommand, len(found)), HasMore: len(found) == q.Limit}
	for i, c := range found {
		data.Commands[i] = adminCommand(c)
		data.Cursor = data.Commands[i].ID
	}
	return data, err
}

type adminCommandInput struct {
	ID   string `path:"commandId" maxLength:"20"`
	Body reasonBody
}

// AdminCommandData is one harmful command.
type AdminCommandData struct {
	Command AdminCommand `json:"command"`
}

func (d Admin) release(ctx context.Context, in *adminCommandInput) (AdminCommandData, error) {
	return d.settle(ctx, in, auditlog.CommandReleased, func(id int64) (ledger.Quarantined, error) { return d.Quarantine.Release(ctx, id, d.now()) })
}

func (d Admin) discard(ctx context.Context, in *adminCommandInput) (AdminCommandData, error) {
	return d.settle(ctx, in, auditlog.CommandDiscarded, func(id int64) (ledger.Quarantined, error) { return d.Quarantine.Discard(ctx, id, d.now()) })
}

// settle may be repeated: a second release, or a second discard, changes nothing.
func (d Admin) settle(ctx context.Context, in *adminCommandInput, action string, do func(id int64) (ledger.Quarantined, error)) (AdminCommandData, error) {
	id, err := strconv.ParseInt(in.ID, 10, 64)
	if err != nil || id < 1 {
		return AdminCommandData{}, errNoCommand
	}
	found, err := d.Quarantine.List(ctx, ledger.QuarantineQuery{Before: id + 1, Limit: 1})
	if err != nil {
		return AdminCommandData{}, err
	}
	if len(found) == 0 || found[0].ID != id {
		return AdminCommandData{}, errNoCommand
	}
	c := found[0]
	details := map[string]any{"of": string(c.Ref.Kind) + ":" + c.Ref.ID, "command": c.CommandID, "message": c.Message, "strikes": c.Strikes}
	err = d.audited(ctx, action, "command:"+in.ID, in.Body.Reason, details, func() (err error) {
		c, err = do(id)
		return commandRefusal(err)
	})
	return AdminCommandData{adminCommand(c)}, err
}

func commandRefusal(err error) error {
	for cause, refusal := range map[error]*fault.Error{
		ledger.ErrNoCommand: errNoCommand, ledger.ErrNotQuarantined: errNotQuarantined, ledger.ErrDiscarded: errDiscarded, ledger.ErrTimer: errTimer, ledger.ErrActor: errActor,
	} {
		if errors.Is(err, cause) {
			return refusal
		}
	}
	return err
}
