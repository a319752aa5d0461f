// The page of a share link: one truck, where it is, how old that is, and when it will be there. All that
// people typed is set as text.
import * as maplibre from "/t/a/vendor/maplibre-gl.mjs";
import { ageText, statusText } from "/t/a/format.mjs";
import { ShareFeed } from "/t/a/share-feed.mjs";
import { etaMinutes, etaText, goal } from "/t/a/share-rules.mjs";

maplibre.setWorkerUrl("/t/a/vendor/maplibre-gl-worker.mjs");

const STALE_MS = 60_000;
const STATES = { connecting: "Connecting", live: "Live", down: "Offline, reconnecting", gone: "This link has ended", full: "Too many people follow this link", ended: "The trip has ended" };
const seen = { state: "connecting", trip: null, at: null, moves: 0 };
const element = (id) => document.getElementById(id);
const say = (id, text) => (element(id).textContent = text);

let map = null;
let marker = null;

async function ground() {
  const { styleUrl } = await (await fetch("/t/config.json")).json();
  map = new maplibre.Map({
    container: "map", style: styleUrl || { version: 8, sources: {}, layers: [] }, center: [78, 21], zoom: 4, minZoom: 3, maxZoom: 15,
    dragRotate: false, attributionControl: false,
  });
  map.addControl(new maplibre.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "top-left");
  map.once("load", async () => {
    if (styleUrl) return;
    const places = await (await fetch("/t/a/places.json")).json();
    map.addSource("places", { type: "geojson", data: { type: "FeatureCollection", features: places.map(([name, lat, lng]) => ({ type: "Feature", geometry: { type: "Point", coordinates: [lng, lat] }, properties: { name } })) } });
    map.addLayer({ id: "towns", type: "circle", source: "places", paint: { "circle-radius": 1.6, "circle-color": "#71839e" } });
    map.addLayer({ id: "names", type: "symbol", source: "places", layout: { "text-field": ["get", "name"], "text-font": ["Noto Sans Regular"], "text-size": 11, "text-anchor": "top", "text-offset": [0, 0.35] }, paint: { "text-color": "#93a7c4", "text-halo-color": "#0d1522", "text-halo-width": 1.4 } });
  });
}

function moved(p) {
  if (seen.at && seen.at.ts > p.ts) return;
  if (seen.at && (seen.at.lat !== p.lat || seen.at.lng !== p.lng)) seen.moves++;
  const first = !seen.at;
  seen.at = p;
  if (!map) return;
  marker ??= new maplibre.Marker({ color: "#2dd4bf" }).setLngLat([p.lng, p.lat]).addTo(map);
  marker.setLngLat([p.lng, p.lat]);
  if (first) map.jumpTo({ center: [p.lng, p.lat], zoom: 11 });
  else map.panTo([p.lng, p.lat]);
}

function onFrame(frame) {
  switch (frame.t) {
    case "trip":
      seen.trip = frame;
      if (frame.pos) moved(frame.pos);
      if (frame.endedMs) feed.stop("ended");
      break;
    case "pos":
      for (const p of frame.p) if (p.trip === feed.trip) moved(p);
      break;
    case "unwatched":
      if (frame.reason === "ended") feed.stop("ended");
      else feed.stop("gone");
      break;
    case "error":
      if (frame.code === "NOT_FOUND") feed.stop("gone");
      break;
  }
  draw();
}

function draw() {
  const { state, trip, at } = seen;
  const over = state === "gone" || state === "ended" || state === "full";
  element("link").dataset.state = over ? "over" : state;
  say("link", STATES[state]);
  say("status", trip ? statusText(trip.status) : over ? STATES[state] : "One moment");
  say("who", trip ? [trip.driver.name, trip.vehicle.number && `truck …${trip.vehicle.number}`].filter(Boolean).join(" · ") : "");
  say("lane", trip ? [trip.pickup.city, trip.drop.city].filter(Boolean).join(" → ") : "");
  say("eta", over ? "" : etaText(etaMinutes(trip, at), trip && goal(trip.status)));
  say("age", over ? "" : `Position: ${ageText(at ? feed.now() - at.ts : null, STALE_MS)}`);
  if (state === "gone") marker?.remove(); // nothing of a link that is over stays to be seen
}

const feed = new ShareFeed(location.hash.slice(1), {
  state(name) {
    seen.state = name;
    if (name === "gone") seen.trip = null;
    draw();
  },
  frame: onFrame,
});
addEventListener("hashchange", () => location.reload());
setInterval(draw, 1000);
draw();
feed.start();
ground().then(() => seen.at && moved(seen.at), () => {});
window.weeloShare = { seen, feed };
