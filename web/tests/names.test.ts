import { afterEach, describe, expect, it } from "vitest";
import { i18n } from "../src/i18n";
import { instrumentName } from "../src/lib/names";
import { objection, type Wish } from "../src/lib/orders";
import { find } from "../src/lib/search";
import type { Instrument } from "../src/lib/instrument";

const one = (instrument_id: string, kind: string, instrument_name = "螺纹钢"): Instrument => ({ instrument_id, class: kind, instrument_name, price_tick: 1 }) as Instrument;
const contract = one("SHFE.rb2701", "FUTURE", "螺纹钢2701");
const main = one("KQ.m@SHFE.rb", "CONT");
const index = one("KQ.i@SHFE.rb", "INDEX");

describe("what is made of a product's contracts", () => {
  afterEach(() => { i18n.global.locale.value = "zh"; });

  it("is told from the product and from its contracts by its name", () => {
    expect([contract, main, index].map(instrumentName)).toEqual(["螺纹钢2701", "螺纹钢 主连", "螺纹钢 指数"]);
    i18n.global.locale.value = "en";
    expect([contract, main, index].map(instrumentName)).toEqual(["螺纹钢2701", "螺纹钢 main contract", "螺纹钢 index"]);
  });

  it("is found by that name", () => {
    const all = [contract, main, index];
    expect(find(all, "螺纹钢 主连")).toEqual([main]);
    expect(find(all, "指数")).toEqual([index]);
    i18n.global.locale.value = "en";
    expect(find(all, "rb main")).toEqual([main]);
  });

  it("cannot be ordered", () => {
    const wish = (symbol: string): Wish => ({ symbol, direction: "BUY", offset: "OPEN", kind: "LIMIT", price: 3140, volume: 1 });
    expect(objection(wish("SHFE.rb2701"), contract)).toBeNull();
    expect(objection(wish("KQ.m@SHFE.rb"), main)).toBe("ticket.not_traded");
    expect(objection(wish("KQ.i@SHFE.rb"), index)).toBe("ticket.not_traded");
  });
});
