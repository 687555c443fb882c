import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DiffStore, type Tree } from "../src/lib/diff";
import { DiffSocket, RETRY_MAX_MS, SILENCE_MS, type Line, type LinkState, type Pack } from "../src/lib/socket";

class FakeLine implements Line {
  onopen: Line["onopen"] = null;
  onclose: Line["onclose"] = null;
  onmessage: Line["onmessage"] = null;
  sent: Pack[] = [];
  closed = false;
  send(text: string): void { this.sent.push(JSON.parse(text) as Pack); }
  close(): void { this.closed = true; }
  say(pack: unknown): void { this.onmessage?.({ data: JSON.stringify(pack) }); }
}

type Entry = { c?: Pack; s?: Tree };
const recorded: Entry[] = JSON.parse(readFileSync(new URL("./market_frames.json", import.meta.url), "utf8"));

let lines: FakeLine[];
let states: LinkState[];
let store: DiffStore;
let socket: DiffSocket;
const line = (): FakeLine => lines.at(-1) as FakeLine;

beforeEach(() => {
  vi.useFakeTimers();
  lines = [];
  states = [];
  store = new DiffStore();
  socket = new DiffSocket({
    url: () => "ws://test", store, whole: ["ins_list", "charts"], random: () => 1,
    settled: () => store.tree.ins_list === "A,B",
    onState: (state) => states.push(state),
    create: () => { lines.push(new FakeLine()); return line(); },
  });
});
afterEach(() => { socket.stop(); vi.useRealTimers(); });

describe("a connection", () => {
  it("asks what stands, then peeks once per message", () => {
    socket.keep("quotes", { aid: "subscribe_quote", ins_list: "A,B" });
    socket.start();
    expect(line().sent).toEqual([]);
    line().onopen?.();
    expect(line().sent).toEqual([{ aid: "subscribe_quote", ins_list: "A,B" }, { aid: "peek_message" }]);
    line().say({ aid: "rsp_subscribe_quote", ins_list: "A,B" });
    expect(line().sent).toHaveLength(2);
    line().say({ aid: "rtn_data", data: [{ ins_list: "A,B" }] });
    expect(line().sent.at(-1)).toEqual({ aid: "peek_message" });
    expect(states).toEqual(["live"]);
  });

  it("says live again after it was stopped and started, as another account does", () => {
    socket.start();
    line().onopen?.();
    line().say({ aid: "rtn_data", data: [{ ins_list: "A,B" }] });
    socket.stop();
    socket.start();
    line().onopen?.();
    line().say({ aid: "rtn_data", data: [{ ins_list: "A,B" }] });
    expect(states).toEqual(["live", "live"]);
  });

  it("answers a recorded conversation with as many peeks as messages", () => {
    socket.start();
    line().onopen?.();
    const served = recorded.flatMap((entry) => (entry.s ? [entry.s] : []));
    for (const frame of served) line().say(frame);
    const messages = served.filter((frame) => frame.aid === "rtn_data").length;
    expect(line().sent.filter((pack) => pack.aid === "peek_message")).toHaveLength(messages + 1);
    expect(Object.keys(store.tree.quotes)).toEqual(["SHFE.rb2701", "SSE.600000"]);
  });

  it("ignores what is not JSON", () => {
    socket.start();
    line().onopen?.();
    line().onmessage?.({ data: "{broken" });
    expect(line().closed).toBe(false);
  });
});

describe("after a cut", () => {
  function live(): void {
    socket.keep("quotes", { aid: "subscribe_quote", ins_list: "A,B" });
    socket.keep("chart", { aid: "set_chart", chart_id: "c", ins_list: "A", duration: 0, view_width: 5 });
    socket.start();
    line().onopen?.();
    line().say({ aid: "rtn_data", data: [{ ins_list: "A,B", quotes: { A: { last_price: 1 } }, charts: { c: { ready: true } } }] });
  }

  it("says lost, comes back, asks again, and is live only when all is answered", () => {
    live();
    line().onclose?.({ code: 1012 });
    expect(states).toEqual(["live", "lost"]);
    expect(store.tree.quotes.A.last_price).toBe(1); // still shown, as stale
    vi.advanceTimersByTime(500);
    expect(lines).toHaveLength(2);
    line().onopen?.();
    expect(line().sent.map((pack) => pack.aid)).toEqual(["subscribe_quote", "set_chart", "peek_message"]);
    line().say({ aid: "rtn_data", data: [{ quotes: { A: { last_price: 2 } } }] });
    expect(states.at(-1)).toBe("lost"); // the former connection's answer does not count
    expect(store.tree.charts).toBeUndefined();
    line().say({ aid: "rtn_data", data: [{ ins_list: "A,B" }] });
    expect(states).toEqual(["live", "lost", "live"]);
  });

  it("does not send an order later that could not be sent now", () => {
    live();
    line().onclose?.({ code: 1006 });
    expect(socket.send({ aid: "insert_order", order_id: "o1" })).toBe(false);
    vi.advanceTimersByTime(500);
    line().onopen?.();
    expect(line().sent.some((pack) => pack.aid === "insert_order")).toBe(false);
  });

  it("backs off to a bound, and tries at once when nudged", () => {
    live();
    for (let n = 0; n < 8; n += 1) { line().onclose?.({ code: 1006 }); vi.advanceTimersByTime(RETRY_MAX_MS); }
    const before = lines.length;
    line().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(RETRY_MAX_MS / 2 - 1);
    expect(lines).toHaveLength(before);
    socket.nudge();
    expect(lines).toHaveLength(before + 1);
  });

  it("forgets a chart that was let go", () => {
    live();
    socket.forget("chart", { aid: "set_chart", chart_id: "c", ins_list: "" });
    expect(line().sent.at(-1)).toEqual({ aid: "set_chart", chart_id: "c", ins_list: "" });
    line().onclose?.({ code: 1006 });
    vi.advanceTimersByTime(500);
    line().onopen?.();
    expect(line().sent.some((pack) => pack.aid === "set_chart")).toBe(false);
  });

  it("closes a line that answers nothing, not even pings", () => {
    live();
    const first = line();
    vi.advanceTimersByTime(SILENCE_MS + 6_000);
    expect(first.sent.some((pack) => pack.aid === "ping")).toBe(true);
    expect(first.closed).toBe(true);
    expect(states.at(-1)).toBe("lost");
  });
});
