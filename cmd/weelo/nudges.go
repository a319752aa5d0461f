package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"weelo/internal/config"
	"weelo/internal/notify"
	"weelo/internal/nudge"
	"weelo/internal/push"
	"weelo/internal/token"
)

// pushSender is the push provider that the environment names; nil: none, and nothing is written for one.
func pushSender(c config.Push) (push.Sender, error) {
	switch {
	case !c.Sends():
		return nil, nil
	case strings.HasPrefix(c.Provider, "file:"):
		return push.NewFile(strings.TrimPrefix(c.Provider, "file:"), time.Now), nil
	case c.Provider == "fcm":
		account, err := pushAccount(c)
		if err != nil {
			return nil, err
		}
		if c.TokenURL != "" {
			account.TokenURL = c.TokenURL
		}
		return push.NewFCM(push.FCMConfig{Account: account, BaseURL: c.BaseURL, Now: time.Now}, &http.Client{Timeout: 10 * time.Second})
	default:
		return nil, fmt.Errorf("PUSH_PROVIDER %q is not built in", c.Provider)
	}
}

func pushAccount(c config.Push) (push.Account, error) {
	if c.AccountPath == "" {
		account, err := push.NewAccount(c.Project, c.Email, string(c.PrivateKey.Reveal()))
		if err != nil {
			return account, fmt.Errorf("FIREBASE_PRIVATE_KEY: %w", err)
		}
		return account, nil
	}
	file, err := os.ReadFile(c.AccountPath)
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return push.Account{}, fmt.Errorf("FIREBASE_SERVICE_ACCOUNT_PATH: %w", err)
	}
	account, err := push.ReadAccount(file)
	if err != nil {
		return account, fmt.Errorf("FIREBASE_SERVICE_ACCOUNT_PATH: %w", err)
	}
	return account, nil
}

// couriers carry to people what transitions have written for them. Without a provider nothing is
// written for it; what still was when one is taken away, nobody takes, and it stays where it is.
func (h *house) couriers(context.Context, config.Secrets) error {
	p, st := h.p, h.st
	count := notify.CourierCounter()
	p.metrics.Registry.MustRegister(count)
	if h.pusher != nil {
		delivery := push.NewDelivery(st.phones, h.pusher, st.clock.Now, p.log, p.metrics.Registry)
		p.run("push", (&notify.Courier{
			Outbox: st.outbox, Channel: nudge.PushChannel, Deliver: delivery.Deliver, Now: st.clock.Now, Log: p.log, Count: count,
		}).Run)
	}
	if p.cfg.SMS.Notices {
		texts := &notify.Texts{Sender: h.sms.of("texts", p.log), People: st.users}
		p.run("texts", (&notify.Courier{
			Outbox: st.outbox, Channel: nudge.TextChannel, Deliver: texts.Deliver, Now: st.clock.Now, Log: p.log, Count: count,
		}).Run)
	}
	return nil
}

// phoneBook registers phones that come by socket.
type phoneBook struct{ phones push.Phones }

// Register implements socketio.PushTokens.
func (b phoneBook) Register(ctx context.Context, who token.Identity, pushToken string) error {
	return b.phones.Register(ctx, push.Phone{Token: pushToken, User: who.UserID, Session: who.SessionID, At: time.Now()})
}
