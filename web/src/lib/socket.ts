// One DIFF connection: peeks, remembers what was asked, and asks again after a cut.
// `live` means the answer to everything asked is here; until then what is shown is stale and says so.
import type { DiffStore, Tree } from "./diff";

export type LinkState = "connecting" | "live" | "lost";
export type Pack = { aid: string; [key: string]: unknown };

/** What of a WebSocket is used; tests bring their own. */
export interface Line {
  readonly readyState?: number;
  send(text: string): void;
  close(): void;
  onopen: (() => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
}

export interface Options {
  url: () => string;
  store: DiffStore;
  /** Root keys a new connection sends whole, so that what vanished meanwhile does not linger. */
  whole: string[];
  /** Whether everything asked has been answered; asked after each message until it says yes. */
  settled: () => boolean;
  onState: (state: LinkState) => void;
  /** Frames that are not `rtn_data`. */
  onPack?: (pack: Pack) => void;
  /** When to ask for the next message: the page's frame rate is the limit, the server merges what lies between. */
  pace?: (go: () => void) => void;
  create?: (url: string) => Line;
  random?: () => number;
}

export const RETRY_MIN_MS = 500;
export const RETRY_MAX_MS = 8_000;
export const PING_MS = 5_000;
export const SILENCE_MS = 12_000;
const OPEN = 1;

export class DiffSocket {
  private line: Line | null = null;
  private open = false;
  private stopped = true;
  private failures = 0;
  private state: LinkState = "connecting";
  private fresh = false;
  private heardAt = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private beat: ReturnType<typeof setInterval> | undefined;
  private readonly standing = new Map<string, Pack>();

  constructor(private readonly options: Options) {}

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.connect();
  }

  /** End for good; standing requests are kept for another start. */
  stop(): void {
    this.stopped = true;
    clearTimeout(this.retry);
    this.drop();
    this.state = "connecting"; // another start says anew when it is live
  }

  /** Try now instead of at the end of the back-off: the network or the tab has come back. */
  nudge(): void {
    if (this.stopped || this.line) return;
    clearTimeout(this.retry);
    this.connect();
  }

  /** Ask for something that holds until it is replaced: sent now, and again on every new connection. */
  keep(key: string, pack: Pack): void {
    this.standing.set(key, pack);
    this.say(pack);
  }

  /** Let a standing request go; `last` tells the server. */
  forget(key: string, last?: Pack): void {
    if (this.standing.delete(key) && last) this.say(last);
  }

  /** Send once; false when there is no connection, because an order must never be sent later unasked. */
  send(pack: Pack): boolean {
    const ready = this.open && (this.line?.readyState ?? OPEN) === OPEN;
    if (ready) this.say(pack);
    return ready;
  }

  private say(pack: Pack): void {
    const line = this.line;
    if (this.open && line && (line.readyState ?? OPEN) === OPEN) line.send(JSON.stringify(pack));
  }

  private connect(): void {
    const create = this.options.create ?? ((url) => new WebSocket(url) as unknown as Line);
    const line = create(this.options.url());
    this.line = line;
    line.onopen = () => {
      if (this.line !== line) return;
      this.open = true;
      this.failures = 0;
      this.fresh = true;
      this.heardAt = now();
      for (const pack of this.standing.values()) this.say(pack);
      this.say({ aid: "peek_message" });
      this.beat = setInterval(() => this.listen(), PING_MS);
    };
    line.onmessage = (event) => {
      if (this.line === line && typeof event.data === "string") this.receive(event.data);
    };
    line.onclose = () => {
      if (this.line !== line) return;
      this.drop();
      this.failures += 1;
      this.tell("lost");
      if (this.stopped) return;
      const ceiling = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (this.failures - 1));
      const random = this.options.random ?? Math.random;
      this.retry = setTimeout(() => this.connect(), ceiling * (0.5 + random() / 2));
    };
  }

  private drop(): void {
    clearInterval(this.beat);
    const line = this.line;
    this.line = null;
    this.open = false;
    if (line) {
      line.onclose = null;
      line.close();
    }
  }

  /** A cut cable tells nobody: what stays silent though asked is closed here. */
  private listen(): void {
    if (now() - this.heardAt <= SILENCE_MS) {
      this.say({ aid: "ping" });
      return;
    }
    const close = this.line?.onclose;
    close?.({ code: 1006 });
  }

  private receive(text: string): void {
    this.heardAt = now();
    let pack: Pack;
    try {
      pack = JSON.parse(text) as Pack;
    } catch {
      return;
    }
    if (pack.aid !== "rtn_data") {
      this.options.onPack?.(pack);
      return;
    }
    if (this.fresh) {
      this.fresh = false;
      this.options.store.drop(...this.options.whole);
    }
    this.options.store.apply((pack.data as Tree[] | undefined) ?? []);
    if (this.state !== "live" && this.options.settled()) this.tell("live");
    const line = this.line;
    (this.options.pace ?? ((go) => go()))(() => {
      if (this.line === line) this.say({ aid: "peek_message" });
    });
  }

  private tell(state: LinkState): void {
    if (state === this.state) return;
    this.state = state;
    this.options.onState(state);
  }
}

const now = (): number => performance.now();

/** One message per painted frame; a hidden tab asks once a second. */
export function framePace(go: () => void): void {
  if (document.hidden) setTimeout(go, 1_000);
  else requestAnimationFrame(go);
}

/** The address of a socket of the server this page came from. */
export function socketUrl(path: string): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
}
