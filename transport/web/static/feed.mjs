// The page's connection: a session, the native WebSocket, a watch on all trips, and the way back
// after every loss. What comes in is handed to `on`; what it means is not known here.

const FIRST_WAIT = 500;
const MAX_WAIT = 15_000;
const REPLACED = 4409; // too many maps are open; coming back would close another one

export class Feed {
  /** on: {state(name), welcome(frame), frame(frame)} */
  constructor(on) {
    this.on = on;
    this.offset = 0; // server clock minus this machine's, ms
    this.wait = FIRST_WAIT;
    this.token = "";
    this.device = crypto.randomUUID?.() ?? String(Math.random());
  }

  /** The server's clock now, ms. */
  now() {
    return Date.now() + this.offset;
  }

  async start() {
    this.on.state("connecting");
    try {
      await this.login();
      this.open();
    } catch {
      this.retry();
    }
  }

  async login() {
    const answer = await fetch("/dev/session", { method: "POST" });
    if (!answer.ok) throw new Error(`session: ${answer.status}`);
    const { token, expMs, serverMs } = await answer.json();
    this.token = token;
    this.offset = serverMs - Date.now();
    clearTimeout(this.renewal);
    // A minute before its end, and at the latest in an hour, whatever the clocks say.
    this.renewal = setTimeout(() => this.renew(), Math.min(Math.max(expMs - serverMs - 60_000, 10_000), 3_600_000));
  }

  async renew() {
    try {
      await this.login();
      this.send({ t: "auth", token: this.token });
    } catch {
      this.renewal = setTimeout(() => this.renew(), 10_000);
    }
  }

  open() {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1`;
    const socket = new WebSocket(url, ["weelo.v1"]);
    this.socket = socket;
    socket.onopen = () => this.send({ t: "hello", token: this.token, device: this.device });
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (code === REPLACED) this.stop();
      else this.retry();
    };
  }

  receive(frame) {
    switch (frame.t) {
      case "welcome":
        this.offset = frame.serverMs - Date.now();
        this.wait = FIRST_WAIT;
        this.on.welcome(frame);
        this.send({ t: "watch", id: "all", all: true });
        this.on.state("live");
        this.keepAlive();
        return;
      case "goaway":
        this.wait = frame.reconnectMs;
        return;
      default:
        this.on.frame(frame);
    }
  }

  /** Proxies close silent connections; the server's own pings are invisible to a page. */
  keepAlive() {
    clearInterval(this.beat);
    this.beat = setInterval(() => this.send({ t: "ping" }), 25_000);
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  stop() {
    clearInterval(this.beat);
    clearTimeout(this.renewal);
    this.socket = null;
    this.on.state("replaced");
  }

  retry() {
    clearInterval(this.beat);
    this.socket = null;
    this.on.state("down");
    setTimeout(() => this.start(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, MAX_WAIT);
  }

  /** The history of one trip. */
  async timeline(trip) {
    const answer = await fetch(`/dev/trips/${encodeURIComponent(trip)}/timeline`, { headers: { Authorization: `Bearer ${this.token}` } });
    if (!answer.ok) throw new Error(`timeline: ${answer.status}`);
    return (await answer.json()).events;
  }
}
