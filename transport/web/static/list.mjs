// The list of trips. Rows are kept and changed in place, so that a click never hits a row that was
// just replaced. Names come from people: they are only ever set as text.
import { ageText, statusText } from "/static/format.mjs";
import { toneOf } from "/static/map.mjs";

const MAX_ROWS = 300;

export class TripList {
  constructor(list, empty, search, fleet, select) {
    this.list = list;
    this.empty = empty;
    this.fleet = fleet;
    this.select = select;
    this.rows = new Map();
    this.query = "";
    search.addEventListener("input", () => {
      this.query = search.value.trim().toLowerCase();
      this.onsearch?.();
    });
  }

  draw(now, staleMs, selected) {
    const wanted = this.fleet.sorted().filter((t) => this.matches(t));
    const shown = wanted.slice(0, MAX_ROWS);
    const ids = new Set(shown.map((t) => t.id));
    for (const [id, row] of this.rows) {
      if (!ids.has(id)) {
        row.item.remove();
        this.rows.delete(id);
      }
    }
    shown.forEach((trip, i) => {
      const row = this.row(trip.id);
      if (this.list.children[i] !== row.item) this.list.insertBefore(row.item, this.list.children[i] ?? null);
      this.fill(row, trip, now, staleMs, selected);
    });
    this.empty.hidden = shown.length > 0;
    this.empty.textContent = this.query
      ? "No trip matches."
      : "No trips yet. They appear here as soon as a driver is assigned.";
  }

  matches(trip) {
    if (!this.query) return true;
    const text = [trip.vehicle?.number, trip.driver?.name, trip.pickup?.city, trip.drop?.city, trip.pickup?.address, trip.drop?.address, statusText(trip.status)];
    return text.some((t) => t?.toLowerCase().includes(this.query));
  }

  row(id) {
    let row = this.rows.get(id);
    if (row) return row;
    const item = document.createElement("li");
    const button = document.createElement("button");
    button.className = "trip";
    button.dataset.trip = id;
    const cells = {};
    for (const name of ["dot", "plate", "age", "to"]) {
      cells[name] = document.createElement("span");
      cells[name].className = name;
      button.append(cells[name]);
    }
    button.addEventListener("click", () => this.select(id));
    item.append(button);
    row = { item, button, ...cells };
    this.rows.set(id, row);
    return row;
  }

  fill(row, trip, now, staleMs, selected) {
    const age = this.fleet.age(trip, now);
    const tone = toneOf(trip, age, staleMs);
    set(row.plate, trip.vehicle?.number || "Truck");
    set(row.to, `${statusText(trip.status)} · ${trip.pickup?.city || "pickup"} → ${trip.drop?.city || "drop"}`);
    set(row.age, trip.endedMs ? "" : ageText(age, staleMs));
    row.age.className = tone === "stale" ? "age stale" : "age";
    row.button.className = `trip tone-${tone}`;
    row.button.setAttribute("aria-pressed", String(trip.id === selected));
  }
}

/** Changes a text only when it differs: the page is drawn every second. */
export function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
