package main

import (
	"weelo/internal/auditlog"
	"weelo/internal/token"
	"weelo/transport/hub"
)

// watched writes whom operators watch into the audit log.
type watched struct{ trail *auditlog.Recorder }

var _ hub.Witness = watched{}

// OpsWatch implements hub.Witness. The live map of dev watches everything, and is nobody.
func (w watched) OpsWatch(who token.Identity, device string, what hub.Scope) error {
	if who.SessionID == mapSession {
		return nil
	}
	subjects := map[hub.ScopeKind]string{hub.Trip: "trip:", hub.Order: "order:", hub.Fleet: "fleet:", hub.Own: "customer:", hub.All: "all"}
	return w.trail.Record(auditlog.Event{
		Actor: string(who.UserID), Role: string(who.Role), Action: auditlog.OpsWatch, Subject: subjects[what.Kind] + what.ID,
		From: auditlog.Source{Device: device}, Details: map[string]any{"session": who.SessionID},
	})
}
