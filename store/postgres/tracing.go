package postgres

import (
	"context"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/trace"
)

// recordingOnly makes statement spans cost nothing outside a recorded trace, and keeps polling
// loops from starting traces of their own.
type recordingOnly struct{ otel *otelpgx.Tracer }

var (
	_ pgx.QueryTracer = recordingOnly{}
	_ pgx.BatchTracer = recordingOnly{}
)

func recording(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

func (r recordingOnly) TraceQueryStart(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if !recording(ctx) {
		return ctx
	}
	return r.otel.TraceQueryStart(ctx, c, d)
}

func (r recordingOnly) TraceQueryEnd(ctx context.Context, c *pgx.Conn, d pgx.TraceQueryEndData) {
	if recording(ctx) {
		r.otel.TraceQueryEnd(ctx, c, d)
	}
}

func (r recordingOnly) TraceBatchStart(ctx context.Context, c *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	if !recording(ctx) {
		return ctx
	}
	return r.otel.TraceBatchStart(ctx, c, d)
}

func (r recordingOnly) TraceBatchQuery(ctx context.Context, c *pgx.Conn, d pgx.TraceBatchQueryData) {
	if recording(ctx) {
		r.otel.TraceBatchQuery(ctx, c, d)
	}
}

func (r recordingOnly) TraceBatchEnd(ctx context.Context, c *pgx.Conn, d pgx.TraceBatchEndData) {
	if recording(ctx) {
		r.otel.TraceBatchEnd(ctx, c, d)
	}
}
