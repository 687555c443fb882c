import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DiffStore, type Tree } from "../src/lib/diff";
import { closing, insertCondition, insertOrder, kindsOf, legs, objection, parseBatch, stateOf, type Leg, type Order, type Position, type Wish } from "../src/lib/orders";
import type { Instrument } from "../src/lib/instrument";

type Entry = { c?: Tree; s?: Tree };
const recorded: Entry[] = JSON.parse(readFileSync(new URL("./trade_frames.json", import.meta.url), "utf8"));
const rb = { instrument_id: "SHFE.rb2701", price_tick: 1, upper_limit: 3445, lower_limit: 2935 } as Instrument;
const wish: Wish = { symbol: "SHFE.rb2701", direction: "BUY", offset: "OPEN", kind: "LIMIT", price: 3140, volume: 2 };

describe("a trading conversation recorded from the server", () => {
  const store = new DiffStore();
  for (const { s } of recorded) if (s?.aid === "rtn_data") store.apply(s.data as Tree[]);
  const tree = store.tree.trade.ann1 as Tree;

  it("gives orders in the states a person was told of", () => {
    const states = Object.fromEntries(Object.values(tree.orders as Record<string, Order>).map((order) => [order.order_id, stateOf(order)]));
    expect(states).toEqual({ w1: "cancelled", w2: "done", w3: "refused", w4: "done", w5: "refused" });
    expect(tree.trade_more_data).toBe(false);
  });

  it("gives the position that is left", () => {
    const [leg, ...others] = legs(tree.positions as Record<string, Position>);
    expect(others).toEqual([]);
    expect(leg).toMatchObject({ symbol: "SHFE.rb2701", side: "LONG", volume: 1, today: 1, his: 0, open: 3145 });
  });

  it("has an account whose sums hold", () => {
    const a = tree.accounts.CNY as Record<string, number>;
    const n = (key: string): number => a[key] ?? NaN;
    expect(n("balance")).toBeCloseTo(n("static_balance") + n("close_profit") + n("position_profit") - n("commission") + n("premium"), 6);
    expect(n("available")).toBeCloseTo(n("balance") - n("margin") - n("frozen_margin") - n("frozen_commission") - n("frozen_premium"), 6);
  });
});

describe("the ticket", () => {
  it("says what is wrong before anything is sent", () => {
    expect(objection(wish, rb)).toBeNull();
    expect(objection({ ...wish, price: 3140.5 }, rb)).toBe("ticket.bad_tick");
    expect(objection({ ...wish, price: 3446 }, rb)).toBe("ticket.above_limit");
    expect(objection({ ...wish, price: 2934 }, rb)).toBe("ticket.below_limit");
    expect(objection({ ...wish, price: 3446 }, rb, { upper_limit: 3500, lower_limit: 3000 })).toBeNull(); // the quote's limits are of today
    expect(objection({ ...wish, price: 2999 }, rb, { upper_limit: 3500, lower_limit: 3000 })).toBe("ticket.below_limit");
    expect(objection({ ...wish, price: 3446 }, rb, { upper_limit: "-" })).toBe("ticket.above_limit");
    expect(objection({ ...wish, price: null }, rb)).toBe("ticket.no_price");
    expect(objection({ ...wish, volume: 1.5 }, rb)).toBe("ticket.bad_volume");
    expect(objection({ ...wish, volume: 0 }, rb)).toBe("ticket.bad_volume");
    expect(objection({ ...wish, kind: "ANY", price: null }, rb)).toBeNull();
    expect(objection(wish, undefined)).toBe("ticket.no_instrument");
    expect(objection({ ...wish, price: 0.3 }, { ...rb, price_tick: 0.1, lower_limit: 0.1 })).toBeNull(); // 0.3/0.1 is not 3 in binary
  });

  it("speaks DIFF", () => {
    expect(insertOrder(wish, "u", "o")).toEqual({
      aid: "insert_order", user_id: "u", order_id: "o", exchange_id: "SHFE", instrument_id: "rb2701", direction: "BUY", offset: "OPEN", volume: 2,
      price_type: "LIMIT", limit_price: 3140, time_condition: "GFD", volume_condition: "ANY",
    });
    expect(insertOrder({ ...wish, kind: "FAK" }, "u", "o")).toMatchObject({ price_type: "LIMIT", time_condition: "IOC", volume_condition: "ANY" });
    expect(insertOrder({ ...wish, kind: "FOK" }, "u", "o")).toMatchObject({ price_type: "LIMIT", time_condition: "IOC", volume_condition: "ALL" });
    const market = insertOrder({ ...wish, kind: "ANY" }, "u", "o");
    expect(market).toMatchObject({ price_type: "ANY", time_condition: "IOC" });
    expect("limit_price" in market).toBe(false);
    expect(insertOrder({ ...wish, symbol: "SSE.600000", direction: "SELL" }, "u", "o").offset).toBe("CLOSE");
  });

  it("offers the kinds each exchange takes", () => {
    expect(kindsOf("SHFE.rb2701")).not.toContain("ANY");
    expect(kindsOf("CZCE.SR701")).not.toContain("FOK");
    expect(kindsOf("CFFEX.IF2612")).toContain("FIVELEVEL");
  });
});

