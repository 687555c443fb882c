import { describe, expect, it } from "vitest";
import { firstRows, parseRows } from "../src/lib/rows";

describe("rows of the store", () => {
  it("keep whole numbers that a double cannot hold", () => {
    const text = '[{"id":9007199254740993,"low":-9007199254740993,"n":[1,92233720368547758071],"ns":1764467102478089000,"x":0.12345678901234567,"s":"\\"9007199254740993 1,9007199254740993,"}]';
    expect(parseRows(text)).toEqual([{ id: "9007199254740993", low: "-9007199254740993", n: [1, "92233720368547758071"], ns: "1764467102478089000", x: 0.12345678901234567, s: "\"9007199254740993 1,9007199254740993," }]);
    expect(parseRows('[{"id":9007199254740991}]')).toEqual([{ id: 9007199254740991 }]);
    expect(parseRows("[]")).toEqual([]);
  });
});

describe("the first rows of an answer", () => {
  const lines = (...parts: (string | Error)[]): Response => {
    const bytes = new TextEncoder();
    let at = 0;
    return new Response(new ReadableStream({
      pull(out) {
        const part = parts[at++];
        if (part === undefined) out.close();
        else if (part instanceof Error) out.error(part);
        else out.enqueue(bytes.encode(part));
      },
    }));
  };

  it("are whole however the bytes come, and the rest is not waited for", async () => {
    expect(await firstRows(lines('{"a":1}\n{"a', '":2}\n', '{"a":3}\n'), 5)).toEqual({ rows: [{ a: 1 }, { a: 2 }, { a: 3 }], more: false });
    expect(await firstRows(lines('{"a":1}\n', '{"a":2}\n{"a":3}\n', new Error("not read")), 2)).toEqual({ rows: [{ a: 1 }, { a: 2 }], more: true });
    expect(await firstRows(lines(), 5)).toEqual({ rows: [], more: false });
  });

  it("are an error where the last line tells of one before the answer is cut", async () => {
    await expect(firstRows(lines('{"a":1}\n', '{"error":"took longer than 10 s"}\n', new TypeError("cut")), 5)).rejects.toThrow("took longer than 10 s");
    await expect(firstRows(lines('{"a":1}\n', new TypeError("cut")), 5)).rejects.toThrow("cut");
  });
});
