import vue from "@vitejs/plugin-vue";
import { defineConfig } from "vite";

// `npm run dev` serves the sources with hot reload and hands every other path to a running server.
const server = process.env.QAUTLRA_URL ?? "http://127.0.0.1:8014";
const hand = { target: server, changeOrigin: true, ws: true, headers: { origin: server } };

export default defineConfig({
  plugins: [vue()],
  define: { __VUE_I18N_LEGACY_API__: false, __VUE_I18N_FULL_INSTALL__: false, __INTLIFY_PROD_DEVTOOLS__: false, __VUE_OPTIONS_API__: false },
  build: {
    outDir: process.env.QAUTLRA_PAGE_OUT ?? "../src/qautlra/net/page",
    emptyOutDir: true,
    assetsInlineLimit: 0, // the policy allows no data: scripts, and styles stay files
    modulePreload: { polyfill: false },
    target: "es2022",
    chunkSizeWarningLimit: 400,
  },
  server: {
    port: 5173,
    proxy: Object.fromEntries(["/api", "/ws", "/health", "/healthz", "/readyz", "/metrics"].map((path) => [path, hand])),
  },
});
