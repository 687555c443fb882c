import { describe, expect, it } from "vitest";
import { baseOf, moveOf, shareOf } from "../src/lib/quote";

describe("the change of a day", () => {
  it("counts from the settlement before, and from the close before where there is none", () => {
    expect(moveOf({ last_price: 3144, pre_settlement: 3190, pre_close: 3150 })).toBe(-46);
    // A stock has no settlement price: DIFF says so with "-", stored rows with null.
    for (const none of ["-", null, NaN, 0, undefined]) expect(moveOf({ last_price: 12.5, pre_settlement: none, pre_close: 12 })).toBe(0.5);
    expect(shareOf({ last_price: 12.5, pre_settlement: "-", pre_close: 12.5 })).toBe(0);
    expect(shareOf({ last_price: -8, pre_settlement: -10 })).toBe(0.2);
  });

  it("is not known without one of them", () => {
    expect(baseOf(undefined)).toBeNull();
    expect(moveOf({ last_price: "-", pre_settlement: 3190 })).toBeNull();
    expect(shareOf({ last_price: 3144, pre_settlement: "-", pre_close: "-" })).toBeNull();
  });
});
