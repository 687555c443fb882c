// Quotes, charts and instruments: one socket, one DIFF tree, and a reactive cell per instrument.
// A quote is merged in place; its cell gets a copy once per message: what is computed of a cell is computed anew only
// when another object is in it. A row nobody ever showed has no cell and costs a merge and no more.
import { defineStore } from "pinia";
import { computed, markRaw, ref, shallowRef, type ShallowRef } from "vue";
import { DiffStore, type Tree } from "../lib/diff";
import { DiffSocket, framePace, socketUrl, type LinkState } from "../lib/socket";
import { decimalsOf } from "../lib/format";
import { instrumentName } from "../lib/names";
import type { Instrument, Quote } from "../lib/instrument";
import { said } from "../i18n";
import { useNotices, type Level } from "./notices";
import { usePrefs } from "./prefs";

const INSTRUMENTS = { aid: "ins_query", query_id: "page_instruments", query: "query($expired:Boolean){multi_symbol_info(expired:$expired){... on basic{instrument_id}}}", variables: { expired: false } };
const INSTRUMENTS_MS = 30_000;
/** What of an instrument may be another from one day to the next. */
const DAILY = ["instrument_name", "price_tick", "margin", "commission", "upper_limit", "lower_limit"] as const;
const YOUNG_MS = 2_000;
const FEW_COUNT = 10;
export const STALE_MS = 10_000;

