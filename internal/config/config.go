// Package config turns the environment into values, once, at the start. It is the only reader of the
// environment; every component gets its own small struct from cmd.
//
// Invariants: a start that cannot be right says everything that is wrong with it at once, by
// variable name, and goes no further; production never runs with weak secrets or with anything made
// for tests; no secret can be printed by accident. docs/configuration.md and .env.example are
// generated from the structs below, and a test fails when they are not.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

//go:generate go run ./gendoc ../../docs/configuration.md ../../.env.example

// Config is everything the environment decides. The tags are its documentation: env is the name,
// doc the sentence in docs/configuration.md.
type Config struct {
	Server   Server   `doc:"Server"`
	Store    Store    `doc:"Stores"`
	Secrets  Secrets  `doc:"Secrets"`
	SMS      SMS      `doc:"SMS"`
	Push     Push     `doc:"Push messages"`
	Login    Login    `doc:"Login and limits"`
	Dispatch Dispatch `doc:"Dispatch"`
	Ops      Ops      `doc:"Operation"`
	Tests    Tests    `doc:"For tests and demonstrations; refused in production"`
}

// Server is where and for whom the process listens.
type Server struct {
	Port           int      `env:"PORT" envDefault:"3000" doc:"Port of REST, sockets and pages. 0 takes a free one, which is logged."`
	PublicHosts    []string `env:"PUBLIC_HOSTS" doc:"Host names under which pages, share links and sockets are served, by comma. Empty: the name of the request (dev: localhost, 127.0.0.1 and 10.0.2.2)."`
	AllowedOrigins []string `env:"ALLOWED_ORIGINS" doc:"Origins of browsers that may call the API and open sockets, by comma. Apps send none and are not affected."`
	CORSOrigin     []string `env:"CORS_ORIGIN" doc:"Older name of ALLOWED_ORIGINS; used when that is empty."`
	TrustedHops    int      `env:"TRUSTED_HOPS" envDefault:"-1" doc:"Number of proxies in front whose X-Forwarded-For entry is believed, counted from the right. -1: 1 on ECS (the load balancer), otherwise 0."`
	MapStyleURL    string   `env:"MAP_STYLE_URL" doc:"MapLibre style of the live map's base map. Empty: names and lanes on a plain ground."`
}

// Store is where state is kept.
type Store struct {
	DatabaseURL  DSN           `env:"DATABASE_URL" doc:"Postgres, e.g. postgres://user:password@host:5432/weelo. Needed by serve. What must never be lost."`
	RedisURL     DSN           `env:"REDIS_URL" doc:"Redis, e.g. rediss://host:6379; single and cluster mode are found by themselves. Needed by serve. What may be rebuilt."`
	RedisTimeout time.Duration `env:"REDIS_TIMEOUT" envDefault:"500ms" doc:"How long one command to Redis may take, 50ms to 5s; a batch of them four times as long. What only reads is tried twice. Shorter answers sooner when Redis hangs, longer refuses fewer logins when it is slow."`
	Migrate      string        `env:"MIGRATE" envDefault:"on" doc:"on: serve migrates at the start, under a lock. off: serve refuses an old schema instead."`
}

// Secrets sign and hide.
type Secrets struct {
	JWT        Secret `env:"JWT_SECRET" doc:"Signs access tokens (HS256). At least 32 bytes; needed by serve."`
	JWTRefresh Secret `env:"JWT_REFRESH_SECRET" doc:"Signs refresh tokens (HS256). At least 32 bytes, different from JWT_SECRET; needed by serve."`
	// The next two serve both steps of a rotation: docs/rotation.md.
	JWTPrevious        Secret `env:"JWT_SECRET_PREVIOUS" doc:"Another key whose access tokens are accepted: in a rotation the next one, then the one before. At least 32 bytes."`
	JWTRefreshPrevious Secret `env:"JWT_REFRESH_SECRET_PREVIOUS" doc:"The same for refresh tokens. Keep it for 90 days, the life of a session."`
	Pepper             Secret `env:"OTP_PEPPER" doc:"Keys the stored hashes of one-time codes. At least 32 bytes. Empty: derived from JWT_REFRESH_SECRET."`
	PepperPrevious     Secret `env:"OTP_PEPPER_PREVIOUS" doc:"The pepper before the last rotation; codes sent under it still work."`
}

