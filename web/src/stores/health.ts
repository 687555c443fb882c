// The state of the process, asked every two seconds while the page is looked at.
import { defineStore } from "pinia";
import { computed, ref, shallowRef, watch } from "vue";
import { call } from "../api/client";
import type { GatewayStatus, Health } from "../api/schema";

const POLL_MS = 2_000;
export type Service = { name: string; state: string; [fact: string]: unknown };
export type Source = GatewayStatus["sources"][number] & { state?: string; simulated?: boolean; rows?: number };

export const useHealth = defineStore("health", () => {
  const health = shallowRef<Health | null>(null);
  const status = shallowRef<GatewayStatus | null>(null);
  const reachable = ref(true);
  let started = false;

  const services = computed(() => (health.value?.services ?? []) as Service[]);
  const sources = computed(() => (status.value?.sources ?? []) as Source[]);
  const simulated = computed(() => sources.value.some((source) => source.simulated));
  const replayed = computed(() => sources.value.some((source) => source.name === "replay"));
  const notRunning = computed(() => services.value.filter((one) => !["running", "finished"].includes(one.state)));
  const marketMs = computed(() => Number(health.value?.clock.now_ns ?? 0) / 1e6);

  async function poll(): Promise<void> {
    try {
      const [first, second] = await Promise.all([call("GET /healthz"), call("GET /api/status")]);
      health.value = first;
      status.value = second;
      reachable.value = true;
    } catch {
      reachable.value = false;
    }
  }

  /** Whether a service is part of this process, whatever its state; true while that is not known yet. */
  const runs = (name: "feed" | "store" | "trade" | "auth"): boolean => health.value === null || services.value.some((one) => one.name === name);
  /** Wait until it is known what runs. */
  function known(): Promise<void> {
    return new Promise((resolve) => {
      if (health.value) return resolve();
      const stop = watch(health, () => { stop(); resolve(); });
    });
  }

  function start(): void {
    if (started) return;
    started = true;
    const loop = async (): Promise<void> => {
      if (!document.hidden) await poll();
      setTimeout(() => void loop(), POLL_MS);
    };
    void loop();
    document.addEventListener("visibilitychange", () => { if (!document.hidden) void poll(); });
  }
  return { health, status, reachable, services, sources, simulated, replayed, notRunning, marketMs, runs, known, poll, start };
});
