import { afterEach, describe, expect, it, vi } from "vitest";
import { ApiError, ask } from "../src/api/client";
import { i18n } from "../src/i18n";

const replies = (status: number, body: unknown): void => {
  vi.stubGlobal("fetch", async () => (typeof body === "string" ? new Response(body, { status }) : Response.json(body, { status })));
};

describe("what a door has to say", () => {
  afterEach(() => vi.unstubAllGlobals());

  it("is the data of the envelope", async () => {
    replies(200, { success: true, data: [1, 2], error: null });
    expect(await ask("GET /api/management/accounts")).toEqual([1, 2]);
    replies(200, { success: true, data: null, error: null });
    expect(await ask("GET /api/management/accounts")).toBeNull();
  });

  it("is the reply itself where there is no envelope", async () => {
    replies(200, { status: "ok", services: [] });
    expect(await ask("GET /healthz")).toEqual({ status: "ok", services: [] });
    replies(200, "# HELP a metric");
    expect(await ask("GET /metrics")).toBe("# HELP a metric");
  });

  it("is an error where the envelope says so", async () => {
    replies(200, { success: false, data: null, error: { code: 4001, message: "no such account" } });
    const refused = await ask("GET /api/management/accounts").catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApiError);
    expect(refused).toMatchObject({ message: "no such account", code: 4001 });
  });
});

describe("a call", () => {
  afterEach(() => { i18n.global.locale.value = "zh"; vi.unstubAllGlobals(); });

  it("asks for refusals in the language of the page, not of the browser", async () => {
    const asked: string[] = [];
    vi.stubGlobal("fetch", async (_path: string, options: RequestInit) => {
      asked.push((options.headers as Record<string, string>)["Accept-Language"] ?? "");
      return Response.json({ status: "ok" });
    });
    await ask("GET /healthz");
    i18n.global.locale.value = "en";
    await ask("GET /healthz");
    expect(asked).toEqual(["zh", "en"]);
  });

  it("that has no answer says whether the server is away, slow, or nobody waited", async () => {
    const failing = (error: unknown): void => { vi.stubGlobal("fetch", async () => { throw error; }); };
    i18n.global.locale.value = "en";
    for (const [error, text] of [[new TypeError("Failed to fetch"), "cannot be reached"], [new DOMException("", "TimeoutError"), "in time"], [new DOMException("", "AbortError"), "Cancelled"]] as const) {
      failing(error);
      await expect(ask("GET /healthz")).rejects.toMatchObject({ status: 0, message: expect.stringContaining(text) });
    }
  });
});
