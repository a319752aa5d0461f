package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	keyA = "kJ8vQm2ZrT5xW9bN4cL7pD1fG6hS3yUa0eRi"
	keyB = "Zp4Xc7Vb1Nm8Lk5Jh2Gf9Ds6Aq3We0Rt7YuI"
)

func load(t *testing.T, vars ...string) Config {
	t.Helper()
	c, err := Load(vars)
	if err != nil {
		t.Fatalf("Load(%v): %v", vars, err)
	}
	return c
}

func good(more ...string) []string {
	return append([]string{
		"DATABASE_URL=postgres://weelo:hunter2@db:5432/weelo", "REDIS_URL=rediss://cache:6379",
		"JWT_SECRET=" + keyA, "JWT_REFRESH_SECRET=" + keyB,
		"SMS_API_KEY=k1", "MSG91_TEMPLATE_ID=t1",
	}, more...)
}

func variables(t *testing.T, err error) []string {
	t.Helper()
	var ps Problems
	if !errors.As(err, &ps) {
		t.Fatalf("%v (%T) is no Problems", err, err)
	}
	var names []string
	for _, p := range ps {
		names = append(names, p.Variable)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func TestTheOperatorsEnvironmentStarts(t *testing.T) {
	t.Parallel()
	c := load(t, good("NODE_ENV=production", "PORT=3000")...)
	if err := c.Serve(); err != nil {
		t.Fatal(err)
	}
	if c.SMS.Provider != "msg91" || string(c.SMS.MSG91AuthKey.Reveal()) != "k1" {
		t.Errorf("SMS_API_KEY alone must choose msg91, got %q", c.SMS.Provider)
	}
	if !c.Production() || c.Server.TrustedHops != 0 || c.Ops.DrainDelay != 0 {
		t.Errorf("unexpected: production=%v hops=%d drain=%v", c.Production(), c.Server.TrustedHops, c.Ops.DrainDelay)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	t.Parallel()
	c := load(t, "APP_ENV=production", "JWT_SECRET=short", "JWT_REFRESH_SECRET=short", "SMS_PROVIDER=file:/tmp/x",
		"TIME_SCALE=10", "LOGIN_TIME_SCALE=2", "LIMITS=off", "LOG_LEVEL=loud", "PORT=70000", "MIGRATE=maybe",
		"ADMIN_ADDR=0.0.0.0:6060", "OPS_PHONES=12", "ALLOWED_ORIGINS=not an origin", "OTP_LENGTH=4", "JWT_EXPIRES_IN=1s")
	want := []string{"ADMIN_ADDR", "ALLOWED_ORIGINS", "DATABASE_URL", "JWT_EXPIRES_IN", "JWT_REFRESH_SECRET", "JWT_SECRET", "LIMITS",
		"LOGIN_TIME_SCALE", "LOG_LEVEL", "MIGRATE", "OPS_PHONES", "OTP_LENGTH", "PORT", "REDIS_URL", "SMS_PROVIDER", "TIME_SCALE"}
	if got := variables(t, c.Serve()); !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if strings.Contains(c.Serve().Error(), "short is") {
		t.Error("a secret is in the message")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		env  []string
		want string // the variable refused; "" for none
	}{
		{"good", good("APP_ENV=production"), ""},
		{"equal secrets", good("JWT_REFRESH_SECRET=" + keyA), "JWT_REFRESH_SECRET"},
		{"pepper equal to a key", good("OTP_PEPPER=" + keyB), "OTP_PEPPER"},
		{"previous key equal to the current", good("JWT_SECRET_PREVIOUS=" + keyA), "JWT_SECRET_PREVIOUS"},
		{"previous refresh key equal to an access key", good("JWT_REFRESH_SECRET_PREVIOUS=" + keyA), "JWT_REFRESH_SECRET_PREVIOUS"},
		{"previous key too short", good("JWT_SECRET_PREVIOUS=short"), "JWT_SECRET_PREVIOUS"},
		{"weak previous key in production", good("APP_ENV=production", "JWT_REFRESH_SECRET_PREVIOUS="+strings.Repeat("ab", 20)), "JWT_REFRESH_SECRET_PREVIOUS"},
		{"placeholder in production", good("APP_ENV=production", "JWT_SECRET=please-changeme-please-changeme-0123"), "JWT_SECRET"},
		{"placeholder elsewhere", good("JWT_SECRET=please-changeme-please-changeme-0123"), ""},
		{"monotonous in production", good("APP_ENV=production", "JWT_SECRET="+strings.Repeat("ab", 20)), "JWT_SECRET"},
		{"console in production by its older name", good("APP_ENV=staging", "NODE_ENV=production", "SMS_PROVIDER=console"), "SMS_PROVIDER"},
		{"console in production", good("APP_ENV=production", "SMS_PROVIDER=console"), "SMS_PROVIDER"},
		{"unknown provider", good("SMS_PROVIDER=pigeon"), "SMS_PROVIDER"},
		{"twilio without an account", good("SMS_PROVIDER=twilio", "TWILIO_AUTH_TOKEN=t", "TWILIO_PHONE_NUMBER=+15005550006"), "TWILIO_ACCOUNT_SID"},
		{"twilio without a token", good("SMS_API_KEY=", "SMS_PROVIDER=twilio", "TWILIO_ACCOUNT_SID="+twilioSID, "TWILIO_PHONE_NUMBER=+15005550006"), "TWILIO_AUTH_TOKEN"},
		{"twilio with the key of the chosen provider", good("SMS_PROVIDER=twilio", "TWILIO_ACCOUNT_SID="+twilioSID, "TWILIO_PHONE_NUMBER=+15005550006"), ""},
		{"twilio without a sender", good("SMS_PROVIDER=twilio", "TWILIO_ACCOUNT_SID="+twilioSID, "TWILIO_AUTH_TOKEN=t"), "TWILIO_PHONE_NUMBER"},
		{"twilio", good("SMS_PROVIDER=twilio", "TWILIO_ACCOUNT_SID="+twilioSID, "TWILIO_AUTH_TOKEN=t", "TWILIO_PHONE_NUMBER=+15005550006"), ""},
		{"fallback without an account", good("SMS_FALLBACK_PROVIDER=twilio", "TWILIO_AUTH_TOKEN=t", "TWILIO_PHONE_NUMBER=+15005550006"), "TWILIO_ACCOUNT_SID"},
		{"fallback on itself", good("SMS_FALLBACK_PROVIDER=msg91"), "SMS_FALLBACK_PROVIDER"},
		{"fallback to the console", good("SMS_FALLBACK_PROVIDER=console"), "SMS_FALLBACK_PROVIDER"},
		{"file without a path", good("SMS_PROVIDER=file:"), "SMS_PROVIDER"},
		{"msg91 without template", good("MSG91_TEMPLATE_ID="), "MSG91_TEMPLATE_ID"},
		{"msg91 in clear in production", good("APP_ENV=production", "MSG91_BASE_URL=http://x"), "MSG91_BASE_URL"},
		{"texts without templates", good("NOTICE_SMS=true", "MSG91_TEMPLATE_ID_ACCEPTED=a"), "NOTICE_SMS"},
		{"texts with templates", good("NOTICE_SMS=true", "MSG91_TEMPLATE_ID_ACCEPTED=a", "MSG91_TEMPLATE_ID_EXPIRED=b"), ""},
		{"push by an account", good("APP_ENV=production", "FIREBASE_SERVICE_ACCOUNT_PATH=/run/account.json"), ""},
		{"push by variables", good("FIREBASE_PROJECT_ID=p", "FIREBASE_CLIENT_EMAIL=e", "FIREBASE_PRIVATE_KEY=k"), ""},
		{"a project alone sends nothing", good("FIREBASE_PROJECT_ID=p"), ""},
		{"a key alone is no account", good("FIREBASE_PRIVATE_KEY=k"), "FIREBASE_SERVICE_ACCOUNT_PATH"},
		{"push without an account", good("PUSH_PROVIDER=fcm"), "FIREBASE_SERVICE_ACCOUNT_PATH"},
		{"no push", good("PUSH_PROVIDER=none", "FIREBASE_PRIVATE_KEY=k"), ""},
		{"unknown push provider", good("PUSH_PROVIDER=pigeon"), "PUSH_PROVIDER"},
		{"push into a file", good("PUSH_PROVIDER=file:/tmp/x"), ""},
		{"push into a file in production", good("APP_ENV=production", "PUSH_PROVIDER=file:/tmp/x"), "PUSH_PROVIDER"},
		{"push in clear in production", good("APP_ENV=production", "FIREBASE_SERVICE_ACCOUNT_PATH=x", "FCM_BASE_URL=http://x"), "FCM_BASE_URL"},
		{"retriever hash", good("SMS_RETRIEVER_HASH_CAPTAIN=abc"), "SMS_RETRIEVER_HASH_CAPTAIN"},
		{"no time for Redis", good("REDIS_TIMEOUT=10ms"), "REDIS_TIMEOUT"},
		{"too much time for Redis", good("REDIS_TIMEOUT=6s"), "REDIS_TIMEOUT"},
		{"less time for Redis", good("REDIS_TIMEOUT=250ms"), ""},
		{"scale of zero", good("TIME_SCALE=0"), "TIME_SCALE"},
		{"scale not a number", good("LOGIN_TIME_SCALE=NaN"), "LOGIN_TIME_SCALE"},
		{"hops", good("TRUSTED_HOPS=11"), "TRUSTED_HOPS"},
		{"host with a path", good("PUBLIC_HOSTS=a/b"), "PUBLIC_HOSTS"},
		{"hosts by a pattern", good("PUBLIC_HOSTS=*.weelo.example"), "PUBLIC_HOSTS"},
		{"map style", good("MAP_STYLE_URL=style.json"), "MAP_STYLE_URL"},
		{"admin off", good("ADMIN_ADDR=off"), ""},
		{"admin without port", good("ADMIN_ADDR=localhost"), "ADMIN_ADDR"},
		{"limits", good("LIMITS=some"), "LIMITS"},
		{"no messages a day", good("SMS_DAILY_BUDGET=0"), "SMS_DAILY_BUDGET"},
		{"messages without end", good("SMS_DAILY_BUDGET=1000000001"), "SMS_DAILY_BUDGET"},
		{"few messages", good("SMS_DAILY_BUDGET=500"), ""},
		{"an audit log of less than a year", good("AUDIT_KEEP_DAYS=364"), "AUDIT_KEEP_DAYS"},
		{"an audit log of a year", good("AUDIT_KEEP_DAYS=365"), ""},
		{"an audit log for ever", good("AUDIT_KEEP_DAYS=3651"), "AUDIT_KEEP_DAYS"},
		{"mysql", good("DATABASE_URL=mysql://x/y"), "DATABASE_URL"},
		{"stop timeout", good("STOP_TIMEOUT=10m"), "STOP_TIMEOUT"},
		{"waves that do not widen", good("WAVE_RADII_KM=5,5", "WAVE_SECONDS=10,10"), "WAVE_RADII_KM"},
		{"waves without their waits", good("WAVE_RADII_KM=5,10"), "WAVE_SECONDS"},
		{"one wave of its own", good("WAVE_RADII_KM=25", "WAVE_SECONDS=20"), ""},
		{"hold above its limit", good("HOLD_SECONDS=200"), "HOLD_MAX_SECONDS"},
		{"search time", good("BROADCAST_TIMEOUT_SECONDS=1"), "BROADCAST_TIMEOUT_SECONDS"},
		{"lead", good("SCHEDULED_BROADCAST_LEAD=1s"), "SCHEDULED_BROADCAST_LEAD"},
		{"accept timeout", good("DRIVER_ACCEPT_TIMEOUT_SECONDS=5"), "DRIVER_ACCEPT_TIMEOUT_SECONDS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := load(t, tt.env...).Serve()
			if tt.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := variables(t, err); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("refused %v, want %s", got, tt.want)
			}
		})
	}
}

func TestUnreadableValuesAreAllNamed(t *testing.T) {
	t.Parallel()
	_, err := Load([]string{"PORT=http", "TIME_SCALE=fast", "JWT_REFRESH_EXPIRES_IN=xd", "STOP_TIMEOUT=soon"})
	want := []string{"JWT_REFRESH_EXPIRES_IN", "PORT", "STOP_TIMEOUT", "TIME_SCALE"}
	if got := variables(t, err); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDevStaysOffProductionAndECS(t *testing.T) {
	t.Parallel()
	if err := load(t).Dev(); err != nil {
		t.Errorf("an empty environment: %v", err)
	}
	for _, v := range []string{"NODE_ENV=production", "ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/x"} {
		if load(t, v).Dev() == nil {
			t.Errorf("dev starts with %s", v)
		}
	}
	if load(t, good("APP_ENV=production")...).Seed() == nil {
		t.Error("seed runs in production")
	}
	if err := load(t, good()...).Seed(); err != nil {
		t.Error(err)
	}
	if load(t).Database() == nil {
		t.Error("migrate runs without DATABASE_URL")
	}
}

func TestWhereItRunsDecidesDefaults(t *testing.T) {
	t.Parallel()
	c := load(t, good("ECS_CONTAINER_METADATA_URI_V4=http://x", "CORS_ORIGIN=https://ops.example.org", "SMS_RETRIEVER_HASH=abcdefghij1")...)
	if c.Server.TrustedHops != 1 || c.Ops.DrainDelay != 15*time.Second {
		t.Errorf("on ECS: hops %d, drain %v", c.Server.TrustedHops, c.Ops.DrainDelay)
	}
	if !slices.Equal(c.Server.AllowedOrigins, []string{"https://ops.example.org"}) {
		t.Errorf("CORS_ORIGIN is not honoured: %v", c.Server.AllowedOrigins)
	}
	if c.SMS.RetrieverCapt != "abcdefghij1" || c.SMS.RetrieverCust != "abcdefghij1" {
		t.Error("SMS_RETRIEVER_HASH must reach both apps")
	}
	if c.Login.RefreshIdle.D() != 30*24*time.Hour {
		t.Errorf("30d reads as %v", c.Login.RefreshIdle.D())
	}
}

func TestSecretsCannotBePrinted(t *testing.T) {
	t.Parallel()
	c := load(t, good("OTP_PEPPER=pepperpepperpepperpepperpepper12", "FIREBASE_PRIVATE_KEY=firekey")...)
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v", c, c), c.Store.DatabaseURL.LogValue().String(), c.Secrets.JWT.LogValue().String()} {
		for _, s := range []string{keyA, keyB, "hunter2", "pepperpepper", "firekey"} {
			if strings.Contains(text, s) {
				t.Errorf("%q is printed: %s", s, text)
			}
		}
	}
	if strings.Contains(string(j), keyA) || strings.Contains(string(j), "hunter2") {
		t.Error("a secret is in the JSON")
	}
}

func TestPepperIsDerivedAndDiffers(t *testing.T) {
	t.Parallel()
	p, err := DerivePepper(keyB)
	if err != nil || len(p) != MinSecretBytes || p == keyB {
		t.Fatalf("DerivePepper: %d bytes, %v", len(p), err)
	}
	again, _ := DerivePepper(keyB)
	other, _ := DerivePepper(keyA)
	if p != again || p == other {
		t.Error("the pepper must be a function of the secret")
	}
	if _, err := DerivePepper(""); err == nil {
		t.Error("nothing gives a pepper")
	}
}

// A code in flight survives the rotation of the secret that its pepper is derived from.
func TestDerivedPeppersRotateWithTheSecret(t *testing.T) {
	t.Parallel()
	before, err := Secrets{JWTRefresh: keyA}.WithPeppers()
	if err != nil || before.Pepper == "" || before.PepperPrevious != "" {
		t.Fatalf("%v, %v", before.PepperPrevious == "", err)
	}
	after, err := Secrets{JWTRefresh: keyB, JWTRefreshPrevious: keyA}.WithPeppers()
	if err != nil || after.PepperPrevious != before.Pepper || after.Pepper == before.Pepper {
		t.Errorf("the old pepper is not the previous one: %v", err)
	}
	own, err := Secrets{JWTRefresh: keyB, JWTRefreshPrevious: keyA, Pepper: "own"}.WithPeppers()
	if err != nil || own.Pepper != "own" || own.PepperPrevious != "" {
		t.Errorf("a pepper of its own is left alone: %v", err)
	}
	if _, err := (Secrets{}).WithPeppers(); err == nil {
		t.Error("nothing gives a pepper")
	}
}

const twilioSID = "AC0123456789abcdef0123456789abcdef"

func TestUnusedNamesAreTold(t *testing.T) {
	t.Parallel()
	got := UnusedIn([]string{"TRUSTED_PROXY_CIDRS=x", "PORT=1", "GOOGLE_MAPS_API_KEY=", "BOOKING_CONCURRENCY_LIMIT=200"})
	if !slices.Equal(got, []string{"BOOKING_CONCURRENCY_LIMIT", "TRUSTED_PROXY_CIDRS"}) {
		t.Errorf("got %v", got)
	}
}

// TestDocsAreGenerated fails when docs/configuration.md or .env.example is older than the structs.
func TestDocsAreGenerated(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{"../../docs/configuration.md": Markdown(), "../../.env.example": DotEnv()} {
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not up to date; run make generate (%v)", path, err)
		}
	}
	for _, v := range Variables() {
		if v.Name == "" || v.Doc == "" || v.Group == "" {
			t.Errorf("%s has no name or no sentence", v.Field)
		}
	}
}
