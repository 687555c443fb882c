// What an order may be, by exchange, and how the ticket's words become those of DIFF.
import type { Instrument, Quote } from "./instrument";

export type Direction = "BUY" | "SELL";
export type Offset = "OPEN" | "CLOSE" | "CLOSETODAY";
export type Kind = "LIMIT" | "FAK" | "FOK" | "ANY" | "BEST" | "FIVELEVEL";

export interface Order {
  order_id: string; exchange_id: string; instrument_id: string; direction: Direction; offset: Offset; volume_orign: number; volume_left: number;
  price_type: string; limit_price: number; time_condition: string; volume_condition: string; insert_date_time: number; exchange_order_id: string;
  status: "ALIVE" | "FINISHED"; last_msg: string; seqno: number;
}
export interface Trade {
  trade_id: string; order_id: string; exchange_id: string; instrument_id: string; direction: Direction; offset: Offset; volume: number; price: number;
  trade_date_time: number; commission: number; seqno: number;
}
export type Position = Record<string, number> & { exchange_id: string; instrument_id: string };
export type Account = Record<string, number>;
export interface Transfer { datetime: number; currency: string; amount: number; error_id: number; error_msg: string }
/** What the ticket asks for. */
export interface Wish { symbol: string; direction: Direction; offset: Offset; kind: Kind; price: number | null; volume: number }

const KINDS: Record<string, Kind[]> = {
  SHFE: ["LIMIT", "FAK", "FOK"], INE: ["LIMIT", "FAK", "FOK"], DCE: ["LIMIT", "FAK", "FOK", "ANY"], CZCE: ["LIMIT", "FAK", "ANY"],
  CFFEX: ["LIMIT", "FAK", "FOK", "BEST", "FIVELEVEL"], GFEX: ["LIMIT", "FAK", "FOK", "ANY"], SSE: ["LIMIT"], SZSE: ["LIMIT"], BSE: ["LIMIT"],
};
const STOCKS = ["SSE", "SZSE", "BSE"];
export const exchangeOf = (symbol: string): string => symbol.slice(0, symbol.indexOf("."));
export const isStock = (symbol: string): boolean => STOCKS.includes(exchangeOf(symbol));
/** Exchanges where lots of today and of before are closed by different orders. */
export const splitsToday = (symbol: string): boolean => ["SHFE", "INE"].includes(exchangeOf(symbol));
export const kindsOf = (symbol: string): Kind[] => KINDS[exchangeOf(symbol)] ?? ["LIMIT"];
export const offsetsOf = (symbol: string): Offset[] => (splitsToday(symbol) ? ["OPEN", "CLOSE", "CLOSETODAY"] : ["OPEN", "CLOSE"]);
export const needsPrice = (kind: Kind): boolean => kind === "LIMIT" || kind === "FAK" || kind === "FOK";

/** Why a wish cannot be sent: a text key, or null when it can. A quote's price limits are newer than the instrument's. */
export function objection(wish: Wish, instrument: Instrument | undefined, quote?: Quote): string | null {
  if (!instrument) return "ticket.no_instrument";
  if (instrument.class === "INDEX" || instrument.class === "CONT") return "ticket.not_traded";
  if (!Number.isInteger(wish.volume) || wish.volume < 1) return "ticket.bad_volume";
  if (!needsPrice(wish.kind)) return null;
  if (wish.price === null || !Number.isFinite(wish.price)) return "ticket.no_price";
  const steps = wish.price / instrument.price_tick;
  if (Math.abs(steps - Math.round(steps)) > 1e-6) return "ticket.bad_tick";
  const limit = (name: "upper_limit" | "lower_limit"): unknown => (typeof quote?.[name] === "number" ? quote[name] : instrument[name]);
  const upper = limit("upper_limit"), lower = limit("lower_limit");
  if (typeof upper === "number" && wish.price > upper + 1e-9) return "ticket.above_limit";
  if (typeof lower === "number" && wish.price < lower - 1e-9) return "ticket.below_limit";
  return null;
}

/** The `insert_order` message of a wish. */
export function insertOrder(wish: Wish, userId: string, orderId: string): { aid: string; [key: string]: unknown } {
  const at = wish.symbol.indexOf(".");
  const stock = isStock(wish.symbol);
  return {
    aid: "insert_order", user_id: userId, order_id: orderId, exchange_id: wish.symbol.slice(0, at), instrument_id: wish.symbol.slice(at + 1),
    direction: wish.direction, offset: stock ? (wish.direction === "BUY" ? "OPEN" : "CLOSE") : wish.offset, volume: wish.volume,
    price_type: needsPrice(wish.kind) ? "LIMIT" : wish.kind, ...(needsPrice(wish.kind) ? { limit_price: wish.price } : {}),
    time_condition: wish.kind === "LIMIT" ? "GFD" : "IOC", volume_condition: wish.kind === "FOK" ? "ALL" : "ANY",
  };
}

