// Two languages, each text beside its translation so that none can be forgotten.
import { createI18n } from "vue-i18n";
import { serverWords } from "./server-words";
import { texts } from "./texts";

type Pairs = Record<string, Record<string, readonly [zh: string, en: string]>>;
const side = (n: 0 | 1): Record<string, Record<string, string>> =>
  Object.fromEntries(Object.entries(texts as Pairs).map(([room, pairs]) => [room, Object.fromEntries(Object.entries(pairs).map(([key, pair]) => [key, pair[n]]))]));

export const i18n = createI18n({
  legacy: false,
  locale: "zh",
  fallbackLocale: "en",
  messages: { zh: side(0), en: side(1) },
});

/** Translate outside of a component. */
export const say = (key: string, values: Record<string, unknown> = {}): string => i18n.global.t(key, values);

/** What the server says, in the page's language: its words are Chinese, and one the page does not know stays as it is. */
export function said(text: string): string {
  if (i18n.global.locale.value === "zh") return text;
  return serverWords[text] ?? text.split(",").map((part) => part.split(":").map((word) => serverWords[word] ?? word).join(": ")).join(", ");
}
