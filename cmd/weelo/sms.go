package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"weelo/internal/config"
	"weelo/internal/notify"
	"weelo/internal/nudge"
)

// smsSender is the provider that the environment names.
func smsSender(c config.SMS, out io.Writer) (notify.Sender, error) {
	switch {
	case c.Provider == "msg91":
		return notify.NewMSG91(notify.MSG91Config{
			AuthKey: string(c.MSG91AuthKey.Reveal()), TemplateID: c.MSG91TemplateID, SenderID: c.MSG91SenderID, BaseURL: c.MSG91BaseURL,
			Texts: map[string]string{nudge.TextAccepted: c.MSG91Accepted, nudge.TextExpired: c.MSG91Expired},
		}, &http.Client{Timeout: 10 * time.Second})
	case c.Provider == "console":
		return notify.NewConsole(out), nil
	case strings.HasPrefix(c.Provider, "file:"):
		return notify.NewFile(strings.TrimPrefix(c.Provider, "file:"), time.Now), nil
	default:
		return nil, fmt.Errorf("SMS_PROVIDER %q is not built in", c.Provider)
	}
}

// devSMS prints each message and appends it to the folder's sms.jsonl, unless the environment names a
// real provider: then both.
func devSMS(c config.SMS, file string, out io.Writer) (notify.Sender, error) {
	both := notify.Both{notify.NewFile(file, time.Now), notify.NewConsole(out)}
	if c.Provider == "" || c.Provider == "console" {
		return both, nil
	}
	named, err := smsSender(c, out)
	if err != nil {
		return nil, err
	}
	return append(both, named), nil
}
