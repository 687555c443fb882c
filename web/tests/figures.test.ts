import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { effectScope, nextTick, ref, type EffectScope } from "vue";
import { ApiError } from "../src/api/client";
import { useFigures, type Figures } from "../src/lib/figures";

interface Asked { of: string; answer: (value: string) => void; refuse: (error: Error) => void }

describe("figures that are asked for again and again", () => {
  let scope: EffectScope;
  let asked: Asked[];
  const account = ref("a");
  const page = { hidden: false };
  const start = (): Figures<string> => scope.run(() => useFigures(() => new Promise<string | null>((answer, refuse) => (account.value ? asked.push({ of: account.value, answer, refuse }) : answer(null))), 5_000, () => account.value))!;

  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal("document", page);
    page.hidden = false;
    account.value = "a";
    asked = [];
    scope = effectScope();
  });
  afterEach(() => { scope.stop(); vi.useRealTimers(); vi.unstubAllGlobals(); });
  const settle = async (): Promise<void> => { await nextTick(); await vi.advanceTimersByTimeAsync(0); };

  it("are gone as soon as something else is asked about", async () => {
    const { found } = start();
    asked[0]!.answer("of a");
    await settle();
    expect(found.value).toBe("of a");
    account.value = "b";
    await settle();
    expect(found.value).toBeNull();
    expect(asked.map((one) => one.of)).toEqual(["a", "b"]);
    account.value = "";
    await settle();
    expect(found.value).toBeNull();
    expect(asked).toHaveLength(2);
  });

  it("do not take an answer about something else that comes late", async () => {
    const { found, wrong } = start();
    account.value = "b";
    await settle();
    asked[1]!.answer("of b");
    asked[0]!.answer("of a");
    await settle();
    expect(found.value).toBe("of b");
    account.value = "c";
    await settle();
    account.value = "d";
    await settle();
    asked[2]!.refuse(new Error("about c"));
    await settle();
    expect(wrong.value).toBe("");
  });

  it("say that they are old while requests fail, and recover by themselves", async () => {
    const { found, old, wrong } = start();
    asked[0]!.answer("first");
    await settle();
    expect(old.value).toBe(false);
    await vi.advanceTimersByTimeAsync(5_000);
    asked[1]!.refuse(new ApiError("fetch failed", 0));
    await settle();
    expect([found.value, old.value]).toEqual(["first", true]);
    expect(wrong.value).not.toBe("");
    await vi.advanceTimersByTimeAsync(5_000);
    asked[2]!.answer("second");
    await settle();
    expect([found.value, old.value, wrong.value]).toEqual(["second", false, ""]);
  });

  it("are asked for at once after something was done, and not by two clocks afterwards", async () => {
    const { found, load } = start();
    asked[0]!.answer("before");
    await settle();
    void load();
    expect(asked).toHaveLength(2);
    asked[1]!.answer("after");
    await settle();
    expect(found.value).toBe("after");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked).toHaveLength(3);
  });

  it("are not asked for while nobody looks, nor after the page is gone", async () => {
    start();
    asked[0]!.answer("seen");
    await settle();
    page.hidden = true;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toHaveLength(1);
    page.hidden = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect(asked).toHaveLength(2);
    scope.stop();
    asked[1]!.answer("late");
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toHaveLength(2);
  });
});