export const useMarket = defineStore("market", () => {
  const notices = useNotices();
  const prefs = usePrefs();
  const store = markRaw(new DiffStore()); // plain: what is shown is said by cells, not by every key
  const state = ref<LinkState>("connecting");
  /** Grows with every return to live: what keeps own copies loads them anew. */
  const epoch = ref(0);
  const instruments = shallowRef<Instrument[]>([]);
  const byId = computed(() => new Map(instruments.value.map((one) => [one.instrument_id, one])));
  const cells = new Map<string, ShallowRef<Quote | undefined>>();
  const seen = new Map<string, number>();
  const wanted = new Map<string, string[]>();
  const charts = new Set<string>();
  /** Ticks every second, for what goes stale by time alone. */
  const second = ref(0);

  const socket = markRaw(new DiffSocket({
    url: () => socketUrl("/ws/market"),
    store,
    whole: ["ins_list", "charts", "klines", "ticks", "symbols"],
    settled,
    pace: framePace,
    onState: (next) => {
      state.value = next;
      if (next === "live") { epoch.value += 1; askInstruments(); }
      else seen.clear();
    },
  }));

  function settled(): boolean {
    const list = union();
    if (list !== "" && (store.tree.ins_list ?? "") !== list) return false;
    return [...charts].every((id) => store.tree.charts?.[id]?.ready);
  }
  /** The watch list comes last: the server takes so many instruments of one client and no more. */
  function union(): string {
    const parts = [...wanted].sort(([a], [b]) => Number(a === "watch") - Number(b === "watch"));
    return [...new Set(parts.flatMap(([, symbols]) => symbols))].join(",");
  }

  let due = false;
  function subscribe(): void {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      socket.keep("quotes", { aid: "subscribe_quote", ins_list: union() });
    });
  }

  /** Say which instruments a part of the page shows; the server is asked for the union of all parts. */
  function want(owner: string, symbols: string[]): void {
    const former = wanted.get(owner);
    if (former && former.length === symbols.length && former.every((symbol, n) => symbol === symbols[n])) return;
    if (symbols.length) wanted.set(owner, [...symbols]);
    else wanted.delete(owner);
    subscribe();
  }

  /** A copy of the quote as the tree has it now. */
  function copied(symbol: string): Quote | undefined {
    const found = store.tree.quotes?.[symbol] as Quote | undefined;
    return found && { ...found };
  }
  /** The cell of an instrument: what reads its value, or is computed of it, follows each change. */
  function quote(symbol: string): ShallowRef<Quote | undefined> {
    let cell = cells.get(symbol);
    if (!cell) cells.set(symbol, (cell = shallowRef(copied(symbol))));
    return cell;
  }
  store.on("quotes", (patches) => {
    const now = performance.now();
    const symbols = new Set(patches.flatMap((patch) => Object.keys(patch)));
    for (const symbol of symbols) {
      seen.set(symbol, now);
      const cell = cells.get(symbol);
      if (cell) cell.value = copied(symbol);
    }
  });
  /** Whether what is shown of an instrument may be old: the line is cut, or nothing came for ten seconds. */
  function stale(symbol: string): boolean {
    void second.value;
    void quote(symbol).value; // fresh again with the update, not with the next second
    return state.value !== "live" || performance.now() - (seen.get(symbol) ?? -Infinity) > STALE_MS;
  }

  function chart(id: string, symbol: string, durationNs: number, width: number, more: Record<string, number> = {}): void {
    charts.add(id);
    if (store.tree.charts) delete store.tree.charts[id];
    socket.keep(id, { aid: "set_chart", chart_id: id, ins_list: symbol, duration: durationNs, view_width: width, ...more });
  }
  function endChart(id: string): void {
    if (!charts.delete(id)) return;
    socket.forget(id, { aid: "set_chart", chart_id: id, ins_list: "", duration: 0, view_width: 0 });
  }

  function askInstruments(): void {
    socket.send(INSTRUMENTS);
  }
  store.on("symbols", (patches) => {
    const rows = patches.map((patch) => patch[INSTRUMENTS.query_id] as Tree | undefined).findLast((found) => found?.result);
    if (!rows) return;
    socket.send({ aid: "ins_query", query_id: INSTRUMENTS.query_id, query: "" });
    const list = (rows.result as { multi_symbol_info: Instrument[] }).multi_symbol_info;
    list.sort((a, b) => (a.instrument_id < b.instrument_id ? -1 : 1));
    const same = list.length === instruments.value.length && list.every((one, n) => one.instrument_id === instruments.value[n]?.instrument_id);
    const alike = same && list.every((one, n) => DAILY.every((name) => one[name] === instruments.value[n]?.[name]));
    if (!alike) instruments.value = list;
    // What was looked at is let go only when the same list comes twice without it: a young server's grows.
    if (list.length && (!prefs.symbol || (same && !byId.value.has(prefs.symbol)))) prefs.symbol = busiest(list);
  });
  store.on("notify", (patches) => {
    const levels: Record<string, Level> = { INFO: "info", WARNING: "warn", ERROR: "bad" };
    for (const patch of patches)
      for (const notice of Object.values(patch) as Tree[]) if (notice?.content && notice.type !== "SETTLEMENT") notices.say(levels[notice.level] ?? "info", said(String(notice.content)));
    store.drop("notify"); // said once, never deleted by the server
  });
  function busiest(list: Instrument[]): string {
    const real = list.filter((one) => !one.instrument_id.startsWith("KQ.")); // no index, no continuous contract
    return (real.find((one) => one.product_id === "rb") ?? real[0] ?? list[0])?.instrument_id ?? "";
  }

  function decimals(symbol: string): number {
    const found = byId.value.get(symbol);
    return found ? (found.price_decs ?? decimalsOf(found.price_tick)) : 2;
  }
  function name(symbol: string): string {
    const found = byId.value.get(symbol);
    return found ? instrumentName(found) : "";
  }

  let started = false;
  function start(): void {
    if (started) return;
    started = true;
    socket.start();
    setInterval(() => (second.value += 1), 1_000);
    let beats = 0;
    setInterval(() => {
      beats += 1;
      const wanting = instruments.value.length < FEW_COUNT || !byId.value.has(prefs.symbol); // a young server shows them one after another
      if (state.value === "live" && !document.hidden && (wanting || beats * YOUNG_MS % INSTRUMENTS_MS === 0)) askInstruments();
    }, YOUNG_MS);
    addEventListener("online", () => socket.nudge());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) socket.nudge(); });
  }

  return { store, socket, state, epoch, instruments, byId, want, quote, stale, chart, endChart, decimals, name, start, second };
});
