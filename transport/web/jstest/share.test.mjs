import assert from "node:assert/strict";
import { test } from "node:test";
import { etaMinutes, etaText, goal, metres } from "../static/share-rules.mjs";

const drop = { lat: 13.0, lng: 77.6 }, pickup = { lat: 12.9, lng: 77.6 };

test("a degree of latitude is 111 km", () => assert.ok(Math.abs(metres({ lat: 12, lng: 77 }, { lat: 13, lng: 77 }) - 111_195) < 10));

test("the truck goes to the pickup, then to the drop, then nowhere", () => {
  assert.equal(goal("heading_to_pickup"), "pickup");
  assert.equal(goal("in_transit"), "drop");
  for (const status of ["pending", "at_pickup", "arrived_at_drop", "completed", "cancelled"]) assert.equal(goal(status), null);
});

test("roads are 1.3 times as long, at 30 km/h", () => {
  assert.equal(etaMinutes({ status: "in_transit", drop, pickup }, pickup), 29); // 11.12 km
  assert.equal(etaMinutes({ status: "in_transit", drop, pickup }, null), null);
  assert.equal(etaMinutes({ status: "completed", drop, pickup }, pickup), null);
  assert.equal(etaMinutes({ status: "in_transit", drop, pickup }, drop), 1);
});

test("minutes for people", () => {
  assert.equal(etaText(null, "drop"), "");
  assert.equal(etaText(29, "drop"), "About 29 min to the drop");
  assert.equal(etaText(135, "pickup"), "About 2 h 15 min to the pickup");
});
