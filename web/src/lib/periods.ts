// Chart periods: what the page calls them, what DIFF counts (nanoseconds), what the chart library wants.
import type { Period } from "klinecharts";

const S = 1_000_000_000;
export const periods: Record<string, { ns: number; period: Period }> = {
  "5s": { ns: 5 * S, period: { type: "second", span: 5 } },
  "1m": { ns: 60 * S, period: { type: "minute", span: 1 } },
  "3m": { ns: 180 * S, period: { type: "minute", span: 3 } },
  "5m": { ns: 300 * S, period: { type: "minute", span: 5 } },
  "15m": { ns: 900 * S, period: { type: "minute", span: 15 } },
  "30m": { ns: 1800 * S, period: { type: "minute", span: 30 } },
  "1h": { ns: 3600 * S, period: { type: "hour", span: 1 } },
  "1d": { ns: 86400 * S, period: { type: "day", span: 1 } },
};
