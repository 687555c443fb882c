// What a person chose on this browser; nothing secret, kept in localStorage.
import { defineStore } from "pinia";
import { reactive, watch, watchEffect, toRefs } from "vue";

const KEY = "qautlra.prefs";

export interface SavedQuery { name: string; stream: string; start: string; end: string; filter: string; fields: string; limit: number; order: string; sql?: string }

const defaults = {
  theme: "auto" as "auto" | "dark" | "light",
  language: (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en") as "zh" | "en",
  redUp: true,
  confirm: true,
  symbol: "",
  starred: [] as string[],
  period: "1m",
  overlays: ["MA"] as string[],
  studies: ["VOL"] as string[],
  volumes: {} as Record<string, number>,
  queries: [] as SavedQuery[],
};

function stored(): Partial<typeof defaults> {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<typeof defaults>;
  } catch {
    return {};
  }
}

export const usePrefs = defineStore("prefs", () => {
  const prefs = reactive({ ...structuredClone(defaults), ...stored() });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const system = reactive({ dark: dark.matches });
  dark.addEventListener("change", () => (system.dark = dark.matches));
  const shown = (): "dark" | "light" => (prefs.theme === "auto" ? (system.dark ? "dark" : "light") : prefs.theme);

  watch(prefs, () => localStorage.setItem(KEY, JSON.stringify(prefs)), { deep: true });
  watchEffect(() => {
    const root = document.documentElement;
    root.dataset.theme = shown();
    root.dataset.up = prefs.redUp ? "red" : "green";
    root.lang = prefs.language === "zh" ? "zh-CN" : "en";
  });

  function toggleStar(symbol: string): void {
    prefs.starred = prefs.starred.includes(symbol) ? prefs.starred.filter((one) => one !== symbol) : [...prefs.starred, symbol];
  }

  return { ...toRefs(prefs), shown, toggleStar };
});
