// The orders that are being dispatched, as the server last said, and what was seen of them.

const LINGER_MS = 6000; // an order that has ended stays on the map for a moment

export class Orders {
  constructor() {
    this.orders = new Map();
    this.seen = new Set(); // what happened to any order since the page was opened
  }

  apply(view, now) {
    const old = this.orders.get(view.orderId);
    if (old && old.orderLifecycleVersion > view.orderLifecycleVersion) return;
    this.orders.set(view.orderId, { ...view, gone: view.endedMs ? now + LINGER_MS : 0 });
    if (view.radiusKm > 0) this.seen.add("searching");
    if (old && view.radiusKm > old.radiusKm && old.radiusKm > 0) this.seen.add("widening");
    if (view.held > 0) this.seen.add("held");
    if (view.assigned > 0) this.seen.add("confirmed");
    if (view.filled > 0) this.seen.add("filled");
    this.seen.add(view.status);
  }

  /** Forgets what has ended; true when that changed anything. */
  prune(now) {
    let gone = false;
    for (const [id, o] of this.orders) {
      if (o.gone && o.gone < now) gone = this.orders.delete(id);
    }
    return gone;
  }

  clear() {
    this.orders.clear();
  }

  /** How many are being searched for at this moment. */
  searching() {
    return [...this.orders.values()].filter((o) => o.radiusKm > 0).length;
  }
}

/** The tone of an order: what it waits for. */
export function orderTone(o) {
  if (o.endedMs) return o.status === "completed" ? "arrived" : "ended";
  if (o.filled === o.trucks) return "moving";
  if (o.held > 0 || o.assigned > 0 || o.filled > 0) return "loading";
  return "waiting";
}

const KM_PER_DEGREE = 111.195;

/** A ring of so many kilometres around a place, as [lng, lat] pairs. */
export function ring(place, km) {
  const points = [];
  for (let i = 0; i <= 48; i++) {
    const a = (i / 48) * 2 * Math.PI;
    const dLat = (km / KM_PER_DEGREE) * Math.sin(a);
    const dLng = (km / KM_PER_DEGREE / Math.cos((place.latitude * Math.PI) / 180)) * Math.cos(a);
    points.push([place.longitude + dLng, place.latitude + dLat]);
  }
  return points;
}
