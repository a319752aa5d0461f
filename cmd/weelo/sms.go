package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"weelo/internal/config"
	"weelo/internal/notify"
	"weelo/internal/notify/sns"
	"weelo/internal/nudge"
)

// providers are the SMS providers that the environment names, the first and the one that is asked when
// it fails.
type providers struct {
	routes []notify.Route
	meter  *notify.Meter
	// changed hears that a provider is left alone, and that it is asked again. nil: nobody does.
	changed func(traffic, provider string, open bool)
}

// of makes routes for one kind of traffic, with breakers of their own.
func (p providers) of(traffic string, log *slog.Logger) *notify.Routes {
	cfg := notify.RoutesConfig{Traffic: traffic, Now: time.Now, Log: log, Meter: p.meter}
	if p.changed != nil {
		cfg.Changed = func(provider string, open bool) { p.changed(traffic, provider, open) }
	}
	return notify.NewRoutes(cfg, p.routes...)
}

// smsRoutes are the providers that the environment names.
func smsRoutes(ctx context.Context, c config.SMS, out io.Writer) ([]notify.Route, error) {
	var routes []notify.Route
	for _, name := range []string{c.Provider, c.Fallback} {
		if name == "" {
			continue
		}
		sender, err := smsSender(ctx, c, name, out)
		if err != nil {
			return nil, err
		}
		label, _, _ := strings.Cut(name, ":") // a path is no label
		routes = append(routes, notify.Route{Name: label, Sender: sender})
	}
	return routes, nil
}

func smsSender(ctx context.Context, c config.SMS, name string, out io.Writer) (notify.Sender, error) {
	switch {
	case name == "msg91":
		return notify.NewMSG91(notify.MSG91Config{
			AuthKey: string(c.MSG91AuthKey.Reveal()), SenderID: c.MSG91SenderID, BaseURL: c.MSG91BaseURL,
			Reports: c.ReportSecret != "",
			Templates: notify.TemplateIDs{
				notify.TextLogin: c.MSG91TemplateID, notify.TextLoginCaptain: c.MSG91Captain, notify.TextDriver: c.MSG91Driver, notify.TextOnboard: c.MSG91Onboard,
				nudge.TextAccepted: c.MSG91Accepted, nudge.TextExpired: c.MSG91Expired,
			},
		}, notify.Client())
	case name == "aws-sns":
		return sns.New(ctx, sns.Config{
			Region: c.SNSRegion, EntityID: c.DLTEntity, Header: c.SNSHeader, BaseURL: c.SNSBaseURL,
			Templates: notify.TemplateIDs{
				notify.TextLogin: c.DLTLogin, notify.TextLoginCaptain: c.DLTCaptain, notify.TextDriver: c.DLTDriver, notify.TextOnboard: c.DLTOnboard,
				nudge.TextAccepted: c.DLTAccepted, nudge.TextExpired: c.DLTExpired,
			},
		}, notify.Client(), nil)
	case name == "twilio":
		return notify.NewTwilio(notify.TwilioConfig{
			AccountSID: c.TwilioSID, AuthToken: string(c.TwilioToken.Reveal()), From: c.TwilioFrom, BaseURL: c.TwilioBaseURL,
			Reports: twilioReports(c),
		}, notify.Client())
	case name == "console":
		return notify.NewConsole(out), nil
	case strings.HasPrefix(name, "file:"):
		return notify.NewFile(strings.TrimPrefix(name, "file:"), time.Now), nil
	default:
		return nil, fmt.Errorf("SMS_PROVIDER %q is not built in", name)
	}
}

// devSMS prints each message and appends it to the folder's sms.jsonl, unless the environment names a
// real provider: then both.
func devSMS(ctx context.Context, c config.SMS, file string, out io.Writer) ([]notify.Route, error) {
	both := notify.Both{notify.NewFile(file, time.Now), notify.NewConsole(out)}
	if c.Provider == "" || c.Provider == "console" {
		return []notify.Route{{Name: "console", Sender: both}}, nil
	}
	routes, err := smsRoutes(ctx, c, out)
	if err != nil {
		return nil, err
	}
	routes[0].Sender = append(both, routes[0].Sender)
	return routes, nil
}
