// Package outage takes away from a running serve what it leans on, and looks at what people get meanwhile
// and after: Redis killed, slow and emptied; three processes that are guessed at together.
//
// The servers are real: serve as it is shipped, a Postgres and a Redis of the test's own.
package outage
