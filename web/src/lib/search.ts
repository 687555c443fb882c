// Instruments by what a person types: words in any order, each a part of the symbol or the name.
import { instrumentName } from "./names";
import type { Instrument } from "./instrument";

export function find(instruments: Instrument[], text: string): Instrument[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return instruments;
  const rank = (one: Instrument): number => {
    const id = one.instrument_id.toLowerCase();
    const code = id.slice(id.indexOf(".") + 1);
    const name = instrumentName(one).toLowerCase();
    const whole = `${id} ${name}`;
    if (!words.every((word) => whole.includes(word))) return -1;
    return code === words[0] ? 3 : code.startsWith(words[0] ?? "") ? 2 : name.startsWith(words[0] ?? "") ? 1 : 0;
  };
  return instruments
    .map((one) => ({ one, rank: rank(one) }))
    .filter((found) => found.rank >= 0)
    .sort((a, b) => b.rank - a.rank)
    .map((found) => found.one);
}
