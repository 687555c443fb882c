import { createRouter, createWebHashHistory } from "vue-router";
import { useSession } from "./stores/session";

/** Pages of the side bar, in order; `needs` names what must be there first: a login. */
export const pages: { path: string; name: string; icon: string; needs?: string; component: () => Promise<unknown> }[] = [
  { path: "/overview", name: "overview", icon: "gauge", component: () => import("./pages/OverviewPage.vue") },
  { path: "/market", name: "market", icon: "candles", component: () => import("./pages/MarketPage.vue") },
  { path: "/trade", name: "trade", icon: "swap", needs: "login", component: () => import("./pages/TradePage.vue") },
  { path: "/positions", name: "positions", icon: "layers", needs: "login", component: () => import("./pages/PositionsPage.vue") },
  { path: "/orders", name: "orders", icon: "list", needs: "login", component: () => import("./pages/OrdersPage.vue") },
  { path: "/account", name: "account", icon: "wallet", needs: "login", component: () => import("./pages/AccountPage.vue") },
  { path: "/store", name: "store", icon: "database", component: () => import("./pages/StorePage.vue") },
  { path: "/monitor", name: "monitor", icon: "pulse", component: () => import("./pages/MonitorPage.vue") },
  { path: "/admin", name: "admin", icon: "shield", needs: "login", component: () => import("./pages/AdminPage.vue") },
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
