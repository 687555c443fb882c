import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DiffStore, merge, type Tree } from "../src/lib/diff";

type Entry = { c?: Tree; s?: Tree };
const recorded: Entry[] = JSON.parse(readFileSync(new URL("./market_frames.json", import.meta.url), "utf8"));
const frames = recorded.flatMap((entry) => (entry.s?.aid === "rtn_data" ? [entry.s.data as Tree[]] : []));

/** RFC 7386 written down naively, by the letter of its pseudo code. */
function naive(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const base: Tree = typeof target === "object" && target !== null && !Array.isArray(target) ? { ...(target as Tree) } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) delete base[name];
    else base[name] = naive(base[name], value);
  }
  return base;
}

describe("merge", () => {
  it.each([
    [{ a: "b" }, { a: "c" }, { a: "c" }],
    [{ a: "b" }, { b: "c" }, { a: "b", b: "c" }],
    [{ a: "b" }, { a: null }, {}],
    [{ a: "b", b: "c" }, { a: null }, { b: "c" }],
    [{ a: ["b"] }, { a: "c" }, { a: "c" }],
    [{ a: "c" }, { a: ["b"] }, { a: ["b"] }],
    [{ a: { b: "c" } }, { a: { b: "d", c: null } }, { a: { b: "d" } }],
    [{ a: [{ b: "c" }] }, { a: [1] }, { a: [1] }],
    [{ a: "foo" }, { a: { b: 1 } }, { a: { b: 1 } }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])("follows the examples of RFC 7386: %j + %j", (target, patch, result) => {
    merge(target as Tree, patch as Tree);
    expect(target).toEqual(result);
  });

  it("does not let a patch reach the prototype", () => {
    const target: Tree = {};
    merge(target, JSON.parse('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}') as Tree);
    expect(({} as Tree).polluted).toBeUndefined();
  });
});

describe("a conversation recorded from the server", () => {
  it("gives the tree that the naive merge gives", () => {
    expect(frames.length).toBeGreaterThan(10);
    const store = new DiffStore();
    let tree: unknown = {};
    for (const data of frames) {
      store.apply(structuredClone(data));
      for (const patch of data) tree = naive(tree, patch);
      expect(store.tree).toEqual(tree);
    }
  });

  it("holds whole quotes though later frames name only what changed", () => {
    const store = new DiffStore();
    const sizes: number[] = [];
    store.on("quotes", (patches) => {
      for (const patch of patches) if (patch["SHFE.rb2701"]) sizes.push(Object.keys(patch["SHFE.rb2701"] as Tree).length);
    });
    for (const data of frames) store.apply(structuredClone(data));
    expect(sizes[0]).toBeGreaterThan(30);
    expect(Math.min(...sizes.slice(1))).toBeLessThan(15);
    const quote = store.tree.quotes["SHFE.rb2701"];
    expect(quote.instrument_id).toBe("SHFE.rb2701");
    expect(quote.upper_limit).toBeGreaterThan(quote.lower_limit);
    expect(quote.ask_price5).toBeGreaterThan(quote.ask_price1);
  });

  it("keeps bar ids consecutive and drops a chart that was let go", () => {
    const store = new DiffStore();
    let seen = false;
    for (const data of frames) {
      store.apply(structuredClone(data));
      if (store.tree.charts?.page_k?.ready) {
        seen = true;
        const { left_id, right_id } = store.tree.charts.page_k;
        const rows = store.tree.klines["SHFE.rb2701"]["60000000000"].data;
        for (let id = left_id; id <= right_id; id += 1) expect(rows[String(id)].datetime).toBeGreaterThan(1e18);
      }
    }
    expect(seen).toBe(true);
    expect(store.tree.charts.page_k).toBeUndefined();
    expect(store.tree.symbols.page_instruments).toBeUndefined();
  });

  it("tells listeners once per message, after all of it", () => {
    const store = new DiffStore();
    const seen: number[] = [];
    store.on("a", (patches) => seen.push(patches.length, store.tree.b.y));
    store.apply([{ a: { x: 1 } }, { b: { y: 2 } }, { a: { x: 3 } }]);
    expect(seen).toEqual([2, 2]);
  });
});
