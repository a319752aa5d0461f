package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"weelo/internal/track"
)

// Metrics is every number the process counts, in one registry. Its parts have the method sets of the
// Observer interfaces that the components declare; cmd hands them out.
type Metrics struct {
	Registry *prometheus.Registry
	Actors   *ActorMetrics
	Hub      *HubMetrics
	Commits  *CommitMetrics
	OTP      *OTPMetrics
	Frames   *FrameMetrics
	Fixes    *FixMetrics
	Dispatch *DispatchMetrics
	Limits   *LimitMetrics
}

// NewMetrics makes a registry with everything in it at zero.
func NewMetrics(version string) *Metrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "weelo_build_info", Help: "The version that runs."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	r.MustRegister(build)
	return &Metrics{
		Registry: r, Actors: newActorMetrics(r), Hub: newHubMetrics(r), Commits: newCommitMetrics(r),
		OTP: newOTPMetrics(r), Frames: newFrameMetrics(r), Fixes: newFixMetrics(r),
		Dispatch: newDispatchMetrics(r), Limits: newLimitMetrics(r),
	}
}

func counter(r prometheus.Registerer, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func gauge(r prometheus.Registerer, name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	r.MustRegister(g)
	return g
}

func histogram(r prometheus.Registerer, name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

// seconds spans a millisecond to ten seconds: below is fast, above is a time-out.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// ActorMetrics counts what the actor runtime does.
type ActorMetrics struct {
	live                                                        *prometheus.GaugeVec
	activations, stops, refused, deadLetters, panicks, takenOut *prometheus.CounterVec
	activationTime, depth                                       *prometheus.HistogramVec
}

// actorKinds are the kinds of weelo.
var actorKinds = []string{"otp", "driver", "transporter", "order", "trip"}

func newActorMetrics(r prometheus.Registerer) *ActorMetrics {
	m := &ActorMetrics{
		live:           gauge(r, "weelo_actors", "Actors in memory.", "kind"),
		activations:    counter(r, "weelo_actor_activations_total", "Actors started, or not (outcome).", "kind", "outcome"),
		activationTime: histogram(r, "weelo_actor_activation_seconds", "Time to load and start an actor.", seconds, "kind"),
		stops:          counter(r, "weelo_actor_stops_total", "Activations that ended.", "kind", "reason"),
		depth:          histogram(r, "weelo_actor_mailbox_depth", "Messages waiting at a sampled actor.", []float64{0, 1, 2, 4, 8, 16, 32, 64, 128, 256}, "kind"),
		refused:        counter(r, "weelo_actor_refused_total", "Messages refused before they were sent.", "kind", "reason"),
		deadLetters:    counter(r, "weelo_dead_letters_total", "Messages accepted that nobody could take.", "kind"),
		panicks:        counter(r, "weelo_actor_panics_total", "Messages that broke their actor.", "kind", "message"),
		takenOut:       counter(r, "weelo_actor_taken_out_total", "Actors that broke too often and get no messages until they are released.", "kind"),
	}
	for _, kind := range actorKinds {
		m.takenOut.WithLabelValues(kind) // from 0, so that the first wakes somebody
	}
	return m
}

// Activated counts an activation and how long it took.
func (m *ActorMetrics) Activated(kind string, took time.Duration, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "failed"
	}
	m.activations.WithLabelValues(kind, outcome).Inc()
	m.activationTime.WithLabelValues(kind).Observe(took.Seconds())
}

// Stopped counts an activation that ended.
func (m *ActorMetrics) Stopped(kind, reason string) { m.stops.WithLabelValues(kind, reason).Inc() }

// Live sets how many actors of a kind are in memory.
func (m *ActorMetrics) Live(kind string, n int) { m.live.WithLabelValues(kind).Set(float64(n)) }

// Depth samples one mailbox.
func (m *ActorMetrics) Depth(kind string, queued int) {
	m.depth.WithLabelValues(kind).Observe(float64(queued))
}

// Refused counts a message refused before it was sent.
func (m *ActorMetrics) Refused(kind, reason string) { m.refused.WithLabelValues(kind, reason).Inc() }

// DeadLetter counts a message nobody could take.
func (m *ActorMetrics) DeadLetter(kind string) { m.deadLetters.WithLabelValues(kind).Inc() }

// Panicked counts a message that broke its actor.
func (m *ActorMetrics) Panicked(kind, message string) { m.panicks.WithLabelValues(kind, message).Inc() }

// TakenOut counts an actor that broke too often.
func (m *ActorMetrics) TakenOut(kind string) { m.takenOut.WithLabelValues(kind).Inc() }

// HubMetrics counts frames out and sockets.
type HubMetrics struct {
	frames  *prometheus.CounterVec
	known   map[[2]string]prometheus.Counter // resolved once: Frames is on the hot path
	sockets *prometheus.GaugeVec
	closed  *prometheus.CounterVec
}

// The words of the label format and of the label fate.
var (
	formats = []string{"ws", "socketio"}
	fates   = []string{"out", "coalesced", "dropped"}
)

func newHubMetrics(r prometheus.Registerer) *HubMetrics {
	m := &HubMetrics{
		frames:  counter(r, "weelo_frames_out_total", "Frames for people's sockets: out, coalesced (a newer position took its place) or dropped.", "format", "fate"),
		known:   map[[2]string]prometheus.Counter{},
		sockets: gauge(r, "weelo_sockets", "Open sockets.", "format", "role"),
		closed:  counter(r, "weelo_socket_closes_total", "Sockets that the server ended, by close code.", "format", "code"),
	}
	for _, format := range formats {
		for _, fate := range fates {
			m.known[[2]string{format, fate}] = m.frames.WithLabelValues(format, fate)
		}
	}
	return m
}

// Frames counts n frames of a format with one fate.
func (m *HubMetrics) Frames(format, fate string, n int) {
	c, ok := m.known[[2]string{format, fate}]
	if !ok {
		c = m.frames.WithLabelValues(format, fate)
	}
	c.Add(float64(n))
}

// Sockets changes the number of open sockets.
func (m *HubMetrics) Sockets(format, role string, delta int) {
	m.sockets.WithLabelValues(format, role).Add(float64(delta))
}

// Closed counts a socket that the server ended.
func (m *HubMetrics) Closed(format string, code int) {
	m.closed.WithLabelValues(format, strconv.Itoa(code)).Inc()
}

// FrameMetrics counts what comes in from people's sockets.
type FrameMetrics struct {
	in, invalid *prometheus.CounterVec
	fixes       map[string]prometheus.Counter // by format, resolved once: positions are the hot path
}

func newFrameMetrics(r prometheus.Registerer) *FrameMetrics {
	m := &FrameMetrics{
		in:      counter(r, "weelo_frames_in_total", "Frames from people's sockets.", "format", "type"),
		invalid: counter(r, "weelo_frames_invalid_total", "Frames refused, by code.", "format", "code"),
		fixes:   map[string]prometheus.Counter{},
	}
	for _, format := range formats {
		m.fixes[format] = m.in.WithLabelValues(format, "fix")
	}
	return m
}

// In counts one frame that was understood. Type must be of a closed set.
func (m *FrameMetrics) In(format, kind string) {
	if c := m.fixes[format]; c != nil && kind == "fix" {
		c.Inc()
		return
	}
	m.in.WithLabelValues(format, kind).Inc()
}

// Refused counts one frame that was not.
func (m *FrameMetrics) Refused(format, code string) { m.invalid.WithLabelValues(format, code).Inc() }

// FixMetrics counts what became of fixes at the driver's actor.
type FixMetrics struct{ byVerdict []prometheus.Counter }

func newFixMetrics(r prometheus.Registerer) *FixMetrics {
	fixes := counter(r, "weelo_fixes_total", "Fixes by what they did to the live position: only moved moves it.", "verdict")
	m := &FixMetrics{}
	for v := track.Moved; v <= track.Coarse; v++ { // resolved once: on the hot path
		m.byVerdict = append(m.byVerdict, fixes.WithLabelValues(v.String()))
	}
	return m
}

// Fix counts one fix.
func (m *FixMetrics) Fix(v track.Verdict) {
	if int(v) < len(m.byVerdict) {
		m.byVerdict[v].Inc()
	}
}

// CommitMetrics counts what the writer makes durable.
type CommitMetrics struct {
	size, latency *prometheus.HistogramVec
	outcomes      *prometheus.CounterVec
}

func newCommitMetrics(r prometheus.Registerer) *CommitMetrics {
	return &CommitMetrics{
		size:     histogram(r, "weelo_commit_batch_size", "Transitions (or fixes) in one transaction.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, "lane"),
		latency:  histogram(r, "weelo_commit_seconds", "Time of one transaction.", seconds, "lane"),
		outcomes: counter(r, "weelo_commit_outcomes_total", "Transitions by how they ended.", "status"),
	}
}

// Batch tells of one transaction of a lane: how much was in it and how long it took.
func (m *CommitMetrics) Batch(lane string, size int, took time.Duration) {
	m.size.WithLabelValues(lane).Observe(float64(size))
	m.latency.WithLabelValues(lane).Observe(took.Seconds())
}

// Outcome counts one transition by how it ended.
func (m *CommitMetrics) Outcome(status string) { m.outcomes.WithLabelValues(status).Inc() }

// OTPMetrics counts codes: sent, verified, refused.
type OTPMetrics struct{ events *prometheus.CounterVec }

func newOTPMetrics(r prometheus.Registerer) *OTPMetrics {
	return &OTPMetrics{counter(r, "weelo_otp_total", "One-time codes: sent, verified, refused, undelivered; why in reason.", "flow", "event", "reason")}
}

// Count counts one event of a flow (user or driver) with its reason ("" when there is none).
func (m *OTPMetrics) Count(flow, event, reason string) {
	m.events.WithLabelValues(flow, event, reason).Inc()
}
