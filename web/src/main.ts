import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { i18n } from "./i18n";
import { router } from "./router";
import "./styles/tokens.css";
import "./styles/base.css";

// The documentation's address of older versions.
if (location.pathname === "/api/docs") location.replace("/#/api");
else createApp(App).use(createPinia()).use(i18n).use(router).mount("#app");
