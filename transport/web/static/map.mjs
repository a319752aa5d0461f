// What is drawn: the ground, the lanes, the lines behind the trucks, the trucks. Names are drawn from
// places.json unless the operator chose a base map that has its own.
import * as maplibre from "/static/vendor/maplibre-gl.mjs";
import { statusTone } from "/static/format.mjs";
import { orderTone, ring } from "/static/orders.mjs";

maplibre.setWorkerUrl("/static/vendor/maplibre-gl-worker.mjs");

const INDIA = [[68, 6.5], [97.5, 35.5]];
// Trucks glide at 20 frames per second; many of them at fewer, which nobody sees from that far.
const frameMs = (trucks) => (trucks < 300 ? 50 : trucks < 1000 ? 120 : 300);
const FIT_MS = 5000;
const COLOURS = {
  waiting: "#a78bfa", loading: "#60a5fa", moving: "#2dd4bf", arrived: "#a3e635", stale: "#fbbf24", ended: "#64748b",
};
const TONES = Object.keys(COLOURS);
const FONT = ["Noto Sans Regular"];

const empty = () => ({ type: "FeatureCollection", features: [] });
const feature = (geometry, properties) => ({ type: "Feature", geometry, properties });
const line = (coordinates, properties) => feature({ type: "LineString", coordinates }, properties);
const point = (coordinates, properties) => feature({ type: "Point", coordinates }, properties);
const byTone = (fallback = COLOURS.ended) => ["match", ["get", "tone"], ...TONES.flatMap((t) => [t, COLOURS[t]]), fallback];

/** The tone of a trip now: a stale position wins over the status. */
export function toneOf(trip, age, staleMs) {
  if (trip.endedMs) return "ended";
  if (trip.status !== "pending" && age !== null && age > staleMs) return "stale";
  return statusTone(trip.status);
}

