import { describe, expect, it } from "vitest";
import { parseRows } from "../src/lib/rows";

describe("rows of the store", () => {
  it("keep whole numbers that a double cannot hold", () => {
    const text = '[{"id":9007199254740993,"low":-9007199254740993,"n":[1,92233720368547758071],"ns":1764467102478089000,"x":0.12345678901234567,"s":"\\"9007199254740993 1,9007199254740993,"}]';
    expect(parseRows(text)).toEqual([{ id: "9007199254740993", low: "-9007199254740993", n: [1, "92233720368547758071"], ns: "1764467102478089000", x: 0.12345678901234567, s: "\"9007199254740993 1,9007199254740993," }]);
    expect(parseRows('[{"id":9007199254740991}]')).toEqual([{ id: 9007199254740991 }]);
    expect(parseRows("[]")).toEqual([]);
  });
});
