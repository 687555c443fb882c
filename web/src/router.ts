import { createRouter, createWebHashHistory } from "vue-router";
import { useSession } from "./stores/session";

/** Pages of the side bar, in order; `needs` says what a page is about: a login, or a right. */
export const pages: { path: string; name: string; icon: string; needs?: string; component: () => Promise<unknown> }[] = [
  { path: "/overview", name: "overview", icon: "gauge", component: () => import("./pages/OverviewPage.vue") },
  { path: "/market", name: "market", icon: "candles", component: () => import("./pages/MarketPage.vue") },
  { path: "/store", name: "store", icon: "database", component: () => import("./pages/StorePage.vue") },
  { path: "/monitor", name: "monitor", icon: "pulse", component: () => import("./pages/MonitorPage.vue") },
  { path: "/api", name: "api", icon: "code", component: () => import("./pages/ApiPage.vue") },
];

export const router = createRouter({
  history: createWebHashHistory("/"),
  routes: [
    { path: "/", redirect: "/market" },
    ...pages.map(({ path, name, needs, component }) => ({ path, name, component, meta: { needs } })),
    { path: "/login", name: "login", component: () => import("./pages/LoginPage.vue") },
    { path: "/:rest(.*)*", name: "missing", component: () => import("./pages/MissingPage.vue") },
  ],
});

router.beforeEach((to) => {
  if (to.meta.needs && !useSession().loggedIn) return { name: "login", query: { next: to.fullPath } };
  return true;
});
