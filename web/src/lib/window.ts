// Which rows of a long list are on screen: the others are not rendered and cost nothing.
import { computed, onBeforeUnmount, onMounted, ref, type Ref } from "vue";

const OVERSCAN_ROWS = 4;

export function useWindow(box: Readonly<Ref<HTMLElement | null>>, rowHeight: number, length: () => number) {
  const top = ref(0);
  const height = ref(600);
  const first = computed(() => Math.max(0, Math.min(length(), Math.floor(top.value / rowHeight)) - OVERSCAN_ROWS));
  const last = computed(() => Math.min(length(), Math.ceil((top.value + height.value) / rowHeight) + OVERSCAN_ROWS));
  const measure = (): void => {
    if (!box.value) return;
    top.value = box.value.scrollTop;
    height.value = box.value.clientHeight;
  };
  let observer: ResizeObserver | undefined;
  onMounted(() => {
    if (!box.value) return;
    box.value.addEventListener("scroll", measure, { passive: true });
    observer = new ResizeObserver(measure);
    observer.observe(box.value);
    measure();
  });
  onBeforeUnmount(() => observer?.disconnect());
  return { first, last };
}
