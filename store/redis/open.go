package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Open is OpenWithin the default Timeout.
func Open(ctx context.Context, url string) (goredis.UniversalClient, error) {
	return OpenWithin(ctx, url, Timeout)
}

// OpenWithin connects to the server of a redis:// or rediss:// URL and finds out by itself whether it runs
// in cluster mode. A command may take as long as timeout says, whatever its caller would wait: Redis answers within
// milliseconds or is in trouble, and then a quick no is better than a slow one. Only reads are repeated (patience). A
// server that fails is left alone for a moment (breaker).
func OpenWithin(ctx context.Context, url string, timeout time.Duration) (goredis.UniversalClient, error) {
	o, err := goredis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", hideURL(err, url))
	}
	single := goredis.NewClient(tuned(o, timeout))
	clustered, err := isCluster(ctx, single)
	if err != nil {
		_ = single.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	if !clustered {
		single.AddHook(traced{})
		single.AddHook(patience{timeout})
		single.AddHook(newBreaker()) // each try of a read counts
		return single, nil
	}
	if err := single.Close(); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	cluster := goredis.NewClusterClient(&goredis.ClusterOptions{
		Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password, TLSConfig: o.TLSConfig,
		MaxRedirects: 3, MaxRetries: -1, DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		PoolTimeout: o.PoolTimeout, ContextTimeoutEnabled: true,
	})
	cluster.AddHook(traced{})
	cluster.AddHook(patience{timeout})
	cluster.OnNewNode(func(node *goredis.Client) {
		node.AddHook(oneshot{})
		node.AddHook(newBreaker())
	})
	if err := cluster.Ping(ctx).Err(); err != nil {
		_ = cluster.Close()
		return nil, fmt.Errorf("redis: %w", err)
	}
	return cluster, nil
}

// tuned leaves time to patience: what the library would wait by itself is never shorter.
func tuned(o *goredis.Options, timeout time.Duration) *goredis.Options {
	o.MaxRetries = -1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 2*time.Second, batchTimes*timeout, batchTimes*timeout
	o.PoolTimeout = timeout
	o.ContextTimeoutEnabled = true
	return o
}

func isCluster(ctx context.Context, c *goredis.Client) (bool, error) {
	info, err := c.Info(ctx, "cluster").Result()
	if err != nil {
		return false, err
	}
	return strings.Contains(info, "cluster_enabled:1"), nil
}

// hideURL keeps a password in the URL out of the error.
func hideURL(err error, url string) error {
	if strings.Contains(err.Error(), url) {
		return errors.New("REDIS_URL cannot be read")
	}
	return err
}

// traced makes a span of each command below a span that is being recorded, and costs nothing
// otherwise. It names the command and never its keys: they contain phone numbers.
type traced struct{}

var _ goredis.Hook = traced{}

// DialHook passes through.
func (traced) DialHook(next goredis.DialHook) goredis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook traces one command.
func (traced) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return next(ctx, cmd)
		}
		ctx, span := start(ctx, cmd.FullName())
		err := next(ctx, cmd)
		end(span, err)
		return err
	}
}

// ProcessPipelineHook traces a pipeline as one span.
func (traced) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		if !trace.SpanFromContext(ctx).IsRecording() {
			return next(ctx, cmds)
		}
		ctx, span := start(ctx, "pipeline", attribute.Int("db.operation.batch.size", len(cmds)))
		err := next(ctx, cmds)
		end(span, err)
		return err
	}
}

func start(ctx context.Context, command string, more ...attribute.KeyValue) (context.Context, trace.Span) {
	return otel.Tracer("weelo/store/redis").Start(ctx, "redis "+command, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(append(more, attribute.String("db.system.name", "redis"), attribute.String("db.operation.name", command))...))
}

func end(span trace.Span, err error) {
	// A script that is not loaded yet is loaded by the next command: no failure.
	if err != nil && !errors.Is(err, goredis.Nil) && !strings.HasPrefix(err.Error(), "NOSCRIPT") {
		span.SetStatus(codes.Error, "failed")
	}
	span.End()
}
