// Numbers and times as people read them. A value that is no number is a dash, never a zero.

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);

/** Decimals of a price step: 0.005 -> 3. */
export function decimalsOf(step: unknown): number {
  if (!isNumber(step) || step <= 0) return 2;
  for (let places = 0; places < 8; places += 1) if (Math.abs(step * 10 ** places - Math.round(step * 10 ** places)) < 1e-6) return places;
  return 8;
}

export const price = (value: unknown, places = 2): string => (isNumber(value) ? value.toFixed(places) : "—");

const grouped = new Map<number, Intl.NumberFormat>();
/** With thousands separators. */
export function money(value: unknown, places = 2): string {
  if (!isNumber(value)) return "—";
  let format = grouped.get(places);
  if (!format) grouped.set(places, (format = new Intl.NumberFormat("en-US", { minimumFractionDigits: places, maximumFractionDigits: places })));
  return format.format(value);
}

export const count = (value: unknown): string => money(value, 0);

/** With a sign, for changes and profits. */
export const signed = (value: unknown, places = 2): string => (isNumber(value) ? `${value > 0 ? "+" : ""}${money(value, places)}` : "—");

export const percent = (value: unknown, places = 2): string => (isNumber(value) ? `${value > 0 ? "+" : ""}${(value * 100).toFixed(places)}%` : "—");

/** 1234567 -> 1.23M, in the way of the language. */
export function short(value: unknown, language: string): string {
  if (!isNumber(value)) return "—";
  const size = Math.abs(value);
  const steps: [number, string][] = language.startsWith("zh") ? [[1e8, "亿"], [1e4, "万"]] : [[1e9, "B"], [1e6, "M"], [1e4, "k"]];
  for (const [unit, name] of steps) if (size >= unit) return `${(value / (name === "k" ? 1e3 : unit)).toFixed(2)}${name}`;
  return money(value, Number.isInteger(value) ? 0 : 2);
}

export function bytes(value: unknown): string {
  if (!isNumber(value)) return "—";
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = value;
  let name = 0;
  while (size >= 1024 && name < names.length - 1) { size /= 1024; name += 1; }
  return `${size.toFixed(name ? 1 : 0)} ${names[name]}`;
}

const MS_OF_BEIJING = 8 * 3600e3;
/** Milliseconds since the epoch as Beijing time. */
export function beijing(ms: unknown, from = 0, to = 19): string {
  return isNumber(ms) ? new Date(ms + MS_OF_BEIJING).toISOString().replace("T", " ").slice(from, to) : "—";
}
/** Nanoseconds as Beijing time: `beijingNs(ns, 11, 19)` is the clock. */
export const beijingNs = (ns: unknown, from = 0, to = 19): string => (isNumber(ns) ? beijing(ns / 1e6, from, to) : "—");

export function span(seconds: unknown): string {
  if (!isNumber(seconds)) return "—";
  const whole = Math.floor(seconds);
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0")).join(":");
  const days = Math.floor(whole / 86400);
  return days ? `${days}d ${clock}` : clock;
}

/** Rows as CSV, quoted where needed; a text that a spreadsheet would take for a formula is disarmed. */
export function csv(header: string[], rows: unknown[][]): string {
  const cell = (value: unknown): string => {
    let text = value === null || value === undefined ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [header, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Hand a file to the person. */
export function download(name: string, body: Blob | string, type = "text/csv"): void {
  const url = URL.createObjectURL(typeof body === "string" ? new Blob(["\ufeff", body], { type: `${type};charset=utf-8` }) : body);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
