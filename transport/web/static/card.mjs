// The card of one trip: where it goes, how it stands, what happened to it.
import { ageText, clock, distanceText, headingText, speedText, statusText, timelineLine } from "/static/format.mjs";
import { distance } from "/static/fleet.mjs";
import { set } from "/static/list.mjs";
import { toneOf } from "/static/map.mjs";

const byId = (id) => document.getElementById(id);

export class Card {
  constructor(fleet, feed) {
    this.fleet = fleet;
    this.feed = feed;
    this.root = byId("card");
    this.trip = null;
    this.version = -1;
  }

  show(id) {
    this.trip = id;
    this.version = -1;
    byId("timeline").replaceChildren();
    this.root.hidden = !id;
  }

  draw(now, staleMs) {
    const trip = this.trip && this.fleet.trips.get(this.trip);
    if (!trip) return;
    const age = this.fleet.age(trip, now);
    this.root.className = `panel card tone-${toneOf(trip, age, staleMs)}`;
    set(byId("c-plate"), trip.vehicle?.number || "Truck");
    set(byId("c-who"), [trip.driver?.name, [trip.vehicle?.type, trip.vehicle?.subtype].filter(Boolean).join(" ")].filter(Boolean).join(" · "));
    set(byId("c-age"), `${statusText(trip.status)}, ${ageText(age, staleMs)}`);
    set(byId("c-speed"), speedText(trip.pos?.speed));
    set(byId("c-heading"), trip.pos ? headingText(trip.heading) : "–");
    set(byId("c-left"), distanceText(trip.pos && trip.drop ? distance(trip.pos, trip.drop) : null));
    for (const [name, place] of [["from", trip.pickup], ["to", trip.drop]]) {
      set(byId(`c-${name}`), place?.city || (name === "from" ? "Pickup" : "Drop"));
      set(byId(`c-${name}-address`), place?.address ?? "");
    }
    if (trip.version !== this.version) {
      this.version = trip.version;
      this.readTimeline(trip.id);
    }
  }

  async readTimeline(id) {
    try {
      const events = await this.feed.timeline(id);
      if (id === this.trip) this.fillTimeline(events);
    } catch {
      this.version = -1; // read again with the next drawing
    }
  }

  fillTimeline(events) {
    const items = [];
    for (const event of events) {
      const said = timelineLine(event);
      if (!said) continue;
      const item = document.createElement("li");
      const what = document.createElement("div");
      what.className = "what";
      const name = document.createElement("span");
      name.textContent = said.what;
      const time = document.createElement("time");
      time.dateTime = new Date(event.at).toISOString();
      time.textContent = clock(event.at);
      what.append(name, time);
      item.append(what);
      if (said.more) {
        const more = document.createElement("div");
        more.className = "more";
        more.textContent = said.more;
        item.append(more);
      }
      items.push(item);
    }
    byId("timeline").replaceChildren(...items);
  }
}
