// One question at a time, answered yes or no.
import { defineStore } from "pinia";
import { ref, shallowRef } from "vue";

export interface Question { title: string; lines: string[]; yes: string; danger?: boolean; word?: string }

export const useConfirm = defineStore("confirm", () => {
  const question = shallowRef<Question | null>(null);
  const typed = ref("");
  let answer: ((yes: boolean) => void) | null = null;
  function ask(next: Question): Promise<boolean> {
    answer?.(false);
    typed.value = "";
    question.value = next;
    return new Promise((resolve) => (answer = resolve));
  }
  function reply(yes: boolean): void {
    question.value = null;
    answer?.(yes);
    answer = null;
  }
  return { question, typed, ask, reply };
});
