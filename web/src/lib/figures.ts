// Figures asked for again and again: the newest answer, what they are of, and whether they are old.
import { onScopeDispose, ref, shallowRef, watch, type Ref, type ShallowRef } from "vue";

export interface Figures<T> {
  /** The newest answer; null before there is one, and from the moment something else is asked about. */
  found: Readonly<ShallowRef<T | null>>;
  /** What is shown may be of the past: the last request failed. */
  old: Readonly<Ref<boolean>>;
  /** Why the last request failed. */
  wrong: Readonly<Ref<string>>;
  /** Ask now: after something was done, or by hand. */
  load: () => Promise<void>;
}

/**
 * Ask with `work` now, again every `everyMs` while the page is looked at, and whenever what `key` returns changes:
 * what was found of another key is gone at once, and an answer that comes late is dropped. `work` answers
 * null where there is nothing to ask about.
 */
export function useFigures<T>(work: () => Promise<T | null>, everyMs: number, key: () => unknown = () => ""): Figures<T> {
  const found = shallowRef<T | null>(null);
  const old = ref(false);
  const wrong = ref("");
  let turn = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;

  async function load(): Promise<void> {
    clearTimeout(timer);
    turn += 1;
    const mine = turn;
    try {
      const answer = await work();
      if (mine !== turn) return;
      found.value = answer;
      old.value = false;
      wrong.value = "";
    } catch (error) {
      if (mine !== turn) return;
      old.value = found.value !== null;
      wrong.value = (error as Error).message;
    }
    wait();
  }
  function wait(): void {
    timer = setTimeout(() => { if (document.hidden) wait(); else void load(); }, everyMs);
  }
  watch(key, () => {
    found.value = null;
    old.value = false;
    wrong.value = "";
    void load();
  }, { immediate: true });
  onScopeDispose(() => { turn += 1; clearTimeout(timer); });
  return { found, old, wrong, load };
}
