package push

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"weelo/internal/notify"
)

// FCM sends by Firebase Cloud Messaging's HTTP v1 interface: one POST for each phone, with an access
// token that a service account's signed JWT is exchanged for. The requests follow Google's public
// documentation; they were not tried against the live service.
type FCM struct {
	cfg    FCMConfig
	client *http.Client
	url    string
	access chan access  // one place: who holds it may renew it
	until  atomic.Int64 // Unix ns before which the service wants to be left alone
}

// FCMConfig is what an FCM needs.
type FCMConfig struct {
	Account Account // its TokenURL may be empty: Google's
	BaseURL string
	Now     func() time.Time
}

// The addresses of Google's services.
const (
	FCMURL   = "https://fcm.googleapis.com"
	TokenURL = "https://oauth2.googleapis.com/token" //nolint:gosec // an address, no secret
)

var _ Sender = (*FCM)(nil)

// NewFCM makes one. The client's own timeout is not needed: each call has a deadline.
func NewFCM(cfg FCMConfig, client *http.Client) (*FCM, error) {
	if cfg.Account.key == nil {
		return nil, errors.New("push: no service account")
	}
	if cfg.Account.TokenURL == "" {
		cfg.Account.TokenURL = TokenURL
	}
	for name, address := range map[string]string{"FCM_BASE_URL": cfg.BaseURL, "the token's address": cfg.Account.TokenURL} {
		if u, err := url.Parse(address); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return nil, fmt.Errorf("push: %s is not an http(s) URL", name)
		}
	}
	own := *client // a redirect would carry credentials to somebody else
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	f := &FCM{
		cfg: cfg, client: &own, access: make(chan access, 1),
		url: strings.TrimRight(cfg.BaseURL, "/") + "/v1/projects/" + cfg.Account.Project + "/messages:send",
	}
	f.access <- access{}
	return f, nil
}

type fcmRequest struct {
	Message fcmMessage `json:"message"`
}

type fcmMessage struct {
	Token        string            `json:"token"`
	Notification fcmNotification   `json:"notification"`
	Data         map[string]string `json:"data,omitempty"`
	Android      fcmAndroid        `json:"android"`
}

type fcmNotification struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

type fcmAndroid struct {
	Priority     string           `json:"priority"`
	TTL          string           `json:"ttl"`
	Notification fcmAndroidNotice `json:"notification"`
}

type fcmAndroidNotice struct {
	Channel     string `json:"channel_id"`
	Sound       string `json:"sound"`
	ClickAction string `json:"click_action"`
	Tag         string `json:"tag,omitempty"`
}

func fcmOf(m Message) fcmRequest {
	priority := "NORMAL"
	if m.HighPriority {
		priority = "HIGH"
	}
	return fcmRequest{fcmMessage{
		Token: m.Token, Notification: fcmNotification{m.Title, m.Body}, Data: m.Data,
		Android: fcmAndroid{
			Priority: priority, TTL: fmt.Sprintf("%ds", int64(max(m.TTL, 0)/time.Second)),
			Notification: fcmAndroidNotice{m.Channel, "default", "FLUTTER_NOTIFICATION_CLICK", m.Tag},
		},
	}}
}

// Send implements Sender.
func (f *FCM) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(fcmOf(m))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if left := time.Unix(0, f.until.Load()).Sub(f.cfg.Now()); left > 0 {
		return &notify.NotBefore{Wait: left, Err: fmt.Errorf("%w: it asked to be left alone", ErrTemporary)}
	}
	bearer, err := f.bearer(ctx)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: the request cannot be made", ErrRefused)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	req.Header.Set("Content-Type", "application/json")
	got, err := ask(f.client, req, f.cfg.Now())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTemporary, err)
	}
	switch got.status {
	case http.StatusUnauthorized:
		f.forget(bearer)
	case http.StatusServiceUnavailable: // of the service, while a 429 may be of one phone
		f.until.Store(f.cfg.Now().Add(min(got.wait, pauseMost)).UnixNano())
	}
	return got.later(verdict(got.status, got.body))
}

// bearer gives the access token, renewed when it runs out. Who comes meanwhile waits, no longer than he
// may.
func (f *FCM) bearer(ctx context.Context) (string, error) {
	select {
	case a := <-f.access:
		defer func() { f.access <- a }()
		now := f.cfg.Now()
		if a.token != "" && now.Before(a.until) {
			return a.token, nil
		}
		renewed, err := f.cfg.Account.grant(ctx, f.client, now)
		if err != nil {
			return "", err
		}
		a = renewed
		return a.token, nil
	case <-ctx.Done():
		return "", fmt.Errorf("%w: no access token in time", ErrTemporary)
	}
}

// forget drops an access token that was not believed, unless another took its place already.
func (f *FCM) forget(bearer string) {
	a := <-f.access // whoever has it is bounded by his call's deadline
	if a.token == bearer {
		a = access{}
	}
	f.access <- a
}

// verdict reads the answer: 200, or {"error":{"status":…,"details":[{"errorCode":…}]}}.
func verdict(status int, body []byte) error {
	if status == http.StatusOK {
		return nil
	}
	var answer struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				ErrorCode       string `json:"errorCode"`
				FieldViolations []struct {
					Field string `json:"field"`
				} `json:"fieldViolations"`
			} `json:"details"`
		} `json:"error"`
	}
	_ = json.Unmarshal(body, &answer) // not JSON: decided by the status
	code, aboutToken := answer.Error.Status, false
	for _, d := range answer.Error.Details {
		if d.ErrorCode != "" {
			code = d.ErrorCode
		}
		for _, v := range d.FieldViolations {
			aboutToken = aboutToken || v.Field == "message.token"
		}
	}
	kind := ErrRefused
	switch {
	case code == "UNREGISTERED", code == "SENDER_ID_MISMATCH", aboutToken:
		kind = ErrGone
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusTooManyRequests, status >= 500:
		kind = ErrTemporary // of the account or the service, not of the message
	}
	return fmt.Errorf("%w: status %d %s", kind, status, word(code))
}

const maxAnswer = 64 << 10

// What a provider may ask for by Retry-After: so long for one message, and so long for all of them, lest one
// wrong answer silences everybody.
const (
	waitMost  = time.Hour
	pauseMost = time.Minute
)

// reply is what a provider answered.
type reply struct {
	status int
	body   []byte
	wait   time.Duration // its Retry-After; 0: none
}

// later adds how long the provider wants to wait to an error that may go away.
func (r reply) later(err error) error {
	if r.wait > 0 && errors.Is(err, ErrTemporary) {
		return &notify.NotBefore{Wait: r.wait, Err: err}
	}
	return err
}

// ask does a request and reads its answer. Errors say nothing of what was sent.
func ask(client *http.Client, req *http.Request, now time.Time) (reply, error) {
	res, err := client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return reply{}, errors.New("no answer in time")
		}
		return reply{}, errors.New("the connection failed")
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return reply{}, fmt.Errorf("status %d, the answer broke off", res.StatusCode)
	}
	return reply{res.StatusCode, body, retryAfter(res.Header.Get("Retry-After"), now)}, nil
}

// retryAfter reads the header, seconds or a date (RFC 9110 §10.2.3). What it cannot read asks for nothing.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), waitMost)
}
