// Package outage takes Redis, Postgres, the SMS provider and the process itself away from a running serve,
// and looks at what people get meanwhile and after. Every row of docs/outages.md is a test here, by the name
// the page gives it.
//
// The servers are real: serve as it is shipped, a Postgres and a Redis of the test's own that are killed,
// stopped and emptied.
package outage
