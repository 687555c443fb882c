// The order being written: kept while one looks at other pages, filled by a click into the book.
import { defineStore } from "pinia";
import { reactive, toRefs, watch } from "vue";
import { isStock, kindsOf, offsetsOf } from "../lib/orders";
import { usePrefs } from "./prefs";

export const useTicket = defineStore("ticket", () => {
  const prefs = usePrefs();
  const ticket = reactive({
    direction: "BUY" as "BUY" | "SELL",
    offset: "OPEN" as "OPEN" | "CLOSE" | "CLOSETODAY",
    kind: "LIMIT" as "LIMIT" | "ANY" | "BEST" | "FIVELEVEL" | "FAK" | "FOK",
    price: null as number | null,
    volume: 1,
  });
  /** A click on an ask means to buy there, on a bid to sell there. */
  function from(price: number, side: "ask" | "bid"): void {
    ticket.price = price;
    ticket.kind = ticket.kind === "FAK" || ticket.kind === "FOK" ? ticket.kind : "LIMIT";
    ticket.direction = side === "ask" ? "BUY" : "SELL";
  }
  // Another instrument, wherever it was chosen: no price, the lots last used for it, and only what its exchange takes.
  watch(() => prefs.symbol, (symbol) => {
    ticket.price = null;
    ticket.volume = prefs.volumes[symbol] ?? (isStock(symbol) ? 100 : 1);
    if (!kindsOf(symbol).includes(ticket.kind)) ticket.kind = "LIMIT";
    if (!offsetsOf(symbol).includes(ticket.offset)) ticket.offset = "CLOSE";
  }, { immediate: true, flush: "sync" });
  watch(() => ticket.volume, (volume) => {
    if (volume > 0 && prefs.symbol) prefs.volumes = { ...prefs.volumes, [prefs.symbol]: volume };
  });
  return { ...toRefs(ticket), from };
});
