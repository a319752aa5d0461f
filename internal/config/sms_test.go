package config

import (
	"slices"
	"testing"
)

// indian is everything that AWS SNS needs to send within India.
func indian(more ...string) []string {
	return good(append([]string{
		"SMS_PROVIDER=aws-sns", "AWS_SNS_SENDER_ID=WEELOO", "DLT_ENTITY_ID=1101234567890123456", "DLT_TEMPLATE_ID=1107000000000000001",
		"DLT_TEMPLATE_ID_DRIVER=1107000000000000002", "DLT_TEMPLATE_ID_ONBOARD=1107000000000000003",
	}, more...)...)
}

// TestRegisteredIDs: what is missing of the DLT register is said before the first code is lost.
func TestRegisteredIDs(t *testing.T) {
	t.Parallel()
	hashes := []string{"SMS_RETRIEVER_HASH_CUSTOMER=abcdefghijk", "SMS_RETRIEVER_HASH_CAPTAIN=ABCDEFGHIJK"}
	for _, c := range []struct {
		name string
		env  []string
		want []string // the variables refused
	}{
		{"all there", indian("APP_ENV=production"), nil},
		{"nothing but its name", good("SMS_PROVIDER=aws-sns"),
			[]string{"AWS_SNS_SENDER_ID", "DLT_ENTITY_ID", "DLT_TEMPLATE_ID", "DLT_TEMPLATE_ID_DRIVER", "DLT_TEMPLATE_ID_ONBOARD"}},
		{"one template missing", indian("DLT_TEMPLATE_ID_DRIVER="), []string{"DLT_TEMPLATE_ID_DRIVER"}},
		{"an id that is none", indian("DLT_TEMPLATE_ID_ONBOARD=welcome"), []string{"DLT_TEMPLATE_ID_ONBOARD"}},
		{"a header of five letters", indian("AWS_SNS_SENDER_ID=WEELO"), []string{"AWS_SNS_SENDER_ID"}},
		{"from abroad", indian("AWS_SNS_REGION=us-east-1"), []string{"AWS_SNS_REGION"}},
		{"in clear in production", indian("APP_ENV=production", "AWS_SNS_BASE_URL=http://x"), []string{"AWS_SNS_BASE_URL"}},
		{"two apps, one template", indian(hashes...), []string{"DLT_TEMPLATE_ID_CAPTAIN"}},
		{"two apps, two templates", indian(append(hashes, "DLT_TEMPLATE_ID_CAPTAIN=1107000000000000004")...), nil},
		{"texts without templates", indian("NOTICE_SMS=true"), []string{"DLT_TEMPLATE_ID_ACCEPTED", "DLT_TEMPLATE_ID_EXPIRED"}},
		{"as the second", indian("SMS_PROVIDER=msg91", "SMS_FALLBACK_PROVIDER=aws-sns"), nil},
		{"as the second, without its entity", indian("SMS_PROVIDER=msg91", "SMS_FALLBACK_PROVIDER=aws-sns", "DLT_ENTITY_ID="), []string{"DLT_ENTITY_ID"}},
		{"msg91 with a driver's template only", good("MSG91_TEMPLATE_ID_DRIVER=t2"), []string{"MSG91_TEMPLATE_ID_ONBOARD"}},
		{"msg91 with an invitation's only", good("MSG91_TEMPLATE_ID_ONBOARD=t2"), []string{"MSG91_TEMPLATE_ID_DRIVER"}},
		{"msg91 with both", good("MSG91_TEMPLATE_ID_DRIVER=t2", "MSG91_TEMPLATE_ID_ONBOARD=t3"), nil},
		{"reports at an address", good("APP_ENV=production", "SMS_REPORT_URL=https://api.example.org"), nil},
		{"reports at a page", good("SMS_REPORT_URL=https://api.example.org/sms"), []string{"SMS_REPORT_URL"}},
		{"reports in clear in production", good("APP_ENV=production", "SMS_REPORT_URL=http://api.example.org"), []string{"SMS_REPORT_URL"}},
		{"a report secret that is short", good("SMS_REPORT_SECRET=short"), []string{"SMS_REPORT_SECRET"}},
		{"a report secret that opens more", good("SMS_REPORT_SECRET=" + keyA), []string{"SMS_REPORT_SECRET"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := load(t, c.env...).Serve()
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := variables(t, err); !slices.Equal(got, c.want) {
				t.Errorf("refused %v, want %v", got, c.want)
			}
		})
	}
}

// TestBorrowedTemplatesAreNamed: the environment of the system before starts, and hears what it lacks.
func TestBorrowedTemplatesAreNamed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  []string
		want []string
	}{
		{good(), []string{"MSG91_TEMPLATE_ID_DRIVER", "MSG91_TEMPLATE_ID_ONBOARD"}},
		{good("MSG91_TEMPLATE_ID_DRIVER=t2", "MSG91_TEMPLATE_ID_ONBOARD=t3"), nil},
		{good("MSG91_TEMPLATE_ID_DRIVER=t2", "MSG91_TEMPLATE_ID_ONBOARD=t3", "SMS_RETRIEVER_HASH_CAPTAIN=ABCDEFGHIJK"), []string{"MSG91_TEMPLATE_ID_CAPTAIN"}},
		{indian(), nil},
		{indian("SMS_FALLBACK_PROVIDER=msg91"), []string{"MSG91_TEMPLATE_ID_DRIVER", "MSG91_TEMPLATE_ID_ONBOARD"}},
	} {
		if got := load(t, c.env...).Borrowing(); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.env[6:], got, c.want)
		}
	}
}

// TestTheKeyOfTheChosenProvider is not given to the other one.
func TestTheKeyOfTheChosenProvider(t *testing.T) {
	t.Parallel()
	c := load(t, "SMS_PROVIDER=twilio", "SMS_API_KEY=k", "SMS_FALLBACK_PROVIDER=msg91")
	if string(c.SMS.TwilioToken.Reveal()) != "k" || c.SMS.MSG91AuthKey != "" {
		t.Error("SMS_API_KEY must be Twilio's only")
	}
}
