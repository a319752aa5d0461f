package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Problem is one thing that is wrong, by the name of its variable.
type Problem struct{ Variable, What string }

// Problems is everything that is wrong at once. As an error it is one readable list.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Variable + ": " + p.What
	}
	return fmt.Sprintf("%d problem(s) with the configuration: %s", len(ps), strings.Join(lines, "; "))
}

func (ps *Problems) addf(variable, format string, args ...any) {
	*ps = append(*ps, Problem{variable, fmt.Sprintf(format, args...)})
}

func (ps Problems) orNil() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}

// Serve reports everything that keeps `weelo serve` from starting, as Problems.
func (c Config) Serve() error {
	var ps Problems
	c.common(&ps)
	c.database(&ps)
	if !isURL(string(c.Store.RedisURL), "redis", "rediss") {
		ps.addf("REDIS_URL", "needed: redis://host:6379 or rediss://host:6379")
	}
	c.secrets(&ps)
	if c.SMS.Provider == "" {
		ps.addf("SMS_PROVIDER", "needed: set SMS_API_KEY (or MSG91_AUTH_KEY), or SMS_PROVIDER=console to print codes")
	}
	if c.Production() {
		c.production(&ps)
	}
	return ps.orNil()
}

// Dev reports everything that keeps `weelo dev` from starting. Its secrets and stores are its own.
func (c Config) Dev() error {
	var ps Problems
	c.common(&ps)
	if c.Production() {
		ps.addf("APP_ENV", "is production: weelo dev keeps its data in SQLite beside generated secrets; use weelo serve")
	}
	if c.OnECS() {
		ps.addf("ECS_CONTAINER_METADATA_URI_V4", "this is an ECS task, whose disk does not last: weelo dev refuses to keep data on it; use weelo serve")
	}
	return ps.orNil()
}

// Database reports what keeps a command that only needs Postgres from starting.
func (c Config) Database() error {
	var ps Problems
	c.database(&ps)
	return ps.orNil()
}

// Seed reports what keeps `weelo seed` from writing a demo world into a serve's stores.
func (c Config) Seed() error {
	var ps Problems
	c.database(&ps)
	c.secrets(&ps)
	if c.Production() {
		ps.addf("APP_ENV", "is production: a demo world is not put into it")
	}
	return ps.orNil()
}

func (c Config) database(ps *Problems) {
	if !isURL(string(c.Store.DatabaseURL), "postgres", "postgresql") {
		ps.addf("DATABASE_URL", "needed: postgres://user:password@host:5432/database")
	}
}

func isURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme)
}

func (c Config) secrets(ps *Problems) {
	named := []struct {
		name     string
		value    Secret
		optional bool
	}{
		{"JWT_SECRET", c.Secrets.JWT, false},
		{"JWT_REFRESH_SECRET", c.Secrets.JWTRefresh, false},
		{"JWT_SECRET_PREVIOUS", c.Secrets.JWTPrevious, true},
		{"JWT_REFRESH_SECRET_PREVIOUS", c.Secrets.JWTRefreshPrevious, true},
		{"OTP_PEPPER", c.Secrets.Pepper, true},
		{"OTP_PEPPER_PREVIOUS", c.Secrets.PepperPrevious, true},
		{"SMS_REPORT_SECRET", c.SMS.ReportSecret, true},
	}
	for i, s := range named {
		switch {
		case s.value == "" && s.optional:
			continue
		case s.value == "":
			ps.addf(s.name, "needed: at least %d random bytes, e.g. openssl rand -base64 48", MinSecretBytes)
			continue
		case len(s.value) < MinSecretBytes:
			ps.addf(s.name, "has %d bytes, at least %d are needed", len(s.value), MinSecretBytes)
		case c.Production() && weakness(s.value) != "":
			ps.addf(s.name, "%s", weakness(s.value))
		}
		for _, other := range named[:i] {
			if other.value == s.value {
				ps.addf(s.name, "is the same as %s", other.name)
			}
		}
	}
}

// production refuses what is made for tests.
func (c Config) production(ps *Problems) {
	if strings.HasPrefix(c.SMS.Provider, "file:") || c.SMS.Provider == "console" {
		ps.addf("SMS_PROVIDER", "%s does not send; it is for development", strings.SplitN(c.SMS.Provider, ":", 2)[0])
	}
	if strings.HasPrefix(c.Push.Provider, "file:") {
		ps.addf("PUSH_PROVIDER", "file does not send; it is for development")
	}
	if c.Tests.TimeScale != 1 {
		ps.addf("TIME_SCALE", "is for tests")
	}
	if c.Tests.LoginTimeScale != 1 {
		ps.addf("LOGIN_TIME_SCALE", "is for tests")
	}
	if c.LimitsOff() {
		ps.addf("LIMITS", "off is for benches and simulations")
	}
}

