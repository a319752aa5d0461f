// What the page knows of the trips: the fold of the frames it was sent. Pure: times are passed in.

const EARTH_M = 6371008.8;
const RAD = Math.PI / 180;

/** The great-circle distance of two {lat,lng} in metres. */
export function distance(a, b) {
  const h =
    Math.sin(((b.lat - a.lat) * RAD) / 2) ** 2 +
    Math.cos(a.lat * RAD) * Math.cos(b.lat * RAD) * Math.sin(((b.lng - a.lng) * RAD) / 2) ** 2;
  return 2 * EARTH_M * Math.asin(Math.min(1, Math.sqrt(h)));
}

/** The direction from a to b in degrees clockwise from north. */
export function direction(a, b) {
  const y = Math.sin((b.lng - a.lng) * RAD) * Math.cos(b.lat * RAD);
  const x = Math.cos(a.lat * RAD) * Math.sin(b.lat * RAD) - Math.sin(a.lat * RAD) * Math.cos(b.lat * RAD) * Math.cos((b.lng - a.lng) * RAD);
  return (Math.atan2(y, x) / RAD + 360) % 360;
}

const TAIL = 40; // positions kept for the line behind a truck
const SNAP_M = 5000; // a truck that moved farther than this is set there, not driven there
const LINGER_MS = 60_000; // how long an ended trip stays in sight
const NAMELESS_MS = 600_000; // and a silent truck of which nothing else is known

export class Fleet {
  constructor() {
    this.trips = new Map();
    this.round = 0; // of the connection
    this.delays = []; // ms from the phone's clock to here, of the last positions
  }

  /** A `trip` frame. An older version than the known one changes nothing but the position. */
  applyTrip(frame, now) {
    const trip = this.known(frame.trip);
    trip.round = this.round;
    if (frame.version >= trip.version) {
      Object.assign(trip, {
        version: frame.version, order: frame.order, status: frame.status, driver: frame.driver, vehicle: frame.vehicle,
        pickup: frame.pickup, drop: frame.drop, endedMs: frame.endedMs ?? null,
      });
    }
    if (frame.pos && !(trip.pos && trip.pos.ts >= frame.pos.ts)) this.move(trip, frame.pos, now);
    return trip;
  }

  known(id) {
    let trip = this.trips.get(id);
    if (!trip) {
      trip = { id, version: -1, round: this.round, status: "", endedMs: null, pos: null, from: null, movedAt: 0, glideMs: 0, heading: 0, tail: [] };
      this.trips.set(id, trip);
    }
    return trip;
  }

  /**
   * A `pos` frame. A trip that was not shown by a frame of its own (a watch answers 500 of them) is a
   * truck without a name until it is.
   */
  applyPositions(frame, now) {
    let moved = 0;
    for (const p of frame.p) {
      const trip = this.known(p.trip);
      trip.round = this.round;
      if (trip.pos && trip.pos.ts > p.ts) continue;
      this.move(trip, p, now);
      this.delays.push(Math.max(0, now - p.ts));
      moved++;
    }
    if (this.delays.length > 200) this.delays.splice(0, this.delays.length - 200);
    return moved;
  }

  move(trip, p, now) {
    const shown = this.shown(trip, now);
    const pos = { lat: p.lat, lng: p.lng, ts: p.ts, rx: p.rx ?? p.ts, speed: p.speed ?? null, bearing: p.bearing ?? null, acc: p.acc ?? null };
    const gap = trip.movedAt ? now - trip.movedAt : 0;
    const far = shown ? distance(shown, pos) : Infinity;
    if (pos.bearing !== null && (pos.speed === null || pos.speed > 0.7)) trip.heading = pos.bearing;
    else if (far > 8 && far < SNAP_M) trip.heading = direction(shown, pos);
    trip.from = far < SNAP_M ? shown : null;
    trip.glideMs = Math.min(Math.max(gap, 250), 5000);
    trip.movedAt = now;
    trip.pos = pos;
    trip.tail.push([pos.lng, pos.lat]);
    if (trip.tail.length > TAIL) trip.tail.shift();
  }

  /** Where the truck is drawn: on its way from where it was drawn last to its newest position. */
  shown(trip, now) {
    if (!trip.pos) return null;
    if (!trip.from) return { lat: trip.pos.lat, lng: trip.pos.lng };
    const t = Math.min(1, (now - trip.movedAt) / trip.glideMs);
    return { lat: trip.from.lat + (trip.pos.lat - trip.from.lat) * t, lng: trip.from.lng + (trip.pos.lng - trip.from.lng) * t };
  }

  /** Whether a truck is still on its way to its newest position. */
  gliding(now) {
    for (const t of this.trips.values()) if (t.from && now - t.movedAt < t.glideMs) return true;
    return false;
  }

  /** Server time since the newest position was received, null without one. */
  age(trip, now) {
    return trip.pos ? Math.max(0, now - trip.pos.rx) : null;
  }

  /** Forgets trips that ended a while ago, and silent trucks without a name; tells whether there were any. */
  prune(now) {
    let gone = false;
    for (const t of this.trips.values()) {
      const ended = t.endedMs && now - t.endedMs > LINGER_MS;
      const nameless = t.version < 0 && this.age(t, now) > NAMELESS_MS;
      if (ended || nameless) gone = this.trips.delete(t.id);
    }
    return gone;
  }

  /** A new connection: what it does not show again until `settle` is gone. */
  reconnect() {
    this.round++;
  }

  settle() {
    for (const t of this.trips.values()) if (t.round !== this.round) this.trips.delete(t.id);
  }

  /** The trips in the order of the list: by the time they need a look, then by plate. */
  sorted() {
    const rank = (t) => (t.endedMs ? 2 : t.status === "pending" ? 1 : 0);
    return [...this.trips.values()].sort(
      (a, b) => rank(a) - rank(b) || (a.vehicle?.number ?? "").localeCompare(b.vehicle?.number ?? "") || a.id.localeCompare(b.id),
    );
  }

  /** How many trips move, wait, are stale; the median delay of the last positions in ms. */
  counts(now, staleMs) {
    let moving = 0, waiting = 0, stale = 0;
    for (const t of this.trips.values()) {
      if (t.endedMs) continue;
      if (t.status === "pending") waiting++;
      else if (this.age(t, now) !== null && this.age(t, now) <= staleMs) moving++;
      else if (t.pos) stale++;
    }
    const sorted = [...this.delays].sort((a, b) => a - b);
    return { moving, waiting, stale, delay: sorted.length ? sorted[sorted.length >> 1] : null };
  }
}
