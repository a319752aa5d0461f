package simulate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"weelo/internal/client"
)

// smsWait is how long the code may take to reach the file.
const smsWait = 10 * time.Second

// loginPatience is the longest that a login waits when it is told to come again. What lasts longer is not
// the crowd of a moment.
const loginPatience = time.Minute

// tooSoon is when to come again after a refusal that says so; 0: not at all.
func tooSoon(err error) time.Duration {
	var refused *client.APIError
	if errors.As(err, &refused) && refused.Status == http.StatusTooManyRequests && refused.RetryAfter <= loginPatience {
		return refused.RetryAfter
	}
	return 0
}

var errNoSMS = errors.New("no SMS with a code came")

// loginDriver logs a driver in as his app does. The code goes to his transporter.
func (a *api) loginDriver(ctx context.Context, c crew, smsFile string) (access string, err error) {
	since := time.Now()
	err = a.rest.SendDriverOTP(ctx, c.driver.Phone)
	for wait := tooSoon(err); wait > 0 && pause(ctx, wait); wait = tooSoon(err) {
		since = time.Now()
		err = a.rest.SendDriverOTP(ctx, c.driver.Phone)
	}
	if err != nil {
		return "", err
	}
	code, err := waitCode(ctx, smsFile, c.transporter.Phone, since)
	if err != nil {
		return "", err
	}
	tokens, _, err := a.rest.VerifyDriverOTP(ctx, c.driver.Phone, code)
	return tokens.AccessToken, err
}

// waitCode waits for the newest code that was sent to the phone since then, in a file of SMS lines.
func waitCode(ctx context.Context, smsFile, phone string, since time.Time) (string, error) {
	for deadline := since.Add(smsWait); time.Now().Before(deadline); {
		code, err := newestCode(smsFile, phone, since)
		if err != nil || code != "" {
			return code, err
		}
		if !pause(ctx, 100*time.Millisecond) {
			return "", ctx.Err()
		}
	}
	return "", errNoSMS
}

// newestCode reads the file of the SMS provider file:PATH: {"to","body","code","at"} a line.
func newestCode(smsFile, phone string, since time.Time) (code string, err error) {
	f, err := os.Open(smsFile) //nolint:gosec // the path is the operator's
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var sms struct {
			To   string    `json:"to"`
			Code string    `json:"code"`
			At   time.Time `json:"at"`
		}
		if json.Unmarshal(lines.Bytes(), &sms) == nil && strings.HasSuffix(sms.To, phone) && sms.At.After(since.Add(-2*time.Second)) {
			code = sms.Code
		}
	}
	return code, lines.Err()
}
