// One DIFF client of this server's own market socket: subscribe, peek, merge, come back after a loss.
const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;
const SILENCE_MS = 30_000;

function merge(tree, patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete tree[key];
    else if (typeof value === "object" && !Array.isArray(value)) {
      if (typeof tree[key] !== "object" || tree[key] === null) tree[key] = {};
      merge(tree[key], value);
    } else tree[key] = value;
  }
}

export class Feed {
  /** `changed(symbols)` after quotes changed, `stateChanged(state)` with connecting | live | lost. */
  constructor(url, changed, stateChanged) {
    this.url = url;
    this.quotes = {};
    this.seen = {}; // symbol -> when its last change arrived
    this.state = "connecting";
    this.changed = changed;
    this.stateChanged = stateChanged;
    this.wanted = "";
    this.retry = FIRST_RETRY_MS;
    this.connect();
  }

  /** Replace what is watched. */
  subscribe(symbols) {
    const wanted = symbols.join(",");
    if (wanted === this.wanted) return;
    this.wanted = wanted;
    const keep = new Set(symbols);
    for (const symbol of Object.keys(this.quotes)) if (!keep.has(symbol)) { delete this.quotes[symbol]; delete this.seen[symbol]; }
    this.send({ aid: "subscribe_quote", ins_list: wanted });
  }

  connect() {
    this.enter("connecting");
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onopen = () => {
      this.send({ aid: "peek_message" });
      if (this.wanted) this.send({ aid: "subscribe_quote", ins_list: this.wanted });
    };
    socket.onmessage = (event) => this.receive(event.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.enter("lost");
      setTimeout(() => this.connect(), this.retry * (0.5 + Math.random() / 2));
      this.retry = Math.min(LAST_RETRY_MS, this.retry * 2);
    };
  }

  receive(data) {
    const message = JSON.parse(data);
    if (message.aid !== "rtn_data") return;
    this.enter("live");
    this.retry = FIRST_RETRY_MS;
    const now = performance.now();
    const touched = new Set();
    for (const part of message.data) {
      for (const [symbol, patch] of Object.entries(part.quotes ?? {})) {
        merge((this.quotes[symbol] ??= {}), patch);
        this.seen[symbol] = now;
        touched.add(symbol);
      }
    }
    this.send({ aid: "peek_message" });
    if (touched.size) this.changed(touched);
  }

  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  enter(state) {
    if (state === this.state) return;
    this.state = state;
    this.stateChanged(state);
  }
}

export { SILENCE_MS };
