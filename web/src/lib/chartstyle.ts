// The chart in the page's own colours, read from the token sheet.
import type { DeepPartial, Styles } from "klinecharts";

export const token = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function chartStyles(): DeepPartial<Styles> {
  const up = token("--up"), down = token("--down"), muted = token("--muted"), line = token("--line"), text = token("--text"), raised = token("--raised");
  const strong = token("--line-strong");
  const family = token("--font");
  const axis = { axisLine: { color: line }, tickLine: { color: line }, tickText: { color: muted, size: 11, family } };
  const cross = { line: { color: strong }, text: { color: token("--panel"), backgroundColor: muted, borderColor: muted, family } };
  return {
    grid: { horizontal: { color: line }, vertical: { color: line } },
    candle: {
      bar: { upColor: up, downColor: down, noChangeColor: muted, upBorderColor: up, downBorderColor: down, noChangeBorderColor: muted, upWickColor: up, downWickColor: down, noChangeWickColor: muted },
      priceMark: { high: { color: muted, textFamily: family }, low: { color: muted, textFamily: family }, last: { upColor: up, downColor: down, noChangeColor: muted, text: { color: token("--panel"), family } } },
      tooltip: { title: { show: false }, legend: { color: muted, size: 11, family }, rect: { color: raised, borderColor: line } },
    },
    indicator: {
      ohlc: { upColor: up, downColor: down, noChangeColor: muted },
      bars: [{ upColor: `${up}b0`, downColor: `${down}b0`, noChangeColor: muted }],
      lastValueMark: { show: false },
      tooltip: { title: { color: muted, size: 11, family }, legend: { color: text, size: 11, family } },
    },
    xAxis: axis,
    yAxis: axis,
    separator: { color: line },
    crosshair: { horizontal: cross, vertical: cross },
  };
}
