// Package resttest calls an API the way an app does and checks every answer against the API's own
// OpenAPI document.
//
// Invariant: an answer that the document does not describe fails the test that got it, whatever the
// test was about.
package resttest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// Client calls one API. Its fields are sent with every call; copy it with With to change them.
type Client struct {
	server  *httptest.Server
	router  routers.Router
	header  http.Header
	testing testing.TB
}

// New serves h until the test ends.
func New(t testing.TB, h http.Handler) *Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	c := &Client{server: s, header: http.Header{}, testing: t}
	doc := c.document()
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("resttest: routes of /openapi.json: %v", err)
	}
	c.router = router
	return c
}

// URL is the server's base.
func (c *Client) URL() string { return c.server.URL }

func (c *Client) document() *openapi3.T {
	c.testing.Helper()
	res, err := c.server.Client().Get(c.server.URL + "/openapi.json")
	if err != nil {
		c.testing.Fatalf("resttest: %v", err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.testing.Fatalf("resttest: %v", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		c.testing.Fatalf("resttest: /openapi.json does not load: %v", err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		c.testing.Fatalf("resttest: /openapi.json is not valid: %v", err)
	}
	doc.Servers = nil
	return doc
}

// With gives a client that also sends the header.
func (c *Client) With(name, value string) *Client {
	d := *c
	d.header = c.header.Clone()
	d.header.Set(name, value)
	return &d
}

// As gives a client with the access token.
func (c *Client) As(access string) *Client { return c.With("Authorization", "Bearer "+access) }

// Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Raw    []byte
	t      testing.TB
}

// Call sends body (nil, a string sent as it is, or anything that marshals) and checks the answer.
func (c *Client) Call(method, path string, body any) Answer {
	c.testing.Helper()
	var payload []byte
	switch b := body.(type) {
	case nil:
	case string:
		payload = []byte(b)
	case []byte:
		payload = b
	default:
		var err error
		if payload, err = json.Marshal(b); err != nil {
			c.testing.Fatalf("resttest: %v", err)
		}
	}
	req, err := http.NewRequestWithContext(context.Background(), method, c.server.URL+path, bytes.NewReader(payload))
	if err != nil {
		c.testing.Fatalf("resttest: %v", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	res, err := c.server.Client().Do(req)
	if err != nil {
		c.testing.Fatalf("resttest: %s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.testing.Fatalf("resttest: %s %s: %v", method, path, err)
	}
	a := Answer{Status: res.StatusCode, Header: res.Header, Raw: raw, t: c.testing}
	c.check(req, payload, a)
	return a
}

// check validates the answer against the document, and the request too when it succeeded: what the
// API takes is what the document says. A call that the document does not know must have been answered
// with a refusal in the envelope.
func (c *Client) check(req *http.Request, payload []byte, a Answer) {
	c.testing.Helper()
	route, params, err := c.router.FindRoute(req)
	if err != nil {
		if a.Status != http.StatusNotFound && a.Status != http.StatusMethodNotAllowed {
			c.testing.Errorf("resttest: %s %s is not in /openapi.json, yet answered %d", req.Method, req.URL.Path, a.Status)
		}
		return
	}
	asked := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{
		AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}}
	if a.Status < http.StatusMultipleChoices {
		req.Body = io.NopCloser(bytes.NewReader(payload))
		if err := openapi3filter.ValidateRequest(context.Background(), asked); err != nil {
			c.testing.Errorf("resttest: %s %s was taken, though /openapi.json does not allow it: %v\n%s", req.Method, req.URL.Path, err, payload)
		}
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: asked,
		Status:                 a.Status, Header: a.Header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes(a.Raw)
	if err := openapi3filter.ValidateResponse(context.Background(), in); err != nil {
		c.testing.Errorf("resttest: %s %s answered %d against /openapi.json: %v\n%s", req.Method, req.URL.Path, a.Status, err, a.Raw)
	}
}

// Want fails the test unless the status is as said; it returns the answer for more.
func (a Answer) Want(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d: %s", a.Status, status, a.Raw)
	}
	return a
}

// Refused fails the test unless the answer is the envelope of a refusal with status and code.
func (a Answer) Refused(status int, code string) Answer {
	a.t.Helper()
	a.Want(status)
	var e struct {
		Success *bool `json:"success"`
		Error   struct{ Code, Message string }
	}
	if err := json.Unmarshal(a.Raw, &e); err != nil || e.Success == nil || *e.Success || e.Error.Code != code || e.Error.Message == "" {
		a.t.Fatalf("want a refusal %s with a message, got %s", code, a.Raw)
	}
	return a
}

// Data reads the data of a success into v.
func (a Answer) Data(v any) Answer {
	a.t.Helper()
	var e struct {
		Success bool
		Data    json.RawMessage
	}
	if err := json.Unmarshal(a.Raw, &e); err != nil || !e.Success {
		a.t.Fatalf("want a success, got %d %s", a.Status, a.Raw)
	}
	if err := json.Unmarshal(e.Data, v); err != nil {
		a.t.Fatalf("data: %v: %s", err, a.Raw)
	}
	return a
}
