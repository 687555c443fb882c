// The one way the page calls REST: typed by the server's own description, errors as values with a text to show.
import { i18n, say } from "../i18n";
import type { Doors } from "./schema";

const TIMEOUT_MS = 15_000;
export const FILE_MS = 600_000;

export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when there was no answer: the server could not be reached, was too slow, or nobody waited any more. */
    readonly status: number,
    readonly code?: string | number,
  ) {
    super(message);
  }
  /** The service behind the door does not run in this mode, or the door does not exist in this version. */
  get absent(): boolean {
    return this.status === 503 || this.status === 404;
  }
}

export interface Call {
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  /** How long the whole answer may take; files take longer than figures. */
  timeoutMs?: number;
  /** Whoever asked may not want the answer any more. */
  signal?: AbortSignal;
}

let token: string | null = null;
let onRefused: (token: string) => void = () => {};

/** Use this login for the calls that follow; `refused` is told of a token that was not taken. */
export function useToken(value: string | null, refused: (token: string) => void): void {
  token = value;
  onRefused = refused;
}

/** Call a door and return the response when it is a success. */
export async function request(method: string, path: string, call: Call = {}): Promise<Response> {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(call.query ?? {})) if (value !== undefined) query.set(key, String(value));
  const headers: Record<string, string> = { "Accept-Language": i18n.global.locale.value, ...call.headers };
  const used = token;
  if (used) headers.Authorization = `Bearer ${used}`;
  if (call.body !== undefined) headers["Content-Type"] = "application/json";
  let reply: Response;
  try {
    reply = await fetch(query.size ? `${path}?${query}` : path, {
      method,
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      cache: "no-store",
      signal: AbortSignal.any([AbortSignal.timeout(call.timeoutMs ?? TIMEOUT_MS), ...(call.signal ? [call.signal] : [])]),
    });
  } catch (error) {
    throw unanswered(error);
  }
  if (reply.ok) return reply;
  if (reply.status === 401 && used) onRefused(used);
  throw refusal(reply.status, await reply.text());
}

/** Why there was no answer, or no end of it. */
export function unanswered(error: unknown): ApiError {
  const { name } = error as { name?: string };
  return new ApiError(say(name === "AbortError" ? "common.cancelled" : name === "TimeoutError" ? "common.late" : "common.unreachable"), 0);
}

/** Both error forms of the server: `{"error": text}` and `{"success": false, "error": {code, message}}`. */
export function refusal(status: number, text: string): ApiError {
  try {
    const { error, code } = JSON.parse(text) as { error?: unknown; code?: string };
    if (typeof error === "string") return new ApiError(error, status, code);
    if (typeof error === "object" && error !== null) {
      const inner = error as { message?: string; code?: number };
      return new ApiError(inner.message ?? text, status, inner.code);
    }
  } catch {
    // not JSON: the text itself is the message
  }
  return new ApiError(text || `HTTP ${status}`, status);
}

/** Call a described door: `call("GET /api/status")`. */
export async function call<D extends keyof Doors>(
  door: D,
  options: { query?: Doors[D]["query"]; body?: Doors[D]["body"]; path?: Record<string, string> } = {},
): Promise<Doors[D]["reply"]> {
  const [method, template] = (door as string).split(" ") as [string, string];
  const path = template.replace(/\{(\w+)\}/g, (_all, name: string) => encodeURIComponent(options.path?.[name] ?? ""));
  const reply = await request(method, path, { query: options.query as Call["query"], body: options.body });
  const type = reply.headers.get("Content-Type") ?? "";
  return (type.includes("json") ? await reply.json() : await reply.text()) as Doors[D]["reply"];
}

/** What a door has to say: the data of the envelope, or the reply itself where there is none. */
export type Told<D extends keyof Doors> = Doors[D]["reply"] extends { data: infer T; success: boolean } ? T : Doors[D]["reply"];

/** Call a door and return what it has to say; an envelope that tells of a failure is an error. */
export async function ask<D extends keyof Doors>(door: D, options: Parameters<typeof call<D>>[1] = {}): Promise<Told<D>> {
  const reply: unknown = await call(door, options);
  const enveloped = typeof reply === "object" && reply !== null && "success" in reply && "data" in reply;
  if (!enveloped) return reply as Told<D>;
  if (reply.success === false) throw refusal(400, JSON.stringify(reply));
  return reply.data as Told<D>;
}