var (
	tenDigits = regexp.MustCompile(`^(\+91|91|0)?[6-9][0-9]{9}$`)
	levels    = []string{"debug", "info", "warn", "error"}
	// maxScale is where waits become shorter than the work in them.
	maxScale = 1000.0
	// maxBudget is codes for everybody in India once a day, about.
	maxBudget = 1_000_000_000
)

// common checks what every command that listens has.
func (c Config) common(ps *Problems) {
	if c.Server.Port < 0 || c.Server.Port > 65535 {
		ps.addf("PORT", "%d is not a port", c.Server.Port)
	}
	if c.Server.TrustedHops < 0 || c.Server.TrustedHops > 10 {
		ps.addf("TRUSTED_HOPS", "%d is not in 0..10", c.Server.TrustedHops)
	}
	for _, o := range c.Server.AllowedOrigins {
		if u, err := url.Parse(o); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") || strings.Trim(u.Path, "/") != "" {
			ps.addf("ALLOWED_ORIGINS", "%q is not an origin such as https://ops.example.org", o)
		}
	}
	for _, h := range c.Server.PublicHosts {
		if strings.ContainsAny(h, "/ *\"';,") {
			ps.addf("PUBLIC_HOSTS", "%q is not a host name", h)
		}
	}
	if c.Server.MapStyleURL != "" && !isURL(c.Server.MapStyleURL, "http", "https") {
		ps.addf("MAP_STYLE_URL", "%q is not a web address", c.Server.MapStyleURL)
	}
	between(ps, "REDIS_TIMEOUT", c.Store.RedisTimeout, 50*time.Millisecond, 5*time.Second)
	if c.Store.Migrate != "on" && c.Store.Migrate != "off" {
		ps.addf("MIGRATE", "%q is neither on nor off", c.Store.Migrate)
	}
	c.sms(ps)
	c.push(ps)
	for _, p := range c.Login.OpsPhones {
		if !tenDigits.MatchString(strings.TrimSpace(p)) {
			ps.addf("OPS_PHONES", "one of the entries is not an Indian mobile number")
			break
		}
	}
	if c.Login.OTPLength != 6 {
		ps.addf("OTP_LENGTH", "the apps expect 6 digits, not %d", c.Login.OTPLength)
	}
	inRange(ps, "OTP_EXPIRY_MINUTES", c.Login.OTPMinutes, 1, 10)
	c.Dispatch.check(ps)
	between(ps, "JWT_EXPIRES_IN", c.Login.AccessLife.D(), 5*time.Minute, 24*time.Hour)
	between(ps, "JWT_REFRESH_EXPIRES_IN", c.Login.RefreshIdle.D(), time.Hour, 90*24*time.Hour)
	between(ps, "DRAIN_DELAY", c.Ops.DrainDelay, 0, 60*time.Second)
	inRange(ps, "AUDIT_KEEP_DAYS", c.Ops.AuditKeep, 365, 3650)
	between(ps, "STOP_TIMEOUT", c.Ops.StopTimeout, time.Second, 115*time.Second)
	if !slices.Contains(levels, strings.ToLower(c.Ops.LogLevel)) {
		ps.addf("LOG_LEVEL", "%q is not one of debug, info, warn, error", c.Ops.LogLevel)
	}
	if c.Ops.AdminAddr != "off" {
		host, port, err := net.SplitHostPort(c.Ops.AdminAddr)
		if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n > 65535 {
			ps.addf("ADMIN_ADDR", "%q is not host:port", c.Ops.AdminAddr)
		} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) && c.Production() {
			ps.addf("ADMIN_ADDR", "profiles are served on loopback only in production, not on %q", host)
		}
	}
	if !(c.Tests.TimeScale > 0 && c.Tests.TimeScale <= maxScale) {
		ps.addf("TIME_SCALE", "%v is not above 0 and at most %v", c.Tests.TimeScale, maxScale)
	}
	if c.SMS.DailyBudget < 1 || c.SMS.DailyBudget > maxBudget {
		ps.addf("SMS_DAILY_BUDGET", "%d is not from 1 to %d", c.SMS.DailyBudget, maxBudget)
	}
	if !(c.Tests.LoginTimeScale > 0 && c.Tests.LoginTimeScale <= maxScale) {
		ps.addf("LOGIN_TIME_SCALE", "%v is not above 0 and at most %v", c.Tests.LoginTimeScale, maxScale)
	}
	if l := strings.ToLower(c.Tests.Limits); l != "on" && l != "off" {
		ps.addf("LIMITS", "%q is neither on nor off", c.Tests.Limits)
	}
}

