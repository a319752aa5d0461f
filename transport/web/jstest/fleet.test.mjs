// The page's own rules, without a browser: what a frame changes, what is shown, how it is said.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ageText, distanceText, headingText, span, speedText, statusText, statusTone, timelineLine } from "../static/format.mjs";
import { direction, distance, Fleet } from "../static/fleet.mjs";

const T = 1_767_323_045_000;
const trip = (over = {}) => ({
  t: "trip", trip: "a", version: 3, status: "in_transit", driver: { name: "Mohan" }, vehicle: { number: "KA01AB1234" },
  pickup: { lat: 12.9, lng: 77.5 }, drop: { lat: 12.3, lng: 76.6 }, pos: null, endedMs: null, ...over,
});
const pos = (ts, lat, over = {}) => ({ t: "pos", p: [{ trip: "a", ts, rx: ts + 50, lat, lng: 77.5, speed: 10, bearing: 181, ...over }] });

test("a newer position moves the truck, an older one does not", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  assert.equal(f.applyPositions(pos(T, 12.9), T), 1);
  assert.equal(f.applyPositions(pos(T - 1000, 12.8), T + 10), 0);
  assert.equal(f.trips.get("a").pos.lat, 12.9);
  assert.equal(f.applyPositions(pos(T + 1000, 12.91), T + 1000), 1);
  assert.equal(f.trips.get("a").pos.lat, 12.91);
  assert.equal(f.trips.get("a").heading, 181);
});

test("an older version of a trip changes nothing", () => {
  const f = new Fleet();
  f.applyTrip(trip({ version: 5, status: "completed", endedMs: T }), T);
  f.applyTrip(trip({ version: 4, status: "in_transit" }), T);
  assert.equal(f.trips.get("a").status, "completed");
});

test("the view of a trip never sets a truck back", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  f.applyPositions(pos(T, 12.9), T);
  f.applyTrip(trip({ version: 4, pos: { ts: T - 5000, rx: T - 5000, lat: 12.7, lng: 77.5 } }), T + 10);
  assert.equal(f.trips.get("a").pos.lat, 12.9);
});

test("a truck glides to its position and stands exactly there", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  f.applyPositions(pos(T, 12.9), T);
  f.applyPositions(pos(T + 2000, 12.91), T + 2000);
  const a = f.trips.get("a");
  assert.ok(f.gliding(T + 2500));
  const half = f.shown(a, T + 3000).lat;
  assert.ok(half > 12.9 && half < 12.91, String(half));
  assert.deepEqual(f.shown(a, T + 9000), { lat: 12.91, lng: 77.5 });
  assert.ok(!f.gliding(T + 9000));
});

test("a truck that jumped is set there, not driven there", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  f.applyPositions(pos(T, 12.9), T);
  f.applyPositions(pos(T + 1000, 15), T + 1000);
  assert.equal(f.shown(f.trips.get("a"), T + 1000).lat, 15);
});

test("without a bearing the heading is the direction driven", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  f.applyPositions(pos(T, 12.9, { bearing: null }), T);
  f.applyPositions(pos(T + 5000, 12.901, { bearing: null, speed: null }), T + 5000);
  assert.ok(Math.min(f.trips.get("a").heading, 360 - f.trips.get("a").heading) < 1);
});

test("age, stale and the counts", () => {
  const f = new Fleet();
  f.applyTrip(trip(), T);
  assert.equal(f.age(f.trips.get("a"), T), null);
  f.applyPositions(pos(T, 12.9), T + 200);
  f.applyTrip(trip({ trip: "b", status: "pending" }), T);
  assert.deepEqual(f.counts(T + 1000, 60_000), { moving: 1, waiting: 1, stale: 0, delay: 200 });
  assert.deepEqual(f.counts(T + 61_000, 60_000), { moving: 0, waiting: 1, stale: 1, delay: 200 });
});