// SMS is how a code reaches a phone.
type SMS struct {
	Provider string `env:"SMS_PROVIDER" doc:"msg91, twilio, aws-sns, console (prints; default of dev) or file:PATH (one JSON line a message; refused in production). Default: msg91 when a key is set."`
	Fallback string `env:"SMS_FALLBACK_PROVIDER" doc:"msg91, twilio or aws-sns: asked for what SMS_PROVIDER certainly did not take, because it is left alone after failures or refused. Empty: nobody is."`
	APIKey   Secret `env:"SMS_API_KEY" doc:"Key of MSG91, or token of Twilio when that is SMS_PROVIDER, if its own name is absent."`
	// What MSG91 keeps by an id of its own, with the DLT id in its panel.
	MSG91AuthKey    Secret `env:"MSG91_AUTH_KEY" doc:"Key of MSG91."`
	MSG91SenderID   string `env:"MSG91_SENDER_ID" envDefault:"WEELO" doc:"Sender shown on the phone: the DLT header."`
	MSG91TemplateID string `env:"MSG91_TEMPLATE_ID" doc:"MSG91's id of the template of a login (docs/sms.md lists the texts)."`
	MSG91Captain    string `env:"MSG91_TEMPLATE_ID_CAPTAIN" doc:"The same for the Captain app, when its SMS Retriever hash is another. Empty: MSG91_TEMPLATE_ID."`
	MSG91Driver     string `env:"MSG91_TEMPLATE_ID_DRIVER" doc:"MSG91's id of the template that tells a transporter which driver logs in. Empty: MSG91_TEMPLATE_ID, which does not say; the start warns."`
	MSG91Onboard    string `env:"MSG91_TEMPLATE_ID_ONBOARD" doc:"MSG91's id of the template that asks a driver into a fleet. Empty: as before."`
	MSG91Accepted   string `env:"MSG91_TEMPLATE_ID_ACCEPTED" doc:"MSG91's id of the template for NOTICE_SMS with the variables driver and vehicle."`
	MSG91Expired    string `env:"MSG91_TEMPLATE_ID_EXPIRED" doc:"The same with the variables from and to."`
	MSG91BaseURL    string `env:"MSG91_BASE_URL" envDefault:"https://control.msg91.com" doc:"Where MSG91 is reached."`
	TwilioSID       string `env:"TWILIO_ACCOUNT_SID" doc:"Account of Twilio: AC and 32 hexadecimal digits."`
	TwilioToken     Secret `env:"TWILIO_AUTH_TOKEN" doc:"Its token."`
	TwilioFrom      string `env:"TWILIO_PHONE_NUMBER" doc:"Whom its messages come from: a number with +, a registered header, or a messaging service (MG…). Twilio knows DLT templates by their words."`
	TwilioBaseURL   string `env:"TWILIO_BASE_URL" envDefault:"https://api.twilio.com" doc:"Where Twilio is reached."`
	// AWS finds its credentials by itself: the task's role, the environment, a file.
	SNSRegion  string `env:"AWS_SNS_REGION" envDefault:"ap-south-1" doc:"Region of AWS SNS: ap-south-1 or ap-south-2, from where alone messages take India's own routes. Credentials are the task's role, or AWS's usual ones."`
	SNSHeader  string `env:"AWS_SNS_SENDER_ID" doc:"Sender shown on the phone by AWS SNS: the DLT header, six letters."`
	SNSBaseURL string `env:"AWS_SNS_BASE_URL" doc:"Where AWS SNS is reached. Empty: AWS's own address."`
	// The register's own ids, which AWS SNS is told with every message.
	DLTEntity   string `env:"DLT_ENTITY_ID" doc:"Your entity (PE) in the DLT register; needed by aws-sns."`
	DLTLogin    string `env:"DLT_TEMPLATE_ID" doc:"The register's id of the template of a login; needed by aws-sns (docs/sms.md lists the texts)."`
	DLTCaptain  string `env:"DLT_TEMPLATE_ID_CAPTAIN" doc:"The same for the Captain app; needed by aws-sns when its SMS Retriever hash is another."`
	DLTDriver   string `env:"DLT_TEMPLATE_ID_DRIVER" doc:"The same for a driver's login; needed by aws-sns."`
	DLTOnboard  string `env:"DLT_TEMPLATE_ID_ONBOARD" doc:"The same for a driver who is asked into a fleet; needed by aws-sns."`
	DLTAccepted string `env:"DLT_TEMPLATE_ID_ACCEPTED" doc:"The same for an accepted order; needed by aws-sns with NOTICE_SMS."`
	DLTExpired  string `env:"DLT_TEMPLATE_ID_EXPIRED" doc:"The same for an order without a truck; needed by aws-sns with NOTICE_SMS."`

	DailyBudget int `env:"SMS_DAILY_BUDGET" envDefault:"20000" doc:"Codes that may be sent a day. Beyond them only devices that have logged in lately get any; four fifths are an alarm (docs/limits.md)."`

	ReportURL    string `env:"SMS_REPORT_URL" doc:"Where Twilio reaches this service with delivery reports, e.g. https://api.example.org. Empty: it is not asked for any."`
	ReportSecret Secret `env:"SMS_REPORT_SECRET" doc:"What MSG91's webhook must know to bring delivery reports; at least 32 bytes. Empty: none are taken (docs/sms.md)."`

	Notices       bool   `env:"NOTICE_SMS" envDefault:"false" doc:"true sends customers a text when a driver accepts and when no truck was found."`
	Retriever     string `env:"SMS_RETRIEVER_HASH" doc:"11-character hash with which Android reads the code by itself, for both apps."`
	RetrieverCust string `env:"SMS_RETRIEVER_HASH_CUSTOMER" doc:"The same for the customer app alone."`
	RetrieverCapt string `env:"SMS_RETRIEVER_HASH_CAPTAIN" doc:"The same for the Captain app alone."`
}

