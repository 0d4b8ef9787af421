/**
 * One console's WebSocket: connects again by itself, goes on at the byte where it was, and acknowledges what the
 * screen has shown, so that the node never sends more than the screen can take.
 */
const FIRST_DELAY_MS = 250;
const LAST_DELAY_MS = 8000;
const PING_EVERY_MS = 5000;
const SILENCE_MS = 15000;
const EARLY_PINGS = 4;
const EARLY_PING_MS = 150;
/** The server takes at most so many bytes in one message. */
const FRAME_BYTES = 4096;
const ACK_BYTES = 128 * 1024;
/** Closed for a reason that trying again won't change. */
const FINAL = new Map([
  [4401, "rights"],
  [4404, "missing"],
  [4409, "refused"],
  [4429, "busy"],
]);

export class Connection extends EventTarget {
  /** Events: `state` {state, reason}, `message` {…}, `content` {bytes, past}, `latency` {ms}. */
  constructor(url) {
    super();
    this.url = url;
    this.offset = -1;
    this.shown = -1;
    this.acknowledged = -1;
    this.pastEnd = -1;
    this.attempts = 0;
    this.ended = false;
    this.refusal = null;
    this.encoder = new TextEncoder();
    this.online = () => this.retryNow();
    window.addEventListener("online", this.online);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.refusal = null;
    this.tell("state", { state: this.attempts ? "reconnecting" : "connecting" });
    const socket = new WebSocket(this.url);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("open", () => this.send({ type: "resume", offset: this.offset }));
    socket.addEventListener("message", (event) => this.socket === socket && this.receive(event.data));
    socket.addEventListener("close", (event) => this.socket === socket && this.closed(event.code));
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.giveUp(), SILENCE_MS);
  }

  receive(data) {
    this.heard();
    if (typeof data === "string") {
      this.control(JSON.parse(data));
      return;
    }
    const bytes = new Uint8Array(data);
    const past = this.offset < this.pastEnd;
    this.offset += bytes.length;
    this.tell("content", { bytes, past, offset: this.offset });
  }

  control(message) {
    if (message.type === "start") this.started(message);
    else if (message.type === "gap") this.offset = message.to;
    else if (message.type === "pong") this.answered();
    else if (message.type === "exit") this.ended = true;
    else if (message.type === "error") this.refusal = message;
    this.tell("message", message);
  }

  started(message) {
    this.attempts = 0;
    if (message.offset < this.offset) this.tell("message", { type: "anew" });
    this.offset = message.offset;
    this.shown = message.offset;
    this.acknowledged = message.offset;
    this.pastEnd = message.end;
    this.send({ type: "ack", offset: message.offset });
    this.tell("state", { state: "open" });
    clearInterval(this.pinger);
    this.pinger = setInterval(() => this.ping(), PING_EVERY_MS);
    this.early = EARLY_PINGS;
    this.ping();
  }

  /** The first answers wait for the page, which is being drawn, and not for the network: the quickest counts. */
  answered() {
    const ms = performance.now() - this.pinged;
    if (this.early === 0) return this.tell("latency", { ms });
    this.quickest = this.early === EARLY_PINGS ? ms : Math.min(this.quickest, ms);
    this.early -= 1;
    if (this.early > 0) setTimeout(() => this.ping(), EARLY_PING_MS);
    else this.tell("latency", { ms: this.quickest });
  }

  ping() {
    this.pinged = performance.now();
    this.send({ type: "ping", id: Math.floor(this.pinged) });
  }

  heard() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.giveUp(), SILENCE_MS);
  }

  /** Nothing came for too long: a network that vanished without a word. */
  giveUp() {
    const socket = this.socket;
    this.socket = undefined;
    socket?.close();
    this.closed(1006);
  }

  closed(code) {
    clearInterval(this.pinger);
    clearTimeout(this.silence);
    this.socket = undefined;
    if (this.disposed) return;
    if (this.ended) this.tell("state", { state: "ended" });
    else if (FINAL.has(code)) this.tell("state", { state: "refused", reason: FINAL.get(code), error: this.refusal });
    else {
      const delay = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.attempts) * (0.7 + 0.6 * Math.random());
      this.attempts += 1;
      this.tell("state", { state: "reconnecting", error: this.refusal });
      this.timer = setTimeout(() => this.open(), delay);
    }
  }

  /** The person asks, or the network is back. */
  retryNow() {
    if (this.socket || this.disposed) return;
    this.ended = false;
    this.attempts = Math.max(1, Math.min(this.attempts, 1));
    this.open();
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  send(message) {
    if (this.isOpen) this.socket.send(JSON.stringify(message));
  }

  /** Types text, in pieces that the server takes. False when nobody is there to take it. */
  type(text) {
    return this.typeBytes(this.encoder.encode(text));
  }

  typeBytes(bytes) {
    if (!this.isOpen) return false;
    for (let at = 0; at < bytes.length; at += FRAME_BYTES) this.socket.send(bytes.subarray(at, at + FRAME_BYTES));
    return true;
  }

  resize(cols, rows) {
    this.send({ type: "resize", cols, rows });
  }

  /** The screen has shown everything up to `offset`. */
  showed(offset) {
    if (offset <= this.shown) return;
    this.shown = offset;
    if (offset - this.acknowledged >= ACK_BYTES || offset === this.offset) {
      this.acknowledged = offset;
      this.send({ type: "ack", offset });
    }
  }

  dispose() {
    this.disposed = true;
    window.removeEventListener("online", this.online);
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    clearInterval(this.pinger);
    this.socket?.close();
  }

  tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
