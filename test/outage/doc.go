// Package outage takes away from a running serve what it leans on, and looks at what people get meanwhile
// and after: Redis killed, slow and emptied; Postgres killed and frozen; an SMS provider down and slow;
// clocks that differ; tasks killed, racing, and replaced under other keys. docs/outages.md lists what is
// promised.
//
// The servers are real: serve as it is shipped, a Postgres and a Redis of the test's own.
package outage
