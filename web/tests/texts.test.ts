import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { texts } from "../src/i18n/texts";

const rooms = texts as Record<string, Record<string, readonly string[]>>;
const sources = readdirSync(new URL("../src", import.meta.url), { recursive: true, encoding: "utf8" })
  .filter((name) => /\.(vue|ts)$/.test(name) && !name.includes("texts"))
  .map((name) => [name, readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8")] as const);

describe("texts", () => {
  it("are there in both languages", () => {
    for (const [room, pairs] of Object.entries(rooms))
      for (const [key, pair] of Object.entries(pairs)) {
        expect(pair, `${room}.${key}`).toHaveLength(2);
        expect(pair.every((text) => text.length > 0), `${room}.${key}`).toBe(true);
        const names = (text: string): string[] => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? "").sort();
        expect(names(pair[0] ?? ""), `${room}.${key}`).toEqual(names(pair[1] ?? ""));
      }
  });

  it("exist for every key that a page names", () => {
    const missing: string[] = [];
    for (const [name, source] of sources)
      for (const [, room, key] of source.matchAll(/(?:\bt|\bsay|\$t)\(\s*["'`](\w+)\.(\w+)["'`]/g))
        if (!rooms[room ?? ""]?.[key ?? ""]) missing.push(`${name}: ${room}.${key}`);
    expect(missing).toEqual([]);
  });
});
