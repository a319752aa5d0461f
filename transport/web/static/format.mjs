// Words and numbers for people. Pure: no clock, no document.

const STATUS = {
  "": ["On the road", "moving"],
  pending: ["Waiting for the driver", "waiting"],
  driver_accepted: ["Accepted", "moving"],
  heading_to_pickup: ["On the way to the pickup", "moving"],
  at_pickup: ["At the pickup", "loading"],
  loading_complete: ["Loaded", "loading"],
  in_transit: ["In transit", "moving"],
  arrived_at_drop: ["At the drop", "arrived"],
  completed: ["Completed", "ended"],
  partial_delivery: ["Delivered in part", "ended"],
  driver_declined: ["Declined", "ended"],
  expired: ["Not answered in time", "ended"],
  cancelled: ["Cancelled", "ended"],
};

/** A status as people read it. */
export const statusText = (status) => STATUS[status]?.[0] ?? status;

/** The tone (colour) of a status. */
export const statusTone = (status) => STATUS[status]?.[1] ?? "ended";

/** An age in ms, short: "now", "8 s", "3 min", "2 h", "4 d". */
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 1) return "now";
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 48 * 3600) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

/** The age of a position: "just now", "2 s ago", "stale, 3 min ago". null: there is none. */
export function ageText(ms, staleMs) {
  if (ms === null) return "no position yet";
  const text = span(ms);
  const ago = text === "now" ? "just now" : `${text} ago`;
  return ms > staleMs ? `stale, ${ago}` : ago;
}

/** Speed in km/h from m/s. */
export const speedText = (mps) => (mps === null || mps === undefined ? "–" : `${Math.round(mps * 3.6)} km/h`);

const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"];

/** A compass point and the degrees. */
export function headingText(degrees) {
  if (degrees === null || degrees === undefined) return "–";
  const d = ((degrees % 360) + 360) % 360;
  return `${POINTS[Math.round(d / 45) % 8]} ${Math.round(d) % 360}°`;
}

/** A distance in metres. */
export function distanceText(m) {
  if (m === null) return "–";
  return m < 1000 ? `${Math.round(m / 10) * 10} m` : `${m < 10_000 ? (m / 1000).toFixed(1) : Math.round(m / 1000)} km`;
}

/** Clock time of the day. */
export const clock = (ms) => new Date(ms).toLocaleTimeString(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** One line of a trip's history for people, or null when it is only bookkeeping. */
export function timelineLine(event) {
  const d = event.data ?? {};
  switch (event.type) {
    case "trip_assigned":
      return { what: "Assigned", more: `${d.vehicleNumber ?? "A truck"} · ${seconds(d.driverAcceptTimeoutSeconds)} to answer` };
    case "trip_status":
      return { what: statusText(d.status), more: d.reason || d.message || "" };
    case "trip_timeout":
      return { what: "Transporter told of the silence", more: d.message ?? "" };
    case "trip_cancelled":
      return { what: "Driver told of the cancellation", more: d.reason ?? "" };
    case "driver_connectivity":
      return { what: "Nothing heard from the driver", more: d.message ?? "" };
    case "driver_approaching":
      return { what: "Approaching", more: d.durationText ?? "" };
    case "trip_track":
      return d.track?.odometerM > 0 ? { what: "Driven so far", more: distanceText(d.track.odometerM) } : null;
    default:
      return null;
  }
}

const seconds = (n) => (n > 0 ? `${n} s` : "some time");
