// Who is logged in. The token lives in this tab only (sessionStorage) and is renewed before it ends.
import { defineStore } from "pinia";
import { computed, ref, shallowRef } from "vue";
import { ask, useToken, type ApiError } from "../api/client";
import type { LoginReply } from "../api/schema";
import { say } from "../i18n";
import { useNotices } from "./notices";

const KEY = "qautlra.session";
const RENEW_BEFORE_S = 120;
const AGAIN_MS = 10_000;
const OFFICE = ["view_risk", "manage_users", "manage_instruments", "settle", "view_audit", "announce"];

type Login = LoginReply;

export const useSession = defineStore("session", () => {
  const notices = useNotices();
  const login = shallowRef<Login | null>(null);
  /** The account the trade pages show. */
  const account = ref("");
  const loggedIn = computed(() => login.value !== null);
  const user = computed(() => login.value?.username ?? "");
  const accounts = computed(() => Object.keys(login.value?.accounts ?? {}).sort());
  const may = (right: string): boolean => login.value?.permissions.includes(right) ?? false;
  /** Whether there is anything on the administration page for this user. */
  const inOffice = computed(() => OFFICE.some(may));
  let renewal: ReturnType<typeof setTimeout> | undefined;
  let renewing = false;

  function adopt(next: Login | null): void {
    login.value = next;
    clearTimeout(renewal);
    useToken(next?.token ?? null, refused);
    if (!next) {
      sessionStorage.removeItem(KEY);
      account.value = "";
      return;
    }
    sessionStorage.setItem(KEY, JSON.stringify(next));
    if (!(account.value in next.accounts)) account.value = accounts.value[0] ?? "";
    renewal = setTimeout(() => void renew(), (next.expires_in - Math.min(RENEW_BEFORE_S, next.expires_in / 3)) * 1_000);
  }
  /** A token was not taken: after a sleep it may only be old, which the other one tells. */
  function refused(token: string): void {
    if (login.value?.token === token) void renew();
  }
  async function renew(): Promise<void> {
    const old = login.value;
    if (!old || renewing) return;
    renewing = true;
    try {
      const next = await ask("POST /api/auth/refresh", { body: { refresh_token: old.refresh_token } });
      if (login.value?.user_id === old.user_id) adopt({ ...login.value, ...next }); // not after a logout meanwhile
    } catch (error) {
      const { status } = error as ApiError; // a server that is away, starting or busy says nothing of the login
      if (login.value?.user_id !== old.user_id) return;
      if (status === 0 || status === 429 || status >= 500) renewal = setTimeout(() => void renew(), AGAIN_MS);
      else ended();
    } finally {
      renewing = false;
    }
  }
  /** The server no longer takes the token. */
  function ended(): void {
    if (!login.value) return;
    adopt(null);
    notices.say("warn", say("login.ended"));
  }
  async function enter(username: string, password: string): Promise<void> {
    adopt(await ask("POST /api/auth/login", { body: { username, password } }));
  }
  async function logout(): Promise<void> {
    try {
      await ask("POST /api/auth/logout");
    } catch {
      // it ends here in any case
    }
    adopt(null);
  }
  /** Ask again who this is: an account opened meanwhile is among the user's. */
  async function refresh(): Promise<void> {
    const me = await ask("GET /api/auth/me");
    if (login.value) adopt({ ...login.value, roles: me.roles, permissions: me.permissions, accounts: me.accounts });
  }
  /** Take up the login of this tab after a reload. */
  function start(): void {
    if (login.value) return;
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? "null") as Login | null;
      if (kept?.token) { adopt(kept); void renew(); }
    } catch {
      sessionStorage.removeItem(KEY);
    }
  }
  start();
  return { login, account, loggedIn, user, accounts, inOffice, may, enter, logout, refresh };
});
