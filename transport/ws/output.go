package ws

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
)

// output is a connection under the socket library. The library writes control frames through it,
// each in one piece; the hub's messages are framed here, because the library cannot write without
// waiting. Both take the lock, so that no frame gets into another.
type output struct {
	net.Conn
	raw     syscall.RawConn // nil: not a kernel socket (tests), TryWrite always declines
	attempt func(fd uintptr) bool
	input   input

	turn chan struct{} // holds a token while somebody writes; closing the connection ends the wait for it
	rest []byte        // of a frame that went out in part; before anything else
	now  []byte        // argument and
	n    int           // results of attempt
	err  error
}

func newOutput(c net.Conn) *output {
	o := &output{Conn: c, turn: make(chan struct{}, 1)}
	if k, ok := c.(syscall.Conn); ok {
		if raw, err := k.SyscallConn(); err == nil {
			o.raw, o.attempt = raw, o.once
			o.input.fill = o.input.once
		}
	}
	return o
}

// input is the reading half: what has arrived is taken from the kernel in one piece, into a buffer
// that is held only while there is something in it. It belongs to whoever reads.
type input struct {
	fill   func(fd uintptr) bool
	buffer *[]byte // of the pool; nil: nothing is left over
	rest   []byte  // of buffer
	n      int     // results of fill
	err    error
}

// arrivals are buffers for what has arrived: a batch of ten fixes has about 1,100 bytes.
var arrivals = sync.Pool{New: func() any { b := make([]byte, 4096); return &b }}

// once reads what is there; false: nothing is, and the connection is to be waited for.
func (i *input) once(fd uintptr) bool {
	i.buffer = arrivals.Get().(*[]byte)
	for {
		i.n, i.err = syscall.Read(int(fd), *i.buffer)
		if !errors.Is(i.err, syscall.EINTR) {
			break
		}
	}
	if i.err == nil && i.n > 0 {
		return true
	}
	i.release()
	return !errors.Is(i.err, syscall.EAGAIN)
}

func (i *input) release() {
	arrivals.Put(i.buffer)
	i.buffer, i.rest = nil, nil
}

// Read implements net.Conn for the socket library.
func (o *output) Read(b []byte) (int, error) {
	i := &o.input
	if o.raw == nil || len(b) == 0 {
		return o.Conn.Read(b)
	}
	if i.buffer == nil {
		if err := o.raw.Read(i.fill); err != nil {
			return 0, err
		}
		switch {
		case i.err != nil:
			return 0, os.NewSyscallError("read", i.err)
		case i.n == 0:
			return 0, io.EOF
		}
		i.rest = (*i.buffer)[:i.n]
	}
	n := copy(b, i.rest)
	if i.rest = i.rest[n:]; len(i.rest) == 0 {
		i.release()
	}
	return n, nil
}

// once is one write that does not wait.
func (o *output) once(fd uintptr) bool {
	for {
		o.n, o.err = syscall.Write(int(fd), o.now)
		if !errors.Is(o.err, syscall.EINTR) {
			return true // done, whatever came of it: waiting is not wanted
		}
	}
}

// Write implements net.Conn for the socket library.
func (o *output) Write(b []byte) (int, error) {
	o.turn <- struct{}{}
	defer o.give()
	if err := o.flushLocked(); err != nil {
		return 0, err
	}
	return o.Conn.Write(b)
}

func (o *output) give() { <-o.turn }

func (o *output) flushLocked() error {
	if len(o.rest) == 0 {
		return nil
	}
	_, err := o.Conn.Write(o.rest)
	o.rest = nil
	return err
}

var frames = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// message writes one text message and waits as long as that takes.
func (o *output) message(m []byte) error {
	frame := frames.Get().(*[]byte)
	defer frames.Put(frame)
	*frame = appendFrame((*frame)[:0], m)
	_, err := o.Write(*frame)
	return err
}

// try writes one text message if that needs no wait. A part that went out is remembered with its rest.
func (o *output) try(m []byte) (done bool, err error) {
	if o.raw == nil {
		return false, nil
	}
	select {
	case o.turn <- struct{}{}:
		defer o.give()
	default:
		return false, nil
	}
	if len(o.rest) > 0 {
		return false, nil
	}
	frame := frames.Get().(*[]byte)
	defer frames.Put(frame)
	*frame = appendFrame((*frame)[:0], m)
	o.now = *frame
	err = o.raw.Write(o.attempt)
	o.now = nil
	switch {
	case err != nil:
		return false, err
	case errors.Is(o.err, syscall.EAGAIN):
		return false, nil
	case o.err != nil:
		return false, o.err
	case o.n < len(*frame):
		o.rest = append([]byte(nil), (*frame)[o.n:]...)
		go o.flush()
	}
	return true, nil
}

// flush sends the rest of a frame when nothing else does. An error shows at the next write.
func (o *output) flush() {
	o.turn <- struct{}{}
	defer o.give()
	_ = o.flushLocked()
}

// appendFrame appends a message as one unmasked text frame (RFC 6455 §5.2).
func appendFrame(dst, m []byte) []byte {
	const finText = 0x81
	switch n := len(m); {
	case n < 126:
		dst = append(dst, finText, byte(n))
	case n < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, finText, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, finText, 127), uint64(n))
	}
	return append(dst, m...)
}

// The buffers that the socket library gets: small, because messages are read from and into pooled
// buffers and written past it. A frame header and a position fit into the first, a control frame into the second.
const (
	readBuffer  = 512
	writeBuffer = 144
)

// hijacker puts an output under a connection that is being upgraded.
type hijacker struct {
	http.ResponseWriter
	out    *output
	reader *bufio.Reader // of the socket library
}

// settle takes out what the library put between its reader and the connection for bytes that came
// with the upgrade; to be called before anything is read.
func (h *hijacker) settle() {
	if h.reader != nil {
		h.reader.Reset(h.out)
	}
}

// Hijack implements http.Hijacker.
func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, b, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.out = newOutput(c)
	reader := b.Reader
	if reader.Buffered() == 0 { // else the client was early, and its buffer stays
		reader = bufio.NewReaderSize(h.out, readBuffer)
		h.reader = reader
	}
	return h.out, bufio.NewReadWriter(reader, bufio.NewWriterSize(h.out, writeBuffer)), nil
}
