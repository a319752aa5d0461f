// What the share page derives from frames. Pure: no clock, no document.
const EARTH = 6_371_000;
const ROAD_FACTOR = 1.3; // of the great circle, as the server estimates
const ROAD_SPEED = 30 / 3.6; // m/s

const rad = (d) => (d * Math.PI) / 180;

/** Metres between two points {lat, lng}. */
export function metres(a, b) {
  const s = Math.sin(rad(b.lat - a.lat) / 2) ** 2 + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(rad(b.lng - a.lng) / 2) ** 2;
  return 2 * EARTH * Math.asin(Math.sqrt(s));
}

/** Where the truck goes next: "pickup" until it is loaded, then "drop"; null when it is there or over. */
export function goal(status) {
  switch (status) {
    case "driver_accepted":
    case "heading_to_pickup":
      return "pickup";
    case "loading_complete":
    case "in_transit":
      return "drop";
    default:
      return null;
  }
}

/** An estimate in minutes, or null without a position or a goal. */
export function etaMinutes(trip, at) {
  const to = trip && trip[goal(trip.status)];
  if (!at || !to) return null;
  return Math.max(1, Math.round((metres(at, to) * ROAD_FACTOR) / ROAD_SPEED / 60));
}

/** Minutes for people. */
export function etaText(minutes, where) {
  if (minutes === null) return "";
  const text = minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `About ${text} to the ${where}`;
}