export const symbolOf = (row: { exchange_id: string; instrument_id: string }): string => `${row.exchange_id}.${row.instrument_id}`;
/** The ticket's word for an order that was sent. */
export const kindOf = (order: Order): Kind => (order.price_type === "LIMIT" ? (order.time_condition === "IOC" ? (order.volume_condition === "ALL" ? "FOK" : "FAK") : "LIMIT") : (order.price_type as Kind));
/** `working`, `part`, `done`, `cancelled` or `refused`. */
export function stateOf(order: Order): string {
  if (order.status === "ALIVE") return order.volume_left < order.volume_orign ? "part" : "working";
  if (order.volume_left === 0) return "done";
  return order.exchange_order_id ? "cancelled" : "refused";
}

/** One side of a position with lots. */
export interface Leg { id: string; symbol: string; side: "LONG" | "SHORT"; volume: number; today: number; his: number; frozen: number; open: number; last: number; float: number; profit: number; margin: number }
export function legs(positions: Record<string, Position>): Leg[] {
  return Object.entries(positions).flatMap(([symbol, one]) => (["long", "short"] as const).flatMap((side): Leg[] => {
    const n = (key: string): number => Number(one[key] ?? 0);
    const volume = n(`volume_${side}`);
    if (!volume) return [];
    return [{
      id: `${symbol}|${side}`, symbol, side: side === "long" ? "LONG" : "SHORT", volume, today: n(`pos_${side}_today`), his: n(`pos_${side}_his`), frozen: n(`volume_${side}_frozen`),
      open: n(`open_price_${side}`), last: n("last_price"), float: n(`float_profit_${side}`), profit: n(`position_profit_${side}`), margin: n(`margin_${side}`),
    }];
  }));
}

/** Orders that close a leg at a price: lots of today and of before apart where the exchange wants it. */
export function closing(leg: Leg, price: number | null, frozenToday = 0, frozenHis = 0): Wish[] {
  const base = { symbol: leg.symbol, direction: leg.side === "LONG" ? "SELL" : "BUY", kind: "LIMIT", price } as const;
  if (!splitsToday(leg.symbol)) return leg.volume > leg.frozen ? [{ ...base, offset: "CLOSE", volume: leg.volume - leg.frozen }] : [];
  const wishes: Wish[] = [];
  if (leg.today > frozenToday) wishes.push({ ...base, offset: "CLOSETODAY", volume: leg.today - frozenToday });
  if (leg.his > frozenHis) wishes.push({ ...base, offset: "CLOSE", volume: leg.his - frozenHis });
  return wishes;
}

/** Lines of `symbol, BUY|SELL, OPEN|CLOSE|CLOSETODAY, price, volume` as wishes; a line that is none as its number. */
export function parseBatch(text: string): { wishes: Wish[]; wrong: number[] } {
  const wishes: Wish[] = [];
  const wrong: number[] = [];
  text.split("\n").forEach((line, n) => {
    if (!line.trim() || line.trim().startsWith("#")) return;
    const [symbol = "", direction = "", offset = "", price = "", volume = ""] = line.split(/[,\s]+/).map((word) => word.trim()).filter(Boolean);
    const wish = { symbol, direction: direction.toUpperCase() as Direction, offset: offset.toUpperCase() as Offset, kind: "LIMIT" as const, price: Number(price), volume: Number(volume) };
    const fine = symbol.includes(".") && ["BUY", "SELL"].includes(wish.direction) && ["OPEN", "CLOSE", "CLOSETODAY"].includes(wish.offset) && price !== "" && Number.isFinite(wish.price) && Number.isInteger(wish.volume) && wish.volume > 0;
    if (fine) wishes.push(wish);
    else wrong.push(n + 1);
  });
  return { wishes, wrong };
}

/** A condition order as the server keeps it: `live`, `suspend`, `touched`, `cancel` or `discard`. */
export interface Condition {
  order_id: string; status: string; insert_date_time: number; touched_time: number; time_condition_type: string; last_msg: string;
  condition_list: { contingent_type: string; exchange_id: string; instrument_id: string; contingent_price: number; price_relation: string }[];
  order_list: { exchange_id: string; instrument_id: string; direction: Direction; offset: string; volume: number; volume_type: string; price_type: string; limit_price: number }[];
}
export interface ConditionWish { symbol: string; relation: "GE" | "LE"; trigger: number; direction: Direction; offset: "OPEN" | "CLOSE"; volume: number; pricing: "MARKET" | "CONSIDERATION" | "OVER" | "LIMIT"; limit: number | null; validity: "GFD" | "GTC" }

/** The `insert_condition_order` message of one price condition and one order. */
export function insertCondition(wish: ConditionWish, userId: string, orderId: string): { aid: string; [key: string]: unknown } {
  const at = wish.symbol.indexOf(".");
  const where = { exchange_id: wish.symbol.slice(0, at), instrument_id: wish.symbol.slice(at + 1) };
  return {
    aid: "insert_condition_order", user_id: userId, order_id: orderId, conditions_logic_operator: "AND", time_condition_type: wish.validity,
    condition_list: [{ ...where, contingent_type: "price", contingent_price: wish.trigger, price_relation: wish.relation }],
    order_list: [{ ...where, direction: wish.direction, offset: wish.offset, close_today_prior: true, volume_type: "NUM", volume: wish.volume, price_type: wish.pricing, ...(wish.pricing === "LIMIT" ? { limit_price: wish.limit } : {}) }],
  };
}
