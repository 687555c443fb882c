// The order being written: kept while one looks at other pages, filled by a click into the book.
import { defineStore } from "pinia";
import { reactive, toRefs } from "vue";

export const useTicket = defineStore("ticket", () => {
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
  return { ...toRefs(ticket), from };
});
