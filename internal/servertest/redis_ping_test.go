package servertest

import "testing"

// TestARedisIsNotTakenForAnother: a server whose port another one has is not up because that one answers.
func TestARedisIsNotTakenForAnother(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{false, true} {
		there := newRedis(t, cluster)
		there.Start(t)
		t.Cleanup(func() { there.Stop(t) })
		if err := there.ping(); err != nil {
			t.Errorf("cluster %v: a server does not know itself: %v", cluster, err)
		}
		late := newRedis(t, cluster)
		late.port = there.port
		if late.ping() == nil {
			t.Errorf("cluster %v: the answer of another server was taken for its own", cluster)
		}
		if late.run() == nil {
			t.Errorf("cluster %v: it runs on a port that another server has", cluster)
		}
		if err := there.ping(); err != nil {
			t.Errorf("cluster %v: the first server is gone: %v", cluster, err)
		}
	}
}
