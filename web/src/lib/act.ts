// A call that a button makes: busy while it runs, its refusal as text, its success as a notice.
import { ref } from "vue";
import { useNotices } from "../stores/notices";

export function useAct() {
  const busy = ref(false);
  const wrong = ref("");
  const notices = useNotices();
  async function act<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
    busy.value = true;
    wrong.value = "";
    try {
      const found = await work();
      if (done) notices.say("good", done);
      return found;
    } catch (error) {
      wrong.value = (error as Error).message;
      return undefined;
    } finally {
      busy.value = false;
    }
  }
  return { busy, wrong, act };
}