// Push is how a sleeping phone is woken.
type Push struct {
	Provider    string `env:"PUSH_PROVIDER" doc:"fcm, none or file:PATH (one JSON line a message; refused in production). Default: fcm when FIREBASE_SERVICE_ACCOUNT_PATH or FIREBASE_PRIVATE_KEY is set, otherwise none."`
	AccountPath string `env:"FIREBASE_SERVICE_ACCOUNT_PATH" doc:"The JSON file of the Google service account that sends. Or the three variables after it."`
	Project     string `env:"FIREBASE_PROJECT_ID" doc:"The Firebase project, without the file."`
	Email       string `env:"FIREBASE_CLIENT_EMAIL" doc:"The service account, without the file."`
	PrivateKey  Secret `env:"FIREBASE_PRIVATE_KEY" doc:"Its private key as PEM, without the file; line ends may be written as \\n."`
	BaseURL     string `env:"FCM_BASE_URL" envDefault:"https://fcm.googleapis.com" doc:"Where FCM is reached."`
	TokenURL    string `env:"FIREBASE_TOKEN_URL" doc:"Where access tokens are got. Empty: the file's, or Google's."`
}

// Sends tells whether push messages are sent at all.
func (p Push) Sends() bool { return p.Provider != "" && p.Provider != "none" }

// Login bounds who may come in, and how often.
type Login struct {
	OpsPhones   []string `env:"OPS_PHONES" doc:"Phones that may log in with role ops, by comma."`
	OTPLength   int      `env:"OTP_LENGTH" envDefault:"6" doc:"Digits of a code. The apps expect 6; nothing else is accepted."`
	OTPMinutes  int      `env:"OTP_EXPIRY_MINUTES" envDefault:"5" doc:"Minutes a code is good for, 1 to 10."`
	AccessLife  Duration `env:"JWT_EXPIRES_IN" envDefault:"1h" doc:"Life of an access token, 5m to 24h."`
	RefreshIdle Duration `env:"JWT_REFRESH_EXPIRES_IN" envDefault:"30d" doc:"A refresh token unused for this long is dead; 1h to 90d."`
}

