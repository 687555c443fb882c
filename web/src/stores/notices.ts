// What the server and the page have to say: shown for some seconds, and kept for the overview.
import { defineStore } from "pinia";
import { ref } from "vue";

export type Level = "info" | "good" | "warn" | "bad";
/** `times`: how often it was said while it is shown. */
export interface Notice { id: number; level: Level; text: string; at: number; times: number }

const SHOWN_COUNT = 4;
const KEPT_COUNT = 100;
const SHOWN_MS: Record<Level, number> = { info: 4_000, good: 4_000, warn: 8_000, bad: 12_000 };

export const useNotices = defineStore("notices", () => {
  const shown = ref<Notice[]>([]);
  const kept = ref<Notice[]>([]);
  let last = 0;

  function say(level: Level, text: string): void {
    const same = shown.value.find((one) => one.text === text && one.level === level);
    const notice = { id: ++last, level, text, at: Date.now(), times: (same?.times ?? 0) + 1 };
    if (same) dismiss(same.id);
    kept.value = [notice, ...kept.value].slice(0, KEPT_COUNT);
    shown.value = [...shown.value, notice].slice(-SHOWN_COUNT);
    setTimeout(() => dismiss(notice.id), SHOWN_MS[level]);
  }
  function dismiss(id: number): void {
    shown.value = shown.value.filter((notice) => notice.id !== id);
  }
  return { shown, kept, say, dismiss };
});