describe("closing a leg", () => {
  const leg: Leg = { id: "", symbol: "SHFE.rb2701", side: "LONG", volume: 5, today: 3, his: 2, frozen: 0, open: 1, last: 1, float: 0, profit: 0, margin: 0 };
  it("closes today's and older lots apart where the exchange wants it", () => {
    expect(closing(leg, 10).map((one) => [one.direction, one.offset, one.volume])).toEqual([["SELL", "CLOSETODAY", 3], ["SELL", "CLOSE", 2]]);
    expect(closing({ ...leg, symbol: "DCE.m2701", side: "SHORT" }, 10).map((one) => [one.direction, one.offset, one.volume])).toEqual([["BUY", "CLOSE", 5]]);
  });
  it("leaves out what other orders hold already", () => {
    expect(closing(leg, 10, 3, 1).map((one) => [one.offset, one.volume])).toEqual([["CLOSE", 1]]);
    expect(closing({ ...leg, symbol: "DCE.m2701", frozen: 5 }, 10)).toEqual([]);
  });
});

describe("a batch", () => {
  it("names the lines that are no orders", () => {
    const { wishes, wrong } = parseBatch("# comment\nSHFE.rb2701, BUY, OPEN, 3140, 2\nDCE.m2701 sell close 2900 1\n\nrubbish\nSHFE.rb2701,BUY,OPEN,x,1\nSHFE.rb2701,BUY,OPEN,3140,1.5");
    expect(wishes.map((one) => [one.symbol, one.direction, one.offset, one.price, one.volume])).toEqual([["SHFE.rb2701", "BUY", "OPEN", 3140, 2], ["DCE.m2701", "SELL", "CLOSE", 2900, 1]]);
    expect(wrong).toEqual([5, 6, 7]);
  });
});

describe("a condition order", () => {
  it("speaks DIFF", () => {
    const pack = insertCondition({ symbol: "SHFE.rb2701", relation: "LE", trigger: 3100, direction: "SELL", offset: "CLOSE", volume: 2, pricing: "LIMIT", limit: 3090, validity: "GTC" }, "u", "o");
    expect(pack).toMatchObject({ aid: "insert_condition_order", user_id: "u", order_id: "o", time_condition_type: "GTC" });
    expect(pack.condition_list).toEqual([{ exchange_id: "SHFE", instrument_id: "rb2701", contingent_type: "price", contingent_price: 3100, price_relation: "LE" }]);
    expect(pack.order_list).toEqual([{ exchange_id: "SHFE", instrument_id: "rb2701", direction: "SELL", offset: "CLOSE", close_today_prior: true, volume_type: "NUM", volume: 2, price_type: "LIMIT", limit_price: 3090 }]);
  });
});
