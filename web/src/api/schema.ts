// Made by tools/api.mjs from /api/openapi.json; do not edit.

/** What went wrong, for a person; further keys for machines. */
export type ErrorBody = { "error": string };
/** Instruments wanted now, and those among them that no source has shown yet. */
export type SubscriptionList = { "instruments": (string)[]; "pending"?: (string)[] };
/** Instruments to pin or to let go, in any spelling. */
export type SubscriptionRequest = { "instruments": (string)[] };
/** The gateway as a whole; uptime in seconds. */
export type GatewayStatus = { "status": string; "uptime": number; "connected_clients": number; "active_subscriptions": number; "sources": (SourceStatus)[] };
/** One market data source. */
export type SourceStatus = { "name": string; "connected": boolean; "logged_in"?: boolean; "trading_day"?: string | null; "last_tick"?: string | null };
/** Known instruments, full symbols. */
export type InstrumentList = { "success": boolean; "data": (string)[]; "error"?: null };
/** A question to the store. Times as in `1h-ago`, `now`, RFC 3339, `2021-01-04 09:30`; range half-open. */
export type QueryBody = { "stream": string; "start_time"?: string | number | null; "end_time"?: string | number | null; "limit"?: number | null; "filter"?: string; "order"?: string; "fields"?: (string)[] | boolean | null };
/** The process: `ok`, `starting`, `degraded` or `stopping`; its event loop; the market clock. */
export type Health = { "status": string; "version": string; "loop": string; "modes": (string)[]; "uptime_s": number; "clock": Record<string, unknown>; "services": (ServiceHealth)[] };
/** One service and its state; further facts as it has them. */
export type ServiceHealth = { "name": string; "state": string };
/** Whether every service runs, and which do not. */
export type Readiness = { "ready": boolean; "waiting": (string)[] };

/** What each door takes and answers. */
export interface Doors {
  /** Is the gateway there */
  "GET /health": { query: {  }; body: undefined; reply: string };
  /** List wanted instruments */
  "GET /api/subscriptions": { query: {  }; body: undefined; reply: SubscriptionList };
  /** Pin instruments */
  "POST /api/subscriptions": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Let instruments go */
  "DELETE /api/subscriptions": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Pin instruments */
  "POST /api/subscribe": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Let instruments go */
  "POST /api/unsubscribe": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Sources, clients, subscriptions */
  "GET /api/status": { query: {  }; body: undefined; reply: GatewayStatus };
  /** List known instruments */
  "GET /api/market/instruments": { query: { "pattern"?: string }; body: undefined; reply: InstrumentList };
  /** Query stored rows */
  "GET /api/v1/query": { query: { "stream"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "filter"?: string; "order"?: string; "fields"?: string; "format"?: string; "streaming"?: string }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** Query stored rows */
  "POST /api/v1/query": { query: { "stream"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "filter"?: string; "order"?: string; "fields"?: string; "format"?: string; "streaming"?: string }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** State of the process */
  "GET /healthz": { query: {  }; body: undefined; reply: Health };
  /** Whether every service runs */
  "GET /readyz": { query: {  }; body: undefined; reply: Readiness };
  /** Prometheus metrics */
  "GET /metrics": { query: {  }; body: undefined; reply: string };
  /** This description */
  "GET /api/openapi.json": { query: {  }; body: undefined; reply: Record<string, unknown> };
}
