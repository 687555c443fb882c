// The page's words in both languages, and the choice of language and theme.
const TEXT = {
  zh: {
    other_language: "English", theme: "明暗", docs: "接口文档", metrics: "指标", quotes: "实时行情",
    sources: "行情源", services: "服务", addresses: "接入地址", search: "查找合约",
    live: "实时", simulated: "模拟行情", connecting: "连接中", lost: "已断开", no_feed: "无行情服务",
    lost_banner: "行情连接已断开，下面是断开前的数据；正在重连…",
    down_banner: "服务器没有应答，下面的内容可能已过时；正在重试…",
    starting_banner: "服务尚未全部就绪：", quiet: "没有行情到达",
    market_time: "行情时间", clock: "时钟", clients: "客户端", wanted: "订阅合约", rows: "已存行数", uptime: "已运行",
    loop: "事件循环", status: "状态", name: "名称", connected: "已连接", not_connected: "未连接", trading_day: "交易日",
    last_tick: "最新行情", restarts: "重启", none: "无", symbol: "合约", last: "最新价", change: "涨跌", percent: "涨跌幅",
    bid: "买价", bid_volume: "买量", ask: "卖价", ask_volume: "卖量", volume: "成交量", open_interest: "持仓量", time: "时间",
    shown: (n, all) => `显示 ${n} / ${all} 个合约`, empty: "还没有合约；行情源开始后会出现在这里。",
    empty_search: "没有符合的合约。", no_feed_text: "此模式不提供行情。", stale_hint: "超过 10 秒没有更新",
    ws_address: "行情 WebSocket（DIFF / 旧格式）", rest_address: "订阅与状态 REST", query_address: "数据查询", docs_address: "接口说明",
    docs_title: "接口文档", docs_note: "由本进程的路由表生成；机器可读的描述在", parameters: "查询参数", replies: "应答", body: "请求体", example: "示例",
    tags: { feed: "行情", store: "存储", operations: "运维" },
  },
  en: {
    other_language: "中文", theme: "Light or dark", docs: "API docs", metrics: "Metrics", quotes: "Live quotes",
    sources: "Sources", services: "Services", addresses: "Addresses", search: "Find an instrument",
    live: "live", simulated: "simulated prices", connecting: "connecting", lost: "disconnected", no_feed: "no feed",
    lost_banner: "The market socket is disconnected; what you see is from before. Reconnecting…",
    down_banner: "The server does not answer; what you see may be old. Trying again…",
    starting_banner: "Not everything runs yet: ", quiet: "No quotes are arriving",
    market_time: "Market time", clock: "clock", clients: "Clients", wanted: "Wanted", rows: "Rows stored", uptime: "Uptime",
    loop: "Event loop", status: "Status", name: "Name", connected: "connected", not_connected: "not connected", trading_day: "Trading day",
    last_tick: "Last tick", restarts: "Restarts", none: "none", symbol: "Instrument", last: "Last", change: "Change", percent: "%",
    bid: "Bid", bid_volume: "Size", ask: "Ask", ask_volume: "Size", volume: "Volume", open_interest: "Open int.", time: "Time",
    shown: (n, all) => `${n} of ${all} instruments`, empty: "No instruments yet; they appear when a source starts.",
    empty_search: "No instrument matches.", no_feed_text: "This mode serves no market feed.", stale_hint: "no update for 10 s",
    ws_address: "Market WebSocket (DIFF and older dialects)", rest_address: "Subscriptions and status", query_address: "Stored data", docs_address: "Documentation",
    docs_title: "API documentation", docs_note: "Made from this process's route table; for machines:", parameters: "Query parameters", replies: "Replies", body: "Body", example: "Example",
    tags: { feed: "Feed", store: "Store", operations: "Operations" },
  },
};
const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
const store = (key, value) => { try { localStorage.setItem(key, value); } catch { /* private mode: not kept */ } };

let language = stored("language") ?? (navigator.language?.startsWith("zh") ? "zh" : "en");
if (!(language in TEXT)) language = "en";

export const text = (key) => TEXT[language][key] ?? key;
export const locale = () => (language === "zh" ? "zh-CN" : "en-US");

function paint() {
  document.documentElement.lang = locale();
  for (const node of document.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
  for (const node of document.querySelectorAll("[data-placeholder]")) node.placeholder = text(node.dataset.placeholder);
  for (const node of document.querySelectorAll("[data-title]")) node.title = text(node.dataset.title);
  for (const node of document.querySelectorAll("[data-label]")) node.setAttribute("aria-label", text(node.dataset.label));
}

/** Wires the language and theme buttons; `changed` runs after each change of language. */
export function setUp(changed) {
  const theme = stored("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  document.getElementById("theme").addEventListener("click", () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    store("theme", root.dataset.theme);
  });
  document.getElementById("language").addEventListener("click", () => {
    language = language === "zh" ? "en" : "zh";
    store("language", language);
    paint();
    changed();
  });
  paint();
}

/** Makes an element with a class and children (nodes or texts). */
export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}
