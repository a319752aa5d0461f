// The share page's connection: the link's token is exchanged for a short one, the native WebSocket is
// opened with it, and the short one is renewed before it ends. A link that is over is final.
const FIRST_WAIT = 500;
const MAX_WAIT = 15_000;
const UNAUTHORIZED = 4401;
const REPLACED = 4409;

export class ShareFeed {
  /** on: {state(name), frame(frame)}; states: connecting, live, down, gone, full. */
  constructor(secret, on) {
    this.secret = secret;
    this.on = on;
    this.offset = 0;
    this.wait = FIRST_WAIT;
  }

  now() {
    return Date.now() + this.offset;
  }

  async start() {
    this.on.state("connecting");
    try {
      if (await this.exchange()) this.open();
    } catch {
      this.retry();
    }
  }

  /** False when the link does not work any more. */
  async exchange() {
    const answer = await fetch("/api/v1/share/exchange", {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: this.secret }), credentials: "omit",
    });
    if (answer.status === 404 || answer.status === 400) {
      this.stop("gone");
      return false;
    }
    if (!answer.ok) throw new Error(`exchange: ${answer.status}`);
    const { accessToken, tripId, expiresAt } = (await answer.json()).data;
    this.token = accessToken;
    this.trip = tripId;
    clearTimeout(this.renewal);
    const left = Date.parse(expiresAt) - this.now();
    this.renewal = setTimeout(() => this.renew(), Math.min(Math.max(left * 0.8, 500), 3_600_000));
    return true;
  }

  async renew() {
    try {
      if (await this.exchange()) this.send({ t: "auth", token: this.token });
    } catch {
      this.renewal = setTimeout(() => this.renew(), 5_000);
    }
  }

  open() {
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/v1`;
    const socket = new WebSocket(url, ["weelo.v1"]);
    this.socket = socket;
    socket.onopen = () => this.send({ t: "hello", token: this.token });
    socket.onmessage = ({ data }) => this.receive(JSON.parse(data));
    socket.onclose = ({ code }) => {
      if (this.socket !== socket) return;
      if (code === REPLACED) this.stop("full");
      else this.retry(code === UNAUTHORIZED ? 0 : undefined);
    };
  }

  receive(frame) {
    switch (frame.t) {
      case "welcome":
        this.offset = frame.serverMs - Date.now();
        this.wait = FIRST_WAIT;
        this.send({ t: "watch", id: "trip", trip: this.trip });
        this.on.state("live");
        clearInterval(this.beat);
        this.beat = setInterval(() => this.send({ t: "ping" }), 25_000);
        return;
      case "goaway":
        this.wait = frame.reconnectMs;
        return;
      default:
        this.on.frame(frame);
    }
  }

  send(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  stop(state) {
    clearInterval(this.beat);
    clearTimeout(this.renewal);
    const socket = this.socket;
    this.socket = null;
    this.stopped = true;
    socket?.close();
    this.on.state(state);
  }

  retry(wait = this.wait * (0.75 + Math.random() / 2)) {
    clearInterval(this.beat);
    clearTimeout(this.renewal);
    this.socket = null;
    if (this.stopped) return;
    this.on.state("down");
    setTimeout(() => this.start(), wait);
    this.wait = Math.min(this.wait * 2, MAX_WAIT);
  }
}
