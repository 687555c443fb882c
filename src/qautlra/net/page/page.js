// The status page: live quotes over the product's own socket, and the state of the process.
// It never shows old data as new: rows go stale after 10 s without a change, losses are said in a banner.
import { Feed } from "./feed.js";
import { locale, make, setUp, text } from "./text.js";

const STALE_MS = 10_000;
const POLL_MS = 2_000;
const ROWS_COUNT = 80;
const COLUMNS = ["symbol", "last", "change", "percent", "bid", "bid_volume", "ask", "ask_volume", "volume", "open_interest", "time"];

const at = (id) => document.getElementById(id);
let feed = null;
let symbols = [];
let health = null;
let status = null;
let unreachable = false;
let feedMissing = false;
let dirty = new Set();
const rows = new Map(); // symbol -> {row, cells, values}

// --- quotes ---

// The most decimals seen of an instrument, so that a column does not jump when a price ends in zero.
function decimals(quote, former) {
  let most = former ?? 0;
  for (const key of ["last_price", "bid_price1", "ask_price1", "pre_settlement"]) {
    const [, fraction = ""] = String(quote[key] ?? "").split(".");
    if (typeof quote[key] === "number") most = Math.max(most, Math.min(fraction.length, 6));
  }
  return most;
}
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const price = (value, places) => (isNumber(value) ? value.toFixed(places) : "—");
const count = (value) => (isNumber(value) ? value.toLocaleString(locale()) : "—");
const signed = (value, places) => `${value > 0 ? "▲ " : value < 0 ? "▼ " : ""}${Math.abs(value).toFixed(places)}`;

function valuesOf(symbol, quote, former) {
  const places = decimals(quote, former);
  const base = isNumber(quote.pre_settlement) && quote.pre_settlement !== 0 ? quote.pre_settlement : quote.pre_close;
  const moved = isNumber(quote.last_price) && isNumber(base) ? quote.last_price - base : null;
  return {
    symbol,
    last: price(quote.last_price, places),
    change: moved === null ? "—" : signed(moved, places),
    percent: moved === null || base === 0 ? "—" : signed((moved / Math.abs(base)) * 100, 2),
    bid: price(quote.bid_price1, places),
    bid_volume: count(quote.bid_volume1),
    ask: price(quote.ask_price1, places),
    ask_volume: count(quote.ask_volume1),
    volume: count(quote.volume),
    open_interest: count(quote.open_interest),
    time: (quote.datetime ?? "").slice(11, 23),
    places,
    direction: moved > 0 ? "up" : moved < 0 ? "down" : "",
  };
}

function rowOf(symbol) {
  let entry = rows.get(symbol);
  if (!entry) {
    const cells = Object.fromEntries(COLUMNS.map((column) => [column, make("td")]));
    cells.symbol.textContent = symbol;
    entry = { row: make("tr", "", ...Object.values(cells)), cells, values: {} };
    rows.set(symbol, entry);
  }
  return entry;
}

function paintRow(symbol) {
  const quote = feed?.quotes[symbol];
  if (!quote || !rows.has(symbol)) return;
  const { cells, values } = rows.get(symbol);
  const next = valuesOf(symbol, quote, values.places);
  for (const column of COLUMNS) {
    if (next[column] === values[column]) continue;
    cells[column].textContent = next[column];
    if (values[column] !== undefined && column === "last") {
      cells[column].classList.add("flash");
      setTimeout(() => cells[column].classList.remove("flash"), 60);
    }
  }
  for (const column of ["last", "change", "percent"]) {
    cells[column].classList.toggle("up", next.direction === "up");
    cells[column].classList.toggle("down", next.direction === "down");
  }
  rows.get(symbol).values = next;
}

function paintQuotes() {
  for (const symbol of dirty) paintRow(symbol);
  dirty = new Set();
}

function changed(touched) {
  if (!dirty.size) requestAnimationFrame(paintQuotes);
  for (const symbol of touched) dirty.add(symbol);
  markStale();
}

function markStale() {
  const now = performance.now();
  for (const [symbol, { row }] of rows) {
    const old = feed?.state !== "live" || unreachable || now - (feed?.seen[symbol] ?? -Infinity) > STALE_MS;
    row.classList.toggle("stale", old);
    row.title = old ? text("stale_hint") : "";
  }
}

function chosen() {
  const wanted = at("search").value.trim().toLowerCase();
  return symbols.filter((symbol) => symbol.toLowerCase().includes(wanted)).slice(0, ROWS_COUNT);
}

function layOut() {
  const list = chosen();
  const body = at("quotes");
  const keep = new Set(list);
  for (const symbol of rows.keys()) if (!keep.has(symbol)) rows.delete(symbol);
  body.replaceChildren(...list.map((symbol) => rowOf(symbol).row));
  feed?.subscribe(list);
  for (const symbol of list) paintRow(symbol);
  at("shown").textContent = symbols.length ? text("shown")(list.length, symbols.length) : "";
  const empty = at("empty");
  empty.hidden = list.length > 0;
  empty.textContent = text(feedMissing ? "no_feed_text" : symbols.length ? "empty_search" : "empty");
  markStale();
}

// --- state ---

