// What a price is compared with: the settlement before for futures, the close before for what has none.
import { isNumber } from "./format";
import type { Quote } from "./instrument";

/** The price that today's change counts from; null when the quote has none. */
export function baseOf(quote: Quote | undefined): number | null {
  for (const value of [quote?.pre_settlement, quote?.pre_close] as unknown[]) if (isNumber(value) && value !== 0) return value;
  return null;
}
/** How far the last price is from its base; null when one of them is missing. */
export function moveOf(quote: Quote | undefined): number | null {
  const base = baseOf(quote);
  return isNumber(quote?.last_price) && base !== null ? quote.last_price - base : null;
}
/** The same as a share of the base: spreads have bases below zero. */
export function shareOf(quote: Quote | undefined): number | null {
  const base = baseOf(quote), moved = moveOf(quote);
  return base !== null && moved !== null ? moved / Math.abs(base) : null;
}
