// Puts the parts of the live map together. `window.weelo` is for people with a console and for tests.
import { Card } from "/static/card.mjs";
import { Feed } from "/static/feed.mjs";
import { Fleet } from "/static/fleet.mjs";
import { set, TripList } from "/static/list.mjs";
import { LiveMap } from "/static/map.mjs";
import { Orders } from "/static/orders.mjs";

const byId = (id) => document.getElementById(id);
const LINK = { connecting: "Connecting", live: "Live", down: "Reconnecting", replaced: "Open elsewhere" };
const SETTLE_MS = 4000; // after this long a new connection has shown every live trip

const config = await (await fetch("/dev/config.json")).json();
if (config.speed !== 1) byId("subtitle").textContent = `Live dispatch, time × ${config.speed}`;

const fleet = new Fleet();
const orders = new Orders();
let staleMs = 60_000;
let map = null;
let selected = null;

const feed = new Feed({
  state(name) {
    byId("link").dataset.state = name;
    set(byId("link").querySelector("span"), LINK[name]);
  },
  welcome(frame) {
    staleMs = frame.staleMs;
    if (map) map.staleMs = staleMs;
    fleet.reconnect();
    orders.clear();
    setTimeout(() => fleet.settle(), SETTLE_MS);
  },
  frame(frame) {
    if (frame.t === "trip") fleet.applyTrip(frame, feed.now());
    else if (frame.t === "pos") fleet.applyPositions(frame, feed.now());
    else if (frame.t === "event" && frame.type === "order_view") orders.apply(frame.data, feed.now());
    else return;
    map?.touch();
  },
});

const card = new Card(fleet, feed);
const list = new TripList(byId("trips"), byId("empty"), byId("search"), fleet, (id) => select(id === selected ? null : id));
list.onsearch = draw;

function select(id) {
  selected = id;
  card.show(id);
  map?.select(id);
  draw();
}

function draw() {
  const now = feed.now();
  if (fleet.prune(now) | orders.prune(now)) map?.touch();
  if (selected && !fleet.trips.has(selected)) select(null);
  list.draw(now, staleMs, selected);
  card.draw(now, staleMs);
  const n = fleet.counts(now, staleMs);
  set(byId("n-moving"), String(n.moving));
  set(byId("n-waiting"), String(n.waiting));
  set(byId("n-orders"), String(orders.searching()));
  set(byId("n-stale"), String(n.stale));
  byId("n-stale").parentElement.classList.toggle("some", n.stale > 0);
  set(byId("n-delay"), n.delay === null ? "–" : n.delay < 10_000 ? `${(n.delay / 1000).toFixed(1)} s` : `${Math.round(n.delay / 1000)} s`);
}

byId("close").addEventListener("click", () => select(null));
addEventListener("keydown", (e) => {
  if (e.key === "Escape") select(null);
  if (e.key === "/" && document.activeElement !== byId("search")) {
    e.preventDefault();
    byId("search").focus();
  }
});

setInterval(() => {
  draw();
  map?.touch(); // a truck turns stale without a frame
}, 1000);

window.weelo = {
  /** Every truck as last reported. */
  trucks() {
    const now = feed.now();
    return [...fleet.trips.values()].filter((t) => t.pos).map((t) => ({
      trip: t.id, number: t.vehicle?.number ?? "", status: t.status, lat: t.pos.lat, lng: t.pos.lng, heading: t.heading,
      ageMs: fleet.age(t, now), stale: fleet.age(t, now) > staleMs,
    }));
  },
  /** Every order as last shown, and what was seen to happen to any. */
  orders: () => [...orders.orders.values()],
  seen: () => [...orders.seen],
  /** How many trucks are on the canvas; 0 until the map is drawn. */
  drawn: () => (map?.drawable ? map.drawn() : 0),
  /** Whether the map has come to rest. */
  still: () => Boolean(map?.drawable) && !map.map.isMoving(),
  state: () => byId("link").dataset.state,
  select,
};

feed.start();
try {
  map = new LiveMap(byId("map"), fleet, orders, feed, config, select);
  map.staleMs = staleMs;
  map.ready.then(() => {
    map.drawable = true;
    map.touch();
  });
} catch {
  // Without WebGL there is no map; the list goes on.
  map = null;
  const note = document.createElement("p");
  note.className = "nomap";
  note.textContent = "This browser cannot draw the map (no WebGL). The list of trips is live.";
  document.body.append(note);
}
draw();
