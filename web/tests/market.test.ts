import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { computed, nextTick } from "vue";
import type { Instrument } from "../src/lib/instrument";

/** A server that answers when it is told to. */
class Line {
  static last: Line;
  readyState = 1;
  asked = 0;
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  constructor() { Line.last = this; }
  wanted = "";
  send(text: string): void { const pack = JSON.parse(text); if (pack.aid === "subscribe_quote") this.wanted = pack.ins_list; if (pack.aid === "ins_query" && pack.query) this.asked += 1; }
  close(): void {}
  tell(...data: unknown[]): void { this.onmessage?.({ data: JSON.stringify({ aid: "rtn_data", data }) }); }
  list(...names: string[]): void {
    this.tell({ symbols: { page_instruments: { result: { multi_symbol_info: names.map((instrument_id) => ({ instrument_id, instrument_name: "", product_id: instrument_id.slice(5, 7) })) as Partial<Instrument>[] } } } });
  }
}

describe("the market", () => {
  const kept = new Map<string, string>();
  const page = { hidden: false, documentElement: { dataset: {}, lang: "" }, addEventListener: () => {} };
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("document", page);
    vi.stubGlobal("location", { protocol: "http:", host: "here" });
    vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => kept.set(key, value) });
    vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));
    vi.stubGlobal("addEventListener", () => {});
    vi.stubGlobal("requestAnimationFrame", (go: () => void) => setTimeout(go, 16));
    vi.stubGlobal("navigator", { language: "en" });
    vi.stubGlobal("WebSocket", Line);
    setActivePinia(createPinia());
  });
  afterEach(() => { vi.clearAllTimers(); vi.useRealTimers(); vi.unstubAllGlobals(); kept.clear(); vi.resetModules(); });

  async function visit(symbol: string): Promise<{ symbol: () => string; known: () => number }> {
    kept.set("qautlra.prefs", JSON.stringify({ symbol }));
    const [{ useMarket }, { usePrefs }] = await Promise.all([import("../src/stores/market"), import("../src/stores/prefs")]);
    const market = useMarket(), prefs = usePrefs();
    market.start();
    Line.last.onopen?.();
    Line.last.tell({});
    await nextTick();
    return { symbol: () => prefs.symbol, known: () => market.instruments.length };
  }

  it("is asked for again and again while a young server has few", async () => {
    const { symbol, known } = await visit("SHFE.cu2109");
    for (let times = 1; times <= 6; times += 1) {
      expect(Line.last.asked).toBe(times);
      Line.last.list();
      await vi.advanceTimersByTimeAsync(2_000);
    }
    Line.last.list("KQ.m@SHFE.cu", "SHFE.cu2109");
    expect([known(), symbol()]).toEqual([2, "SHFE.cu2109"]);
  });

  it("does not take a person's instrument away before it is known to be gone", async () => {
    const { symbol } = await visit("SHFE.cu2109");
    Line.last.list("KQ.m@SHFE.cu");
    expect(symbol()).toBe("SHFE.cu2109");
    await vi.advanceTimersByTimeAsync(2_000);
    Line.last.list("KQ.m@SHFE.cu", "SHFE.cu2201");
    expect(symbol()).toBe("SHFE.cu2109");
    await vi.advanceTimersByTimeAsync(2_000);
    Line.last.list("KQ.m@SHFE.cu", "SHFE.cu2201");
    expect(symbol()).toBe("SHFE.cu2201");
  });

  it("is taken anew when the limits of a day are others", async () => {
    await visit("SHFE.cu2201");
    const { useMarket } = await import("../src/stores/market");
    Line.last.list("SHFE.cu2201");
    const told = (upper_limit: number): void => Line.last.tell({ symbols: { page_instruments: { result: { multi_symbol_info: [{ instrument_id: "SHFE.cu2201", upper_limit }] } } } });
    told(77_000);
    expect(useMarket().byId.get("SHFE.cu2201")?.upper_limit).toBe(77_000);
    told(78_500);
    expect(useMarket().byId.get("SHFE.cu2201")?.upper_limit).toBe(78_500);
  });

  it("asks first for what is looked at and held, last for the list", async () => {
    await visit("SHFE.cu2201");
    const { useMarket } = await import("../src/stores/market");
    const market = useMarket();
    market.want("watch", ["CFFEX.IF2201", "SHFE.cu2201", "SHFE.rb2205"]);
    market.want("focus", ["SHFE.rb2205"]);
    market.want("positions", ["SHFE.au2206"]);
    await nextTick();
    expect(Line.last.wanted).toBe("SHFE.rb2205,SHFE.au2206,CFFEX.IF2201,SHFE.cu2201");
  });

  it("does not hold back what is computed of what is computed of a quote", async () => {
    await visit("SHFE.cu2201");
    const { useMarket } = await import("../src/stores/market");
    const quote = computed(() => useMarket().quote("SHFE.cu2201").value);
    const best = computed(() => quote.value?.ask_price1 as number | undefined);
    expect(best.value).toBeUndefined();
    Line.last.tell({ quotes: { "SHFE.cu2201": { ask_price1: 70_010, bid_price1: 70_000 } } });
    expect(best.value).toBe(70_010);
    Line.last.tell({ quotes: { "SHFE.cu2201": { ask_price1: 70_020 } } });
    expect([best.value, quote.value?.bid_price1]).toEqual([70_020, 70_000]);
    Line.last.tell({ quotes: { "SHFE.cu2201": { ask_price1: null } } });
    expect(best.value).toBeUndefined();
  });

  it("gives a first visit an instrument that can be traded", async () => {
    const { symbol } = await visit("");
    Line.last.list("KQ.m@SHFE.cu", "SHFE.cu2201", "SHFE.rb2201");
    expect(symbol()).toBe("SHFE.rb2201");
  });
});
