// Package sns sends messages by AWS SNS, with the ids under which India's operators know them (DLT).
//
// Invariants, beside those of package notify: a message is handed over once, the client tries nothing
// again by itself; what fails before the message is on its way (no credentials, no connection) is
// Refused, so that another provider may be asked; every message carries entity, header and template,
// without which it would take the international route, at many times the price and under a stranger's
// name. It is a package of its own because it is the only part that knows AWS.
//
// The request follows AWS's public documentation; it was not tried against the live service.
package sns

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/smithy-go"

	"weelo/internal/notify"
)

// credentialsLimit bounds getting credentials, a small part of a call's 5 s: without them nothing was
// sent, and somebody else may still be asked.
const credentialsLimit = 1500 * time.Millisecond

// Config is what an account is described by.
type Config struct {
	Region    string             // AWS_SNS_REGION
	EntityID  string             // DLT_ENTITY_ID
	Header    string             // AWS_SNS_SENDER_ID: who the phone shows, six letters
	Templates notify.TemplateIDs // DLT_TEMPLATE_ID…
	BaseURL   string             // AWS_SNS_BASE_URL; "": AWS's own
}

// region is the form of a region's name.
var region = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)

// Validate names every problem at once.
func (c Config) Validate() error {
	var problems []error
	if !region.MatchString(c.Region) {
		problems = append(problems, errors.New("AWS_SNS_REGION is not a region"))
	}
	for _, needed := range []struct{ name, value string }{
		{"DLT_ENTITY_ID", c.EntityID}, {"AWS_SNS_SENDER_ID", c.Header}, {"DLT_TEMPLATE_ID", c.Templates.Of(notify.TextLogin)},
	} {
		if needed.value == "" {
			problems = append(problems, fmt.Errorf("%s is needed to send by AWS SNS", needed.name))
		}
	}
	if u, err := url.Parse(c.BaseURL); c.BaseURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
		problems = append(problems, errors.New("AWS_SNS_BASE_URL is not an http(s) URL"))
	}
	return errors.Join(problems...)
}

// Sender is a notify.Sender.
type Sender struct {
	cfg         Config
	client      *sns.Client
	credentials aws.CredentialsProvider
}

var _ notify.Sender = (*Sender)(nil)

// New makes one. Without credentials of its own it takes those that AWS's tools find: the task's role,
// the environment, the shared file. They are first asked for with the first message. The client's own
// timeout is not needed: each call has a deadline.
func New(ctx context.Context, cfg Config, client *http.Client, credentials aws.CredentialsProvider) (*Sender, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if credentials == nil {
		found, err := config.LoadDefaultConfig(ctx, config.WithRegion(cfg.Region))
		if err != nil {
			return nil, fmt.Errorf("aws sns: %w", err)
		}
		credentials = found.Credentials
	}
	credentials = aws.NewCredentialsCache(credentials)
	options := sns.Options{
		Region: cfg.Region, Credentials: credentials, HTTPClient: notify.NoRedirects(client), Retryer: aws.NopRetryer{},
	}
	if cfg.BaseURL != "" {
		options.BaseEndpoint = aws.String(strings.TrimRight(cfg.BaseURL, "/"))
	}
	return &Sender{cfg: cfg, client: sns.New(options), credentials: credentials}, nil
}

// Send hands a message over. Everything that is not a clear yes or no is Undecided.
func (s *Sender) Send(ctx context.Context, m notify.SMS) (notify.Class, error) {
	template := s.cfg.Templates.Of(m.Template)
	if template == "" {
		return notify.Refused, fmt.Errorf("aws sns: %q: %w", m.Template, notify.ErrTemplate)
	}
	if err := s.signable(ctx); err != nil {
		return notify.Refused, fmt.Errorf("aws sns: %w", err)
	}
	answer, err := s.client.Publish(ctx, &sns.PublishInput{
		PhoneNumber: aws.String(m.To.E164()), Message: aws.String(m.Body),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"AWS.SNS.SMS.SMSType":   text("Transactional"),
			"AWS.SNS.SMS.SenderID":  text(s.cfg.Header),
			"AWS.MM.SMS.EntityId":   text(s.cfg.EntityID),
			"AWS.MM.SMS.TemplateId": text(template),
		},
	})
	switch {
	case err != nil:
		class, why := verdict(err)
		return class, fmt.Errorf("aws sns: %w", why)
	case aws.ToString(answer.MessageId) == "":
		return notify.Undecided, fmt.Errorf("aws sns: %w: taken without an id", notify.ErrUnclear)
	}
	return notify.Accepted, nil
}

func text(v string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(v)}
}

// signable gets credentials, which are kept, before anything is on its way.
func (s *Sender) signable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, credentialsLimit)
	defer cancel()
	if _, err := s.credentials.Retrieve(ctx); err != nil {
		return fmt.Errorf("%w: no credentials: %s", notify.ErrAccount, notify.Harmless(err.Error()))
	}
	return nil
}

// verdict reads what is not a yes. A throttled call and a 503 were never processed; any other failure
// of theirs may have been.
func verdict(err error) (notify.Class, error) {
	var answered interface{ HTTPStatusCode() int }
	status := 0
	if errors.As(err, &answered) {
		status = answered.HTTPStatusCode()
	}
	if status == 0 {
		return notify.Unreached(err)
	}
	code, said := "", ""
	var api smithy.APIError
	if errors.As(err, &api) {
		code, said = api.ErrorCode(), api.ErrorMessage()
	}
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable, strings.HasPrefix(code, "Throttl"):
		return notify.Refused, fmt.Errorf("%w: status %d %s", notify.ErrBusy, status, code)
	case status >= 400 && status < 500:
		kind := notify.ErrAccount
		if code == "OptedOut" || strings.HasPrefix(code, "InvalidParameter") && strings.Contains(strings.ToLower(said), "phone") {
			kind = notify.ErrNumber
		}
		return notify.Refused, fmt.Errorf("%w: status %d %s: %s", kind, status, code, notify.Harmless(said))
	default:
		return notify.Undecided, fmt.Errorf("%w: status %d %s", notify.ErrUnclear, status, code)
	}
}
