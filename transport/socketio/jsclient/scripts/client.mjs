// The official client, driven by a test: one JSON command per line on standard input, one JSON line
// on standard output for everything that happens to it. Like the Captain app it uses the websocket
// transport only, and sends the greatest _seq it has seen as lastSeq when it connects again.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, token] = process.argv.slice(2);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

let lastSeq = 0;
const socket = io(url, {
  transports: ["websocket"],
  forceNew: true,
  reconnectionDelay: 20,
  reconnectionDelayMax: 50,
  auth: (send) => send(lastSeq > 0 ? { token, lastSeq: String(lastSeq) } : token ? { token } : {}),
});

socket.on("connect", () => say({ is: "connect", recovered: socket.recovered }));
socket.on("connect_error", (error) => say({ is: "connect_error", message: error.message, data: error.data ?? null, active: socket.active }));
socket.on("disconnect", (reason) => say({ is: "disconnect", reason, active: socket.active }));
socket.onAny((event, payload) => {
  if (payload?._seq > lastSeq) lastSeq = payload._seq;
  say({ is: "event", event, payload: payload ?? null });
});

for await (const line of createInterface({ input: process.stdin })) {
  const { emit, ack } = JSON.parse(line);
  if (ack) socket.timeout(3000).emit(...emit, (error, answer) => say({ is: "ack", answer: answer ?? null, failed: error !== null }));
  else socket.emit(...emit);
}
socket.disconnect();