// Dispatch is the tempo of the domain. TIME_SCALE divides its waits.
type Dispatch struct {
	SearchSeconds     int      `env:"BROADCAST_TIMEOUT_SECONDS" envDefault:"120" doc:"Seconds an order searches for trucks before it is extended by confirmations, 10 to 3600."`
	FirstExtension    int      `env:"SEARCH_EXTENSION_FIRST_SECONDS" envDefault:"60" doc:"Seconds the first confirmed truck adds to the search, 0 to 600."`
	NextExtension     int      `env:"SEARCH_EXTENSION_NEXT_SECONDS" envDefault:"30" doc:"Seconds each further confirmed truck adds, 0 to 600."`
	WaveRadiiKM       []int    `env:"WAVE_RADII_KM" envDefault:"5,10,15,30,60,100" doc:"Radius of each wave of a search in km, rising, by comma; 1 to 12 of them, 1 to 500 each."`
	WaveSeconds       []int    `env:"WAVE_SECONDS" envDefault:"10,10,15,15,15,15" doc:"Seconds each wave waits before the next, as many as WAVE_RADII_KM, 1 to 600 each."`
	WaveNotify        int      `env:"WAVE_NOTIFY_MAX" envDefault:"100" doc:"Transporters that one wave is shown to at most, 1 to 250."`
	OpenOffers        int      `env:"OPEN_OFFERS_MAX" envDefault:"20" doc:"Orders shown to one transporter at a time, 1 to 200."`
	Scoring           bool     `env:"MATCH_SCORING" envDefault:"false" doc:"true ranks candidates by ETA, acceptance, response time and rating; false by ETA alone."`
	RequireKYC        bool     `env:"REQUIRE_KYC" envDefault:"false" doc:"true shows orders only to transporters whose papers were verified."`
	HoldSeconds       int      `env:"HOLD_SECONDS" envDefault:"90" doc:"Seconds a transporter holds trucks of an order, 10 to 600."`
	HoldExtension     int      `env:"HOLD_EXTENSION_SECONDS" envDefault:"30" doc:"Seconds one extension adds to a hold, 0 to 300."`
	HoldExtensions    int      `env:"HOLD_EXTENSIONS_MAX" envDefault:"2" doc:"Extensions of one hold, 0 to 10."`
	HoldMaxSeconds    int      `env:"HOLD_MAX_SECONDS" envDefault:"130" doc:"Seconds a hold lasts at most, its extensions included; HOLD_SECONDS to 1800."`
	AcceptSeconds     int      `env:"DRIVER_ACCEPT_TIMEOUT_SECONDS" envDefault:"45" doc:"Seconds a driver has to accept a trip, 10 to 600."`
	PODCode           bool     `env:"POD_OTP" envDefault:"false" doc:"true asks the driver for a code that the customer was given before a delivery counts."`
	RebookSeconds     int      `env:"REBOOK_COOLDOWN_SECONDS" envDefault:"15" doc:"Seconds after a cancelled order before its customer may book again, 0 to 600."`
	RebookLongSeconds int      `env:"REBOOK_COOLDOWN_REPEATED_SECONDS" envDefault:"120" doc:"The same after repeated cancellations, 0 to 3600."`
	ScheduledLead     Duration `env:"SCHEDULED_BROADCAST_LEAD" envDefault:"2h" doc:"How long before its pickup a scheduled order begins to search, 1m to 7d."`
}

// Ops is how the process is watched and stopped.
type Ops struct {
	AppEnv      string        `env:"APP_ENV" doc:"production refuses weak secrets and everything made for tests."`
	NodeEnv     string        `env:"NODE_ENV" doc:"Older name of APP_ENV; production in either counts."`
	LogLevel    string        `env:"LOG_LEVEL" envDefault:"info" doc:"debug, info, warn or error."`
	AdminAddr   string        `env:"ADMIN_ADDR" envDefault:"127.0.0.1:6060" doc:"Where /metrics and /debug/pprof are served; port 0 takes a free one, which is logged; off: nowhere. To be asked by address, or as localhost; 403 by any other name."`
	DrainDelay  time.Duration `env:"DRAIN_DELAY" envDefault:"-1s" doc:"How long a stopping process goes on serving after its readiness fails, so that the load balancer notices. -1s: 15s on ECS, otherwise none."`
	StopTimeout time.Duration `env:"STOP_TIMEOUT" envDefault:"110s" doc:"Hard limit of an orderly stop; below the stopTimeout of the task (120 s)."`
	AuditKeep   int           `env:"AUDIT_KEEP_DAYS" envDefault:"400" doc:"Days that rows of the audit log are kept, 365 to 3650 (docs/admin.md)."`
	ECSMetadata string        `env:"ECS_CONTAINER_METADATA_URI_V4" doc:"Set by ECS itself: tells that this is a task."`
}