test("an unknown truck has no name until its trip is shown", () => {
  const f = new Fleet();
  assert.equal(f.applyPositions(pos(T, 12.9), T), 1);
  assert.equal(f.trips.get("a").vehicle, undefined);
  f.applyTrip(trip(), T);
  assert.equal(f.trips.get("a").vehicle.number, "KA01AB1234");
  assert.equal(f.trips.get("a").pos.lat, 12.9);
  const g = new Fleet();
  g.applyPositions(pos(T, 12.9), T);
  assert.ok(!g.prune(T + 1000));
  assert.ok(g.prune(T + 601_000));
});

test("ended trips stay for a minute; after a reconnect what is gone is gone", () => {
  const f = new Fleet();
  f.applyTrip(trip({ endedMs: T, status: "completed" }), T);
  assert.ok(!f.prune(T + 59_000));
  assert.ok(f.prune(T + 61_000));
  f.applyTrip(trip(), T);
  f.applyTrip(trip({ trip: "b" }), T);
  f.reconnect();
  f.applyTrip(trip({ trip: "b" }), T);
  f.settle();
  assert.deepEqual([...f.trips.keys()], ["b"]);
});

test("the list: on the road, waiting, ended; by plate", () => {
  const f = new Fleet();
  f.applyTrip(trip({ trip: "1", endedMs: T }), T);
  f.applyTrip(trip({ trip: "2", status: "pending" }), T);
  f.applyTrip(trip({ trip: "3", vehicle: { number: "MH12" } }), T);
  f.applyTrip(trip({ trip: "4", vehicle: { number: "GJ01" } }), T);
  assert.deepEqual(f.sorted().map((t) => t.id), ["4", "3", "2", "1"]);
});

test("words and numbers", () => {
  assert.deepEqual([0, 400, 2000, 59_400, 60_000, 3_600_000, 7_200_000, 200_000_000].map(span), ["now", "now", "2 s", "59 s", "1 min", "1 h", "2 h", "2 d"]);
  assert.equal(ageText(2000, 60_000), "2 s ago");
  assert.equal(ageText(180_000, 60_000), "stale, 3 min ago");
  assert.equal(ageText(null, 60_000), "no position yet");
  assert.equal(speedText(10), "36 km/h");
  assert.equal(speedText(null), "–");
  assert.equal(headingText(181), "S 181°");
  assert.equal(headingText(359.8), "N 0°");
  assert.deepEqual([940, 4100, 41_250, null].map(distanceText), ["940 m", "4.1 km", "41 km", "–"]);
  assert.equal(statusText("heading_to_pickup"), "On the way to the pickup");
  assert.equal(statusText("something_new"), "something_new");
  assert.equal(statusTone("something_new"), "ended");
});

test("a line of the timeline for everything people are told, none for bookkeeping", () => {
  assert.deepEqual(timelineLine({ type: "trip_status", data: { status: "driver_declined", reason: "too far", message: "…" } }), { what: "Declined", more: "too far" });
  assert.equal(timelineLine({ type: "trip_assigned", data: { driverAcceptTimeoutSeconds: 45 } }).more, "A truck · 45 s to answer");
  assert.equal(timelineLine({ type: "trip_heard", data: {} }), null);
  assert.equal(timelineLine({ type: "trip_track", data: {} }), null);
  for (const type of ["trip_timeout", "trip_cancelled", "driver_connectivity", "driver_approaching"]) assert.ok(timelineLine({ type }).what);
});

test("distances and directions on the globe", () => {
  const m = distance({ lat: 12.9716, lng: 77.5946 }, { lat: 13.0827, lng: 80.2707 });
  assert.ok(Math.abs(m - 290_200) < 1000, String(m));
  assert.equal(distance({ lat: 1, lng: 1 }, { lat: 1, lng: 1 }), 0);
  assert.ok(Math.abs(direction({ lat: 10, lng: 70 }, { lat: 11, lng: 70 })) < 1e-9);
  assert.ok(Math.abs(direction({ lat: 10, lng: 70 }, { lat: 10, lng: 71 }) - 90) < 0.2);
});
