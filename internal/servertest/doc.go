// Package servertest gives tests real Postgres and Redis servers of their own, on free ports of the
// loopback, in a temporary folder. Nothing is shared with a server that happens to run on the machine.
//
// Invariants: a server is a direct child of the test process and ends with it, however that ends
// (the kernel kills it when the process dies, and a keeper removes the folder). A missing binary is
// a fatal error that names the package to install, never a skip: a test that did not run proves
// nothing.
//
// What to use:
//
//	servertest.Database(t)        URL of a fresh, migrated database on this process's shared server
//	servertest.Redis(t)           URL of an empty Redis, this test's alone until it ends
//	servertest.RedisCluster(t)    the same in cluster mode (one node that owns every slot)
//	servertest.PrivatePostgres(t) a server of this test alone that can be killed and started again
//	servertest.PrivateRedis(t)    likewise
package servertest
