package sns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"weelo/internal/notify"
	"weelo/internal/notify/sns"
)

const (
	entity = "1101234567890123456"
	body   = "<#> 123456 is your Weelo login code. It is valid for 5 minutes. Do not share it with anyone.\nabcdefghijk"
)

var message = notify.SMS{To: "+919876543210", Body: body, Code: "123456", Template: notify.TextLogin}

// keys are credentials as the role of a task gives them.
func keys(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret", SessionToken: "session"}, nil
}

func sender(t *testing.T, address string, credentials aws.CredentialsProviderFunc) *sns.Sender {
	t.Helper()
	s, err := sns.New(t.Context(), sns.Config{
		Region: "ap-south-1", EntityID: entity, Header: "WEELOO", BaseURL: address + "/",
		Templates: notify.TemplateIDs{notify.TextLogin: "1107000000000000001", notify.TextDriver: "1107000000000000002"},
	}, &http.Client{}, credentials)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const taken = `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m-1</MessageId></PublishResult></PublishResponse>`

func refusal(code, text string) string {
	return `<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type><Code>` + code + `</Code><Message>` + text +
		`</Message></Error><RequestId>r-1</RequestId></ErrorResponse>`
}

// signature is how a request of this account is signed.
var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/[0-9]{8}/ap-south-1/sns/aws4_request, SignedHeaders=[a-z0-9;-]*\bhost\b[a-z0-9;-]*, Signature=[0-9a-f]{64}$`)

// TestPublish: the request's shape, and what each answer means. No failure is tried again.
func TestPublish(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   notify.Class
		err    error
	}{
		{"accepted", 200, taken, notify.Accepted, nil},
		{"accepted without an id", 200, `<PublishResponse><PublishResult></PublishResult></PublishResponse>`, notify.Undecided, notify.ErrUnclear},
		{"no answer that can be read", 200, `<html`, notify.Undecided, notify.ErrUnclear},
		{"no such number", 400, refusal("InvalidParameter", "Invalid parameter: PhoneNumber Reason: +919876543210 is not valid to publish to"), notify.Refused, notify.ErrNumber},
		{"opted out", 400, refusal("OptedOut", "Phone number is opted out"), notify.Refused, notify.ErrNumber},
		{"another parameter", 400, refusal("InvalidParameterValue", "Invalid value for EntityId"), notify.Refused, notify.ErrAccount},
		{"not allowed", 403, refusal("AuthorizationError", "User is not authorized to perform: SNS:Publish"), notify.Refused, notify.ErrAccount},
		{"keys expired", 403, refusal("ExpiredToken", "The security token included in the request is expired"), notify.Refused, notify.ErrAccount},
		{"throttled", 400, refusal("Throttling", "Rate exceeded"), notify.Refused, notify.ErrBusy},
		{"throttled by status", 429, refusal("ThrottledException", "Rate exceeded"), notify.Refused, notify.ErrBusy},
		{"away", 503, `<html>`, notify.Refused, notify.ErrBusy},
		{"broken", 500, refusal("InternalError", "Internal Error"), notify.Undecided, notify.ErrUnclear},
		{"elsewhere", 307, ``, notify.Undecided, notify.ErrUnclear},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int32
			var got *http.Request
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				calls.Add(1)
				if err := r.ParseForm(); err != nil {
					t.Error(err)
				}
				got = r
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.body)
			}))
			defer s.Close()
			class, err := sender(t, s.URL, keys).Send(t.Context(), message)
			if class != c.want || !errors.Is(err, c.err) || (err == nil) != (c.want == notify.Accepted) {
				t.Errorf("%v, %v", class, err)
			}
			if err != nil && (strings.Contains(err.Error(), "123456") || strings.Contains(err.Error(), "987654")) {
				t.Errorf("leaks: %v", err)
			}
			if n := calls.Load(); n != 1 {
				t.Fatalf("asked %d times", n)
			}
			checkRequest(t, got)
		})
	}
}

func checkRequest(t *testing.T, r *http.Request) {
	t.Helper()
	if r.Method != http.MethodPost || r.URL.Path != "/" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
	}
	if a := r.Header.Get("Authorization"); !signature.MatchString(a) || r.Header.Get("X-Amz-Date") == "" || r.Header.Get("X-Amz-Security-Token") != "session" {
		t.Errorf("signed as %q", a)
	}
	if diff := cmp.Diff(url.Values{"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {"+919876543210"}, "Message": {body}}, plain(r.PostForm)); diff != "" {
		t.Errorf("form (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"AWS.SNS.SMS.SMSType": "String Transactional", "AWS.SNS.SMS.SenderID": "String WEELOO",
		"AWS.MM.SMS.EntityId": "String " + entity, "AWS.MM.SMS.TemplateId": "String 1107000000000000001",
	}
	if diff := cmp.Diff(want, attributes(r.PostForm)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// plain is a form without its message attributes.
func plain(form url.Values) url.Values {
	out := url.Values{}
	for k, v := range form {
		if !strings.HasPrefix(k, "MessageAttributes.") {
			out[k] = v
		}
	}
	return out
}

// attributes reads the numbered entries of a form.
func attributes(form url.Values) map[string]string {
	out := map[string]string{}
	for i := 1; form.Has(fmt.Sprintf("MessageAttributes.entry.%d.Name", i)); i++ {
		at := fmt.Sprintf("MessageAttributes.entry.%d.", i)
		out[form.Get(at+"Name")] = form.Get(at+"Value.DataType") + " " + form.Get(at+"Value.StringValue")
	}
	return out
}

// TestTemplates: each text carries its own id; what has none is not sent.
func TestTemplates(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		got.Store(attributes(r.PostForm)["AWS.MM.SMS.TemplateId"])
		fmt.Fprint(w, taken)
	}))
	defer s.Close()
	p := sender(t, s.URL, keys)
	for key, id := range map[string]string{notify.TextLogin: "1107000000000000001", notify.TextLoginCaptain: "1107000000000000001", notify.TextDriver: "1107000000000000002"} {
		if class, err := p.Send(t.Context(), notify.SMS{To: message.To, Body: "x", Template: key}); class != notify.Accepted || got.Load() != "String "+id {
			t.Errorf("%s: %v, %v, as %v", key, class, err, got.Load())
		}
	}
	if class, err := p.Send(t.Context(), notify.SMS{To: message.To, Body: "x", Template: notify.TextOnboard}); class != notify.Refused || !errors.Is(err, notify.ErrTemplate) {
		t.Errorf("without an id: %v, %v", class, err)
	}
}

// overdue is a context whose deadline passes when its channel is closed, however busy the machine is.
type overdue struct {
	context.Context //nolint:containedctx // it is one
	passed          chan struct{}
}

func (o overdue) Done() <-chan struct{} { return o.passed }

func (o overdue) Err() error {
	select {
	case <-o.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestOutOfReach: what never left is refused, what nobody answered to the end may arrive.
func TestOutOfReach(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		serve func(w http.ResponseWriter, late, end chan struct{}) // nil: nobody listens
		want  notify.Class
		err   error
	}{
		{"refuses the connection", nil, notify.Refused, notify.ErrUnreached},
		{"hangs", func(_ http.ResponseWriter, late, end chan struct{}) { close(late); <-end }, notify.Undecided, notify.ErrNoAnswer},
		{"breaks off", func(http.ResponseWriter, chan struct{}, chan struct{}) { panic(http.ErrAbortHandler) }, notify.Undecided, notify.ErrUnclear},
		{"stops in the middle of its answer", func(w http.ResponseWriter, late, end chan struct{}) {
			fmt.Fprint(w, taken[:40])
			_ = http.NewResponseController(w).Flush()
			close(late)
			<-end
		}, notify.Undecided, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			late, end := make(chan struct{}), make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				c.serve(w, late, end)
			}))
			defer s.Close()
			defer close(end)
			if c.serve == nil {
				s.Close()
			}
			class, err := sender(t, s.URL, keys).Send(overdue{t.Context(), late}, message)
			if class != c.want || err == nil || !errors.Is(err, c.err) && c.err != nil || strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%v, %v", class, err)
			}
		})
	}
}

// TestWithoutCredentials nothing is sent, and that is certain: whether they are refused or never come.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("something was sent") }))
	defer s.Close()
	for name, credentials := range map[string]aws.CredentialsProviderFunc{
		"refused": func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") },
		"never come": func(ctx context.Context) (aws.Credentials, error) {
			<-ctx.Done()
			return aws.Credentials{}, ctx.Err()
		},
	} {
		class, err := sender(t, s.URL, credentials).Send(t.Context(), message)
		if class != notify.Refused || notify.Reason(err) != "account" {
			t.Errorf("%s: %v, %v", name, class, err)
		}
	}
}

// TestNeedsAnAccount names everything that is missing at once.
func TestNeedsAnAccount(t *testing.T) {
	t.Parallel()
	_, err := sns.New(t.Context(), sns.Config{BaseURL: "ftp://x"}, nil, nil)
	for _, name := range []string{"AWS_SNS_REGION", "AWS_SNS_SENDER_ID", "AWS_SNS_BASE_URL", "DLT_ENTITY_ID", "DLT_TEMPLATE_ID"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v says nothing of %s", err, name)
		}
	}
}