func (c Config) push(ps *Problems) {
	p := c.Push
	switch {
	case !p.Sends() || (strings.HasPrefix(p.Provider, "file:") && len(p.Provider) > len("file:")):
	case p.Provider != "fcm":
		ps.addf("PUSH_PROVIDER", "%q is not fcm, none or file:PATH", p.Provider)
	default:
		if p.AccountPath == "" && (p.Project == "" || p.Email == "" || p.PrivateKey == "") {
			ps.addf("FIREBASE_SERVICE_ACCOUNT_PATH", "needed by PUSH_PROVIDER=fcm (or FIREBASE_PROJECT_ID, FIREBASE_CLIENT_EMAIL and FIREBASE_PRIVATE_KEY)")
		}
		for name, address := range map[string]string{"FCM_BASE_URL": p.BaseURL, "FIREBASE_TOKEN_URL": p.TokenURL} {
			ok := isURL(address, "https") || (!c.Production() && isURL(address, "http")) || (name == "FIREBASE_TOKEN_URL" && address == "")
			if !ok {
				ps.addf(name, "%q is not an https address", address)
			}
		}
	}
}

// check refuses a tempo that dispatch cannot keep.
func (d Dispatch) check(ps *Problems) {
	inRange(ps, "BROADCAST_TIMEOUT_SECONDS", d.SearchSeconds, 10, 3600)
	inRange(ps, "SEARCH_EXTENSION_FIRST_SECONDS", d.FirstExtension, 0, 600)
	inRange(ps, "SEARCH_EXTENSION_NEXT_SECONDS", d.NextExtension, 0, 600)
	inRange(ps, "WAVE_NOTIFY_MAX", d.WaveNotify, 1, 250)
	inRange(ps, "OPEN_OFFERS_MAX", d.OpenOffers, 1, 200)
	inRange(ps, "HOLD_SECONDS", d.HoldSeconds, 10, 600)
	inRange(ps, "HOLD_EXTENSION_SECONDS", d.HoldExtension, 0, 300)
	inRange(ps, "HOLD_EXTENSIONS_MAX", d.HoldExtensions, 0, 10)
	inRange(ps, "HOLD_MAX_SECONDS", d.HoldMaxSeconds, d.HoldSeconds, 1800)
	inRange(ps, "DRIVER_ACCEPT_TIMEOUT_SECONDS", d.AcceptSeconds, 10, 600)
	inRange(ps, "REBOOK_COOLDOWN_SECONDS", d.RebookSeconds, 0, 600)
	inRange(ps, "REBOOK_COOLDOWN_REPEATED_SECONDS", d.RebookLongSeconds, 0, 3600)
	between(ps, "SCHEDULED_BROADCAST_LEAD", d.ScheduledLead.D(), time.Minute, 7*24*time.Hour)
	d.checkWaves(ps)
}

func (d Dispatch) checkWaves(ps *Problems) {
	if len(d.WaveRadiiKM) < 1 || len(d.WaveRadiiKM) > 12 {
		ps.addf("WAVE_RADII_KM", "%d waves, not 1..12", len(d.WaveRadiiKM))
	}
	for i, km := range d.WaveRadiiKM {
		inRange(ps, "WAVE_RADII_KM", km, 1, 500)
		if i > 0 && km <= d.WaveRadiiKM[i-1] {
			ps.addf("WAVE_RADII_KM", "%d km after %d km: each wave is wider than the one before", km, d.WaveRadiiKM[i-1])
		}
	}
	if len(d.WaveSeconds) != len(d.WaveRadiiKM) {
		ps.addf("WAVE_SECONDS", "%d waits for %d waves of WAVE_RADII_KM", len(d.WaveSeconds), len(d.WaveRadiiKM))
	}
	for _, seconds := range d.WaveSeconds {
		inRange(ps, "WAVE_SECONDS", seconds, 1, 600)
	}
}

func inRange(ps *Problems, name string, v, lo, hi int) {
	if v < lo || v > hi {
		ps.addf(name, "%d is not in %d..%d", v, lo, hi)
	}
}

func between(ps *Problems, name string, v, lo, hi time.Duration) {
	if v < lo || v > hi {
		ps.addf(name, "%v is not in %v..%v", v, lo, hi)
	}
}