export class LiveMap {
  /** select(tripId|null) is called for clicks. */
  constructor(element, fleet, orders, feed, config, select) {
    this.fleet = fleet;
    this.orders = orders;
    this.feed = feed;
    this.staleMs = 60_000;
    this.selected = null;
    this.plain = !config.styleUrl;
    this.fitUntil = 0; // after the first truck the map follows the number of trucks for a moment
    this.fitted = 0;
    this.pad = () => (innerWidth > 760 ? { left: 380, right: 40, top: 40, bottom: 40 } : { left: 30, right: 30, top: 30, bottom: innerHeight * 0.5 });
    if (this.plain) element.classList.add("plain");
    this.map = new maplibre.Map({
      container: element,
      style: config.styleUrl || { version: 8, sources: {}, layers: [] },
      bounds: INDIA,
      fitBoundsOptions: { padding: this.pad() },
      minZoom: 3, maxZoom: 17,
      attributionControl: false,
      dragRotate: false,
      fadeDuration: 150,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new maplibre.AttributionControl({ compact: false, customAttribution: this.plain ? 'Places: <a href="https://www.geonames.org/" rel="noreferrer noopener" target="_blank">GeoNames</a> (CC BY 4.0)' : [] }));
    this.map.addControl(new maplibre.NavigationControl({ showCompass: false }), "bottom-right");
    this.map.addControl(new maplibre.ScaleControl({ unit: "metric" }), "bottom-right");
    this.ready = new Promise((done) => this.map.once("load", async () => {
      if (this.plain) await this.addGround();
      this.addLayers();
      this.on(select);
      done();
      this.loop();
    }));
  }

  /** The plain ground: a faint grid, towns by rank, no borders. */
  async addGround() {
    const grid = [];
    for (let lng = 60; lng <= 106; lng += 2) grid.push(line([[lng, 0], [lng, 42]], {}));
    for (let lat = 0; lat <= 42; lat += 2) grid.push(line([[60, lat], [106, lat]], {}));
    this.map.addSource("grid", { type: "geojson", data: { type: "FeatureCollection", features: grid } });
    this.map.addLayer({ id: "grid", type: "line", source: "grid", paint: { "line-color": "#7f9cc4", "line-opacity": 0.06, "line-width": 1 } });

    const places = await (await fetch("/static/places.json")).json();
    this.map.addSource("places", {
      type: "geojson",
      data: { type: "FeatureCollection", features: places.map(([name, lat, lng, rank]) => point([lng, lat], { name, rank })) },
    });
    const levels = [
      { rank: 1, minzoom: 3, size: ["interpolate", ["linear"], ["zoom"], 3, 10.5, 6, 13, 10, 17], dot: 2.2, colour: "#93a7c4" },
      { rank: 2, minzoom: 4.9, size: ["interpolate", ["linear"], ["zoom"], 5, 10, 10, 14], dot: 1.7, colour: "#71839e" },
      { rank: 3, minzoom: 7.6, size: ["interpolate", ["linear"], ["zoom"], 7, 9.5, 11, 12], dot: 1.3, colour: "#566882" },
    ];
    for (const { rank, minzoom, size, dot, colour } of levels.reverse()) {
      const filter = ["==", ["get", "rank"], rank];
      this.map.addLayer({
        id: `town-${rank}`, type: "circle", source: "places", filter, minzoom,
        paint: { "circle-radius": dot, "circle-color": colour, "circle-opacity": 0.85 },
      });
      this.map.addLayer({
        id: `name-${rank}`, type: "symbol", source: "places", filter, minzoom,
        layout: { "text-field": ["get", "name"], "text-font": FONT, "text-size": size, "text-anchor": "top", "text-offset": [0, 0.35], "text-padding": 6, "text-letter-spacing": 0.02 },
        paint: { "text-color": colour, "text-halo-color": "#0d1522", "text-halo-width": 1.4 },
      });
    }
  }

  addLayers() {
    const { map } = this;
    for (const name of ["waves", "orders", "lanes", "stops", "tails", "trucks"]) map.addSource(name, { type: "geojson", data: empty() });
    for (const tone of TONES) map.addImage(`truck-${tone}`, truckImage(COLOURS[tone]), { pixelRatio: 2 });
    const picked = (yes, no) => ["case", ["get", "selected"], yes, no];

    map.addLayer({ id: "waves", type: "fill", source: "waves", paint: { "fill-color": byTone(), "fill-opacity": 0.07 } });
    map.addLayer({ id: "rims", type: "line", source: "waves", paint: { "line-color": byTone(), "line-opacity": 0.5, "line-width": 1.2 } });
    map.addLayer({
      id: "orders", type: "circle", source: "orders",
      paint: { "circle-radius": 6, "circle-color": byTone(), "circle-stroke-color": "#0b111c", "circle-stroke-width": 2 },
    });
    map.addLayer({
      id: "needs", type: "symbol", source: "orders", minzoom: 5,
      layout: { "text-field": ["get", "text"], "text-font": FONT, "text-size": 11, "text-anchor": "left", "text-offset": [0.8, 0], "text-padding": 2 },
      paint: { "text-color": byTone(), "text-halo-color": "#0b111c", "text-halo-width": 1.4 },
    });

    map.addLayer({
      id: "lanes", type: "line", source: "lanes", layout: { "line-cap": "round" },
      paint: { "line-color": byTone(), "line-width": picked(2, 1.1), "line-opacity": picked(0.75, 0.2), "line-dasharray": [1.5, 2.5] },
    });
    map.addLayer({
      id: "stops", type: "circle", source: "stops",
      paint: {
        "circle-radius": picked(5, 2.6), "circle-color": ["case", ["get", "drop"], byTone(), "#0d1522"],
        "circle-stroke-color": byTone(), "circle-stroke-width": picked(2, 1.2), "circle-opacity": picked(1, 0.5), "circle-stroke-opacity": picked(1, 0.5),
      },
    });
    map.addLayer({
      id: "tails", type: "line", source: "tails", layout: { "line-cap": "round", "line-join": "round" },
      paint: { "line-color": byTone(), "line-width": picked(3.5, 2.2), "line-opacity": picked(0.9, 0.5) },
    });
    map.addLayer({
      id: "halo", type: "circle", source: "trucks",
      paint: { "circle-radius": picked(22, 14), "circle-color": byTone(), "circle-opacity": picked(0.26, 0.13), "circle-blur": 0.6 },
    });
    map.addLayer({
      id: "trucks", type: "symbol", source: "trucks",
      layout: {
        "icon-image": ["concat", "truck-", ["get", "tone"]], "icon-rotate": ["get", "heading"], "icon-rotation-alignment": "map",
        "icon-size": ["interpolate", ["linear"], ["zoom"], 4, picked(0.95, 0.72), 9, picked(1.2, 1)],
        "icon-allow-overlap": true, "icon-ignore-placement": true, "symbol-sort-key": picked(1, 0),
      },
    });
    map.addLayer({
      id: "plates", type: "symbol", source: "trucks", minzoom: this.plain ? 6.5 : 8,
      layout: { "text-field": ["get", "number"], "text-font": FONT, "text-size": 11.5, "text-anchor": "bottom", "text-offset": [0, -1.25], "text-padding": 4 },
      paint: { "text-color": "#e8eef7", "text-halo-color": "#0b111c", "text-halo-width": 1.6 },
    });
  }

  on(select) {
    const { map } = this;
    map.on("click", (e) => {
      const box = [[e.point.x - 8, e.point.y - 8], [e.point.x + 8, e.point.y + 8]];
      select(map.queryRenderedFeatures(box, { layers: ["trucks"] })[0]?.properties.trip ?? null);
    });
    for (const held of ["dragstart", "wheel"]) map.on(held, () => (this.held = true));
    map.on("mouseenter", "trucks", () => (map.getCanvas().style.cursor = "pointer"));
    map.on("mouseleave", "trucks", () => (map.getCanvas().style.cursor = ""));
  }

  /** Draws while something moves, and once whenever `touch` was called. */
  loop() {
    let last = 0;
    const frame = (at) => {
      requestAnimationFrame(frame);
      if (at - last < frameMs(this.fleet.trips.size) || document.hidden) return;
      const now = this.feed.now();
      const gliding = this.fleet.gliding(now);
      if (!gliding && !this.dirty && !this.glided) return;
      last = at;
      this.glided = gliding; // once more after the end, to stand exactly there
      if (this.dirty) {
        this.drawLanes(now);
        this.drawOrders();
      }
      this.dirty = false;
      this.drawTrucks(now);
    };
    requestAnimationFrame(frame);
  }

  touch() {
    this.dirty = true;
  }

  properties(trip, now) {
    return { trip: trip.id, tone: toneOf(trip, this.fleet.age(trip, now), this.staleMs), selected: trip.id === this.selected };
  }

  drawTrucks(now) {
    const trucks = empty();
    const tails = empty();
    for (const trip of this.fleet.trips.values()) {
      const at = this.fleet.shown(trip, now);
      if (!at) continue;
      const properties = this.properties(trip, now);
      trucks.features.push(point([at.lng, at.lat], { ...properties, heading: trip.heading, number: trip.vehicle?.number ?? "" }));
      if (trip.tail.length > 1) tails.features.push(line([...trip.tail.slice(0, -1), [at.lng, at.lat]], properties));
    }
    this.map.getSource("trucks").setData(trucks);
    this.map.getSource("tails").setData(tails);
    this.fit(trucks);
  }

  drawLanes(now) {
    const lanes = empty();
    const stops = empty();
    for (const trip of this.fleet.trips.values()) {
      if (!trip.pickup || !trip.drop) continue;
      const properties = this.properties(trip, now);
      const from = [trip.pickup.lng, trip.pickup.lat], to = [trip.drop.lng, trip.drop.lat];
      lanes.features.push(line([from, to], properties));
      stops.features.push(point(from, { ...properties, drop: false }), point(to, { ...properties, drop: true }));
    }
    this.map.getSource("lanes").setData(lanes);
    this.map.getSource("stops").setData(stops);
  }

  /** A pin at each pickup, and how far it is searched around it. */
  drawOrders() {
    const pins = empty();
    const waves = empty();
    for (const o of this.orders.orders.values()) {
      const properties = { order: o.orderId, tone: orderTone(o), text: `${o.filled}/${o.trucks}` };
      pins.features.push(point([o.pickup.longitude, o.pickup.latitude], properties));
      if (o.radiusKm > 0) waves.features.push(feature({ type: "Polygon", coordinates: [ring(o.pickup, o.radiusKm)] }, properties));
    }
    this.map.getSource("orders").setData(pins);
    this.map.getSource("waves").setData(waves);
  }

  /** While the first trucks come in, the map shows all of them, unless somebody has taken hold of it. */
  fit(trucks) {
    const n = trucks.features.length;
    if (n === 0 || n === this.fitted || this.held || this.selected) return;
    this.fitUntil ||= performance.now() + FIT_MS;
    if (performance.now() > this.fitUntil) return;
    this.fitted = n;
    const bounds = new maplibre.LngLatBounds();
    for (const f of trucks.features) bounds.extend(f.geometry.coordinates);
    for (const t of this.fleet.trips.values()) {
      if (t.pickup && t.drop) bounds.extend([t.pickup.lng, t.pickup.lat]).extend([t.drop.lng, t.drop.lat]);
    }
    this.map.fitBounds(bounds, { padding: this.pad(), maxZoom: 9.5, duration: 0 });
  }

  /** Shows one trip: its truck with the rest of its way. */
  select(id) {
    this.selected = id;
    this.touch();
    const trip = id && this.fleet.trips.get(id);
    if (!trip) return;
    const bounds = new maplibre.LngLatBounds();
    const at = this.fleet.shown(trip, this.feed.now());
    for (const p of [at, trip.drop, at ? null : trip.pickup]) if (p) bounds.extend([p.lng, p.lat]);
    const pad = this.pad();
    this.map.fitBounds(bounds, { padding: innerWidth > 760 ? { left: 440, right: 420, top: 90, bottom: 90 } : pad, maxZoom: 11, duration: reducedMotion() ? 0 : 900 });
  }

  /** How many trucks are on the canvas. */
  drawn() {
    return new Set(this.map.queryRenderedFeatures({ layers: ["trucks"] }).map((f) => f.properties.trip)).size;
  }
}

const reducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** An arrow with a dark rim that points north. */
function truckImage(colour) {
  const size = 56;
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = size;
  const c = canvas.getContext("2d");
  c.translate(size / 2, size / 2);
  c.beginPath();
  c.moveTo(0, -21);
  c.lineTo(14, 17);
  c.quadraticCurveTo(0, 8, -14, 17);
  c.closePath();
  c.lineJoin = "round";
  c.lineWidth = 7;
  c.strokeStyle = "#0b111c";
  c.stroke();
  c.fillStyle = colour;
  c.fill();
  c.lineWidth = 1.5;
  c.strokeStyle = "rgb(255 255 255 / 55%)";
  c.stroke();
  return c.getImageData(0, 0, size, size);
}