function span(seconds) {
  const whole = Math.floor(seconds);
  const days = Math.floor(whole / 86400);
  const clock = [Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60].map((n) => String(n).padStart(2, "0")).join(":");
  return days ? `${days}d ${clock}` : clock;
}
function beijing(ns) {
  return new Date(ns / 1e6 + 8 * 3600e3).toISOString().slice(0, 19).replace("T", " ");
}
function beijingText(stamp) {
  const ms = Date.parse(stamp ?? "");
  return Number.isFinite(ms) ? beijing(ms * 1e6) : "—";
}
function fact(label, value) {
  const box = make("div", "fact", make("span", "note", label), make("b", "", value));
  box.lastChild.title = value;
  return box;
}
function storedRows() {
  for (const service of health?.services ?? []) {
    for (const key of ["rows_logged", "rows_stored", "rows"]) if (service.name.startsWith("store") && isNumber(service[key])) return count(service[key]);
  }
  return "—";
}

function paintState() {
  const banner = at("banner");
  const waiting = (health?.services ?? []).filter((service) => ["waiting", "starting", "backoff", "stopped"].includes(service.state));
  const lost = feed && feed.state === "lost";
  const said = unreachable ? text("down_banner") : lost ? text("lost_banner")
    : waiting.length ? text("starting_banner") + waiting.map((service) => service.name).join(", ") : (health?.note ?? "");
  banner.hidden = !said;
  banner.classList.toggle("warn", !unreachable && !lost);
  if (banner.textContent !== said) banner.textContent = said;
  const state = feedMissing ? "no_feed" : unreachable ? "lost" : (feed?.state ?? "connecting");
  at("state").textContent = text(state);
  at("state").className = `pill ${state}`;
  const simulated = (status?.sources ?? []).some((source) => source.simulated);
  at("simulated").hidden = !simulated;
  if (!health) return;
  at("facts").replaceChildren(
    fact(`${text("market_time")} · ${beijing(health.clock.now_ns).slice(0, 10)}`,
      beijing(health.clock.now_ns).slice(11, 19)),
    fact(text("status"), unreachable ? text("lost") : health.status),
    fact(text("clients"), count(status?.connected_clients)),
    fact(text("wanted"), count(status?.active_subscriptions)),
    fact(text("rows"), storedRows()),
    fact(text("uptime"), span(health.uptime_s)),
    fact(text("loop"), health.loop),
  );
  at("services").replaceChildren(table(["name", "status", "restarts"], health.services.map((service) => [
    service.name, mark(service.state, ["running", "finished"].includes(service.state)), String(service.restarts ?? 0)])));
  at("sources").replaceChildren(table(["name", "status", "trading_day", "last_tick"], (status?.sources ?? []).map((source) => [
    source.name, mark(source.state ?? text(source.connected ? "connected" : "not_connected"), source.connected),
    source.trading_day ?? "—", beijingText(source.last_tick)])));
  at("version").textContent = `qautlra ${health.version} · ${health.modes.join(", ")}`;
}

function mark(value, good) { return make("span", good && !unreachable ? "good" : "warned", value); }

function table(names, lines) {
  if (!lines.length) return make("p", "note", text("none"));
  const head = make("tr", "", ...names.map((name) => make("th", "", text(name))));
  return make("table", "plain", make("thead", "", head), make("tbody", "", ...lines.map((line) => make("tr", "", ...line.map((cell) => make("td", "", cell))))));
}

function paintAddresses() {
  const host = location.host;
  const secure = location.protocol === "https:";
  const lines = [
    ["ws_address", `${secure ? "wss" : "ws"}://${host}/ws/market`, null],
    ["rest_address", `${location.origin}/api/subscriptions`, "/api/subscriptions"],
    ["query_address", `${location.origin}/api/v1/query`, null],
    ["docs_address", `${location.origin}/api/docs`, "/api/docs"],
  ];
  at("addresses").replaceChildren(...lines.flatMap(([label, url, link]) => {
    const code = make("code", "", url);
    const shown = link ? make("a", "", code) : code;
    if (link) shown.href = link;
    return [make("dt", "", text(label)), make("dd", "", shown)];
  }));
}

async function get(path) {
  const reply = await fetch(path, { signal: AbortSignal.timeout(5000), cache: "no-store" });
  return { status: reply.status, body: await reply.json() };
}

async function poll() {
  try {
    const [first, second, third] = await Promise.all([get("/healthz"), get("/api/status"), get("/api/market/instruments")]);
    health = first.body;
    status = second.status === 200 ? second.body : null;
    unreachable = false;
    feedMissing = third.status !== 200;
    if (!feedMissing) {
      feed ??= new Feed(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws/market`, changed, () => { paintState(); markStale(); });
      const next = third.body.data.slice().sort();
      if (next.length !== symbols.length || next.some((symbol, i) => symbol !== symbols[i])) { symbols = next; layOut(); }
    }
    if (!symbols.length) layOut();
  } catch {
    unreachable = true;
  }
  paintState();
  markStale();
  setTimeout(poll, POLL_MS);
}

function paintAll() {
  at("columns").replaceChildren(...COLUMNS.map((column) => { const cell = make("th", "", text(column)); cell.scope = "col"; return cell; }));
  for (const entry of rows.values()) entry.values = {};
  layOut();
  paintState();
  paintAddresses();
}

setUp(paintAll);
paintAll();
at("search").addEventListener("input", layOut);
setInterval(markStale, 1000);
poll();
