import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { nextTick } from "vue";

describe("the ticket of another instrument", () => {
  beforeEach(() => {
    vi.stubGlobal("document", { documentElement: { dataset: {}, lang: "" } });
    vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
    vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => {} }));
    vi.stubGlobal("navigator", { language: "en" });
    setActivePinia(createPinia());
  });
  afterEach(() => { vi.unstubAllGlobals(); vi.resetModules(); });

  it("has no price of the former, its own lots, and only what its exchange takes", async () => {
    const [{ useTicket }, { usePrefs }] = await Promise.all([import("../src/stores/ticket"), import("../src/stores/prefs")]);
    const ticket = useTicket(), prefs = usePrefs();
    prefs.symbol = "SHFE.rb2701";
    ticket.from(3140, "ask");
    Object.assign(ticket, { offset: "CLOSETODAY", kind: "FOK", volume: 7 });
    await nextTick();
    prefs.symbol = "CZCE.SR701";
    expect([ticket.price, ticket.offset, ticket.kind, ticket.volume]).toEqual([null, "CLOSE", "LIMIT", 1]);
    prefs.symbol = "SSE.600000";
    expect(ticket.volume).toBe(100);
    prefs.symbol = "SHFE.rb2701";
    expect([ticket.price, ticket.volume]).toEqual([null, 7]);
  });
});