// Tests are switches that no production process may have.
type Tests struct {
	TimeScale      float64 `env:"TIME_SCALE" envDefault:"1" doc:"Divides the waits of the dispatch domain and multiplies its speed thresholds; touches nothing that talks to a device or person."`
	LoginTimeScale float64 `env:"LOGIN_TIME_SCALE" envDefault:"1" doc:"The same for the life of codes and tokens, cool-downs and login limits only."`
	Limits         string  `env:"LIMITS" envDefault:"on" doc:"off lifts rate and socket limits, for benches and simulations."`
}

// Duration is a time.Duration that also understands days ("30d"), as operators write it.
type Duration time.Duration

// UnmarshalText reads "90s", "1h30m" or "30d".
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("%q is not a number of days", s)
		}
		*d = Duration(time.Duration(n) * 24 * time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	*d = Duration(v)
	return err
}

// D gives the standard type.
func (d Duration) D() time.Duration { return time.Duration(d) }

// Load reads the given environment (os.Environ()) and reports every value that cannot be read.
// Whether the values make sense for a command is asked with Serve, Dev or Database.
func Load(environ []string) (Config, error) {
	var c Config
	vars := env.ToMap(environ)
	for k, v := range vars { // an empty variable is an absent one: task templates leave them empty
		if strings.TrimSpace(v) == "" {
			delete(vars, k)
		}
	}
	err := env.ParseWithOptions(&c, env.Options{Environment: vars})
	if err != nil {
		var all env.AggregateError
		if errors.As(err, &all) {
			problems := make(Problems, 0, len(all.Errors))
			for _, e := range all.Errors {
				problems = append(problems, nameProblem(e))
			}
			return c, problems
		}
		return c, err
	}
	if len(c.Server.AllowedOrigins) == 0 {
		c.Server.AllowedOrigins = c.Server.CORSOrigin
	}
	c.settle()
	return c, nil
}

// settle fills in what depends on where the process runs.
func (c *Config) settle() {
	if c.Server.TrustedHops == -1 {
		c.Server.TrustedHops = 0
		if c.OnECS() {
			c.Server.TrustedHops = 1
		}
	}
	if c.Ops.DrainDelay < 0 {
		c.Ops.DrainDelay = 0
		if c.OnECS() {
			c.Ops.DrainDelay = 15 * time.Second
		}
	}
	if c.SMS.Provider == "" && (c.SMS.APIKey != "" || c.SMS.MSG91AuthKey != "") {
		c.SMS.Provider = "msg91"
	}
	switch {
	case c.SMS.Provider == "twilio" && c.SMS.TwilioToken == "":
		c.SMS.TwilioToken = c.SMS.APIKey
	case c.SMS.MSG91AuthKey == "":
		c.SMS.MSG91AuthKey = c.SMS.APIKey
	}
	if p := &c.Push; p.Provider == "" && (p.AccountPath != "" || p.PrivateKey != "") {
		p.Provider = "fcm"
	}
	if c.SMS.RetrieverCust == "" {
		c.SMS.RetrieverCust = c.SMS.Retriever
	}
	if c.SMS.RetrieverCapt == "" {
		c.SMS.RetrieverCapt = c.SMS.Retriever
	}
}

// nameProblem finds the variable behind a field that could not be read.
func nameProblem(err error) Problem {
	var pe env.ParseError
	if errors.As(err, &pe) {
		for _, v := range Variables() {
			if v.Field == pe.Name {
				return Problem{v.Name, "cannot be read: " + pe.Err.Error()}
			}
		}
		return Problem{pe.Name, pe.Err.Error()}
	}
	return Problem{"environment", err.Error()}
}

// Production tells whether everything made for tests is refused: either name is enough, so that no
// other value of the one can take the guard of the other away.
func (c Config) Production() bool {
	return strings.EqualFold(c.Ops.AppEnv, "production") || strings.EqualFold(c.Ops.NodeEnv, "production")
}

// OnECS tells whether the process is a task of AWS ECS.
func (c Config) OnECS() bool { return c.Ops.ECSMetadata != "" }

// LimitsOff tells whether rate and socket limits are lifted.
func (c Config) LimitsOff() bool { return strings.EqualFold(c.Tests.Limits, "off") }

// Level is the log level; Info when LOG_LEVEL is not one (Validate has said so).
func (c Config) Level() slog.Level {
	var l slog.Level
	if l.UnmarshalText([]byte(c.Ops.LogLevel)) != nil {
		return slog.LevelInfo
	}
	return l
}
