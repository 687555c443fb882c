// One question at a time, answered yes or no, or with what it asks for.
import { defineStore } from "pinia";
import { reactive, ref, shallowRef } from "vue";

/** Something to be filled in; `options` make it a choice of [value, label]. */
export interface Field { name: string; label: string; value?: string; type?: "text" | "number" | "password"; options?: [string, string][]; optional?: boolean }
export interface Question { title: string; lines: string[]; yes: string; danger?: boolean; word?: string; fields?: Field[] }

export const useConfirm = defineStore("confirm", () => {
  const question = shallowRef<Question | null>(null);
  const typed = ref("");
  const filled = reactive<Record<string, string>>({});
  let answer: ((yes: boolean) => void) | null = null;
  function ask(next: Question): Promise<boolean> {
    answer?.(false);
    typed.value = "";
    for (const key of Object.keys(filled)) delete filled[key];
    for (const field of next.fields ?? []) filled[field.name] = field.value ?? "";
    question.value = next;
    return new Promise((resolve) => (answer = resolve));
  }
  /** What was filled in, or null when the question was turned down. */
  async function fill(next: Question): Promise<Record<string, string> | null> {
    return (await ask(next)) ? { ...filled } : null;
  }
  function reply(yes: boolean): void {
    question.value = null;
    answer?.(yes);
    answer = null;
  }
  return { question, typed, filled, ask, fill, reply };
});
