package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	retriever = regexp.MustCompile(`^[A-Za-z0-9+/]{11}$`)
	// twilioAccount is the form of an account of Twilio.
	twilioAccount = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	// The forms of what the DLT register gives: ids of entities and templates, headers.
	dltID     = regexp.MustCompile(`^[0-9]{10,25}$`)
	dltHeader = regexp.MustCompile(`^[A-Za-z]{6}$`)
	// snsRegions are those from which AWS sends within India; from others a message to India is a
	// foreign one, without header and template.
	snsRegions = []string{"ap-south-1", "ap-south-2"}
)

// accounts are the providers that send, each with the check of what it needs.
var accounts = map[string]func(Config, *Problems){"msg91": Config.msg91, "twilio": Config.twilio, "aws-sns": Config.sns}

func (c Config) sms(ps *Problems) {
	p := c.SMS.Provider
	switch check, sends := accounts[p]; {
	case sends:
		check(c, ps)
	case p == "" || p == "console" || strings.HasPrefix(p, "file:") && len(p) > len("file:"):
	default:
		ps.addf("SMS_PROVIDER", "%q is not msg91, twilio, aws-sns, console or file:PATH", p)
	}
	f := c.SMS.Fallback
	switch check, sends := accounts[f]; {
	case f == "":
	case f == p:
		ps.addf("SMS_FALLBACK_PROVIDER", "%s is SMS_PROVIDER already", f)
	case sends:
		check(c, ps)
	default:
		ps.addf("SMS_FALLBACK_PROVIDER", "%q is none of msg91, twilio and aws-sns", f)
	}
	if u, err := url.Parse(c.SMS.ReportURL); c.SMS.ReportURL != "" && (err != nil || strings.Trim(u.Path, "/")+u.RawQuery+u.Fragment != "") {
		ps.addf("SMS_REPORT_URL", "%q is not an address such as https://api.example.org", c.SMS.ReportURL)
	} else if c.SMS.ReportURL != "" {
		c.provider(ps, "SMS_REPORT_URL", c.SMS.ReportURL)
	}
	for name, h := range map[string]string{"SMS_RETRIEVER_HASH_CUSTOMER": c.SMS.RetrieverCust, "SMS_RETRIEVER_HASH_CAPTAIN": c.SMS.RetrieverCapt} {
		if h != "" && !retriever.MatchString(h) {
			ps.addf(name, "is not an 11-character hash")
		}
	}
}

// msg91 asks for the template of a login only, as the system before had no other; Borrowing tells of the
// rest. Who sets one of the two others means both.
func (c Config) msg91(ps *Problems) {
	if c.SMS.MSG91AuthKey == "" {
		ps.addf("MSG91_AUTH_KEY", "needed to send by MSG91 (or SMS_API_KEY)")
	}
	if c.SMS.MSG91TemplateID == "" {
		ps.addf("MSG91_TEMPLATE_ID", "needed to send by MSG91, which sends by template")
	}
	switch driver, onboard := c.SMS.MSG91Driver, c.SMS.MSG91Onboard; {
	case driver == "" && onboard != "":
		ps.addf("MSG91_TEMPLATE_ID_DRIVER", "needed beside MSG91_TEMPLATE_ID_ONBOARD: its text says which driver logs in")
	case driver != "" && onboard == "":
		ps.addf("MSG91_TEMPLATE_ID_ONBOARD", "needed beside MSG91_TEMPLATE_ID_DRIVER: its text says which fleet asks")
	}
	if c.SMS.Notices && (c.SMS.MSG91Accepted == "" || c.SMS.MSG91Expired == "") {
		ps.addf("NOTICE_SMS", "needs MSG91_TEMPLATE_ID_ACCEPTED and MSG91_TEMPLATE_ID_EXPIRED: MSG91 sends by template")
	}
	c.provider(ps, "MSG91_BASE_URL", c.SMS.MSG91BaseURL)
}

// Borrowing names the templates of MSG91 that are not set, so that their codes go out in the words of
// MSG91_TEMPLATE_ID: they do not say who logs in, or end with the other app's hash. None when MSG91 does
// not send.
func (c Config) Borrowing() []string {
	s := c.SMS
	if s.Provider != "msg91" && s.Fallback != "msg91" {
		return nil
	}
	var names []string
	if s.MSG91Captain == "" && s.RetrieverCapt != s.RetrieverCust {
		names = append(names, "MSG91_TEMPLATE_ID_CAPTAIN")
	}
	if s.MSG91Driver == "" {
		names = append(names, "MSG91_TEMPLATE_ID_DRIVER", "MSG91_TEMPLATE_ID_ONBOARD")
	}
	return names
}

func (c Config) twilio(ps *Problems) {
	if !twilioAccount.MatchString(c.SMS.TwilioSID) {
		ps.addf("TWILIO_ACCOUNT_SID", "is not AC and 32 hexadecimal digits")
	}
	if c.SMS.TwilioToken == "" {
		ps.addf("TWILIO_AUTH_TOKEN", "needed to send by Twilio (or SMS_API_KEY)")
	}
	if c.SMS.TwilioFrom == "" {
		ps.addf("TWILIO_PHONE_NUMBER", "needed to send by Twilio")
	}
	c.provider(ps, "TWILIO_BASE_URL", c.SMS.TwilioBaseURL)
}

// sns asks for everything that a message within India carries: without it AWS takes the message and
// sends it from abroad, or an operator drops it, and nobody is told.
func (c Config) sns(ps *Problems) {
	s := c.SMS
	if !slices.Contains(snsRegions, s.SNSRegion) {
		ps.addf("AWS_SNS_REGION", "%q is not %s: from elsewhere a message to India is sent as a foreign one", s.SNSRegion, strings.Join(snsRegions, " or "))
	}
	if !dltHeader.MatchString(s.SNSHeader) {
		ps.addf("AWS_SNS_SENDER_ID", "needed to send by AWS SNS: your header in the DLT register, six letters")
	}
	for _, id := range []struct {
		name, value string
		needed      bool
	}{
		{"DLT_ENTITY_ID", s.DLTEntity, true},
		{"DLT_TEMPLATE_ID", s.DLTLogin, true},
		{"DLT_TEMPLATE_ID_CAPTAIN", s.DLTCaptain, s.RetrieverCapt != s.RetrieverCust},
		{"DLT_TEMPLATE_ID_DRIVER", s.DLTDriver, true},
		{"DLT_TEMPLATE_ID_ONBOARD", s.DLTOnboard, true},
		{"DLT_TEMPLATE_ID_ACCEPTED", s.DLTAccepted, s.Notices},
		{"DLT_TEMPLATE_ID_EXPIRED", s.DLTExpired, s.Notices},
	} {
		switch {
		case id.value == "" && id.needed:
			ps.addf(id.name, "needed to send by AWS SNS: the number that the DLT register gave")
		case id.value != "" && !dltID.MatchString(id.value):
			ps.addf(id.name, "is not a number of the DLT register")
		}
	}
	if s.SNSBaseURL != "" {
		c.provider(ps, "AWS_SNS_BASE_URL", s.SNSBaseURL)
	}
}

// provider checks where a provider is reached: never in clear in production.
func (c Config) provider(ps *Problems, name, address string) {
	if !isURL(address, "https", "http") || (c.Production() && !isURL(address, "https")) {
		ps.addf(name, "%q is not an https address", address)
	}
}
