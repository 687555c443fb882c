import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

/** What the server answers: the doors of the login by their status, everything else by whether the token is the newest. */
class Doors {
  token = "first";
  renewal = 200;
  asked = 0;
  async fetch(path: string, options: RequestInit): Promise<Response> {
    if (path === "/api/auth/login") return this.login();
    if (path === "/api/auth/refresh") {
      this.asked += 1;
      if (this.renewal !== 200) return Response.json({ error: "no" }, { status: this.renewal });
      this.token = `renewed ${this.asked}`;
      return this.login();
    }
    const fine = (options.headers as Record<string, string>).Authorization === `Bearer ${this.token}`;
    return Response.json({ success: fine, data: [], error: fine ? null : { message: "no" } }, { status: fine ? 200 : 401 });
  }
  private login(): Response {
    return Response.json({ success: true, error: null, data: { token: this.token, refresh_token: "r", expires_in: 900, user_id: "ann", username: "ann", accounts: { ann: [] }, permissions: [], roles: [] } });
  }
}

describe("a login whose token is not taken", () => {
  let doors: Doors;
  beforeEach(() => {
    vi.useFakeTimers();
    doors = new Doors();
    vi.stubGlobal("sessionStorage", { getItem: () => null, setItem: () => {}, removeItem: () => {} });
    vi.stubGlobal("fetch", (path: string, options: RequestInit) => doors.fetch(path, options));
    setActivePinia(createPinia());
  });
  afterEach(() => { vi.clearAllTimers(); vi.useRealTimers(); vi.unstubAllGlobals(); vi.resetModules(); });

  async function entered() {
    const [{ useSession }, { ask }] = await Promise.all([import("../src/stores/session"), import("../src/api/client")]);
    const session = useSession();
    await session.enter("ann", "secret");
    doors.token = "another: the first is too old";
    const call = async (): Promise<void> => { await ask("GET /api/management/accounts").catch(() => {}); await vi.advanceTimersByTimeAsync(1); };
    return { session, call };
  }

  it("is renewed, once, and goes on", async () => {
    const { session, call } = await entered();
    await Promise.all([call(), call()]);
    expect([session.loggedIn, session.login?.token, doors.asked]).toEqual([true, "renewed 1", 1]);
    await call();
    expect(doors.asked).toBe(1);
  });

  it("ends where it cannot be renewed", async () => {
    const { session, call } = await entered();
    doors.renewal = 401;
    await call();
    expect(session.loggedIn).toBe(false);
  });

  it("waits for a server that starts", async () => {
    const { session, call } = await entered();
    doors.renewal = 503;
    await call();
    expect(session.loggedIn).toBe(true);
    doors.renewal = 200;
    await vi.advanceTimersByTimeAsync(11_000);
    expect(session.login?.token).toBe("renewed 2");
  });

  it("does not come back after a logout", async () => {
    const { session } = await entered();
    const { ask } = await import("../src/api/client");
    const refused = ask("GET /api/management/accounts").catch(() => {});
    const left = session.logout();
    await Promise.all([refused, left]);
    await vi.advanceTimersByTimeAsync(1);
    expect(session.loggedIn).toBe(false);
  });
});
