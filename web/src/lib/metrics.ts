// Prometheus text as values: samples by name, histograms as buckets.
export interface Sample { labels: Record<string, string>; value: number }
export interface Histogram { bounds: number[]; counts: number[]; count: number; sum: number }

export function parse(text: string): Map<string, Sample[]> {
  const found = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/.exec(line);
    if (!match?.[1]) continue;
    const labels: Record<string, string> = {};
    for (const [, key, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) if (key) labels[key] = value ?? "";
    const list = found.get(match[1]) ?? [];
    list.push({ labels, value: match[3] === "+Inf" ? Infinity : Number(match[3]) });
    found.set(match[1], list);
  }
  return found;
}

/** The first sample of a name, or null. */
export const one = (metrics: Map<string, Sample[]>, name: string): number | null => metrics.get(name)?.[0]?.value ?? null;

/** A histogram with each bucket's own count; all label sets together. */
export function histogram(metrics: Map<string, Sample[]>, name: string): Histogram | null {
  const sums = new Map<number, number>();
  for (const { labels, value } of metrics.get(`${name}_bucket`) ?? []) {
    const bound = labels.le === "+Inf" ? Infinity : Number(labels.le);
    sums.set(bound, (sums.get(bound) ?? 0) + value);
  }
  if (!sums.size) return null;
  const bounds = [...sums.keys()].sort((a, b) => a - b);
  const total = (suffix: string): number => (metrics.get(`${name}_${suffix}`) ?? []).reduce((sum, sample) => sum + sample.value, 0);
  return { bounds, counts: bounds.map((bound, n) => (sums.get(bound) ?? 0) - (n ? (sums.get(bounds[n - 1] ?? 0) ?? 0) : 0)), count: total("count"), sum: total("sum") };
}

/** The bound below which a share of all observations lies; null without any. */
export function quantile(found: Histogram, share: number): number | null {
  if (!found.count) return null;
  let seen = 0;
  for (let n = 0; n < found.bounds.length; n += 1) {
    seen += found.counts[n] ?? 0;
    if (seen >= share * found.count) return found.bounds[n] ?? null;
  }
  return null;
}

/** Every histogram there is, by its base name. */
export const histograms = (metrics: Map<string, Sample[]>): string[] =>
  [...metrics.keys()].filter((name) => name.endsWith("_bucket")).map((name) => name.slice(0, -7)).sort();
