// The account one trades on: a second socket into the same DIFF tree. What is shown is what the server says;
// nothing is guessed ahead of it, and an order that cannot be sent now is not sent at all.
import { defineStore } from "pinia";
import { computed, ref, shallowRef, triggerRef, watch } from "vue";
import type { Tree } from "../lib/diff";
import { insertCondition, insertOrder, legs as legsOf, symbolOf, type Account, type Condition, type ConditionWish, type Order, type Position, type Trade, type Transfer, type Wish } from "../lib/orders";
import { DiffSocket, framePace, socketUrl, type LinkState } from "../lib/socket";
import { ask } from "../api/client";
import { say } from "../i18n";
import { useHealth } from "./health";
import { useMarket } from "./market";
import { useNotices } from "./notices";
import { useSession } from "./session";

const CURVE_COUNT = 2_000;
const CURVE_MS = 5_000;

export const useTrade = defineStore("trade", () => {
  const market = useMarket();
  const session = useSession();
  const health = useHealth();
  const notices = useNotices();
  const state = ref<LinkState>("connecting");
  const tree = shallowRef<Tree>({});
  const brokers = ref<string[]>([]);
  /** Equity since this page was opened; the server's own curve is asked for by the account page. */
  const curve = shallowRef<{ at: number; balance: number }[]>([]);
  const conditions = shallowRef<Condition[]>([]);
  const statement = shallowRef<{ day: string; text: string } | null>(null);
  /** Orders that were sent and of which nothing was heard yet. */
  const unanswered = new Set<string>();
  const user = computed(() => session.account);
  const offered = computed(() => health.runs("trade"));

  const socket = new DiffSocket({
    url: () => socketUrl("/ws/trade"),
    store: market.store,
    whole: ["trade"],
    settled: () => market.store.tree.trade?.[user.value]?.trade_more_data === false,
    pace: framePace,
    onState: (next) => {
      state.value = next;
      if (next === "lost" && unanswered.size) notices.say("bad", say("trade.unanswered", { n: unanswered.size }));
      if (next === "lost") unanswered.clear();
    },
    onPack: take,
  });

  /** Packets that are not part of the tree. */
  function take(pack: Tree): void {
    if (pack.aid === "rtn_brokers" && Array.isArray(pack.brokers)) { brokers.value = pack.brokers as string[]; void enter(); }
    else if (pack.aid === "rtn_condition_orders") conditions.value = (pack.condition_orders ?? []) as Condition[];
    else if (pack.aid === "qry_settlement_info") statement.value = { day: String(pack.trading_day), text: String(pack.settlement_info ?? "") };
  }
  /** Log the connection in at the broker of the account: the token stands in for the password. */
  async function enter(): Promise<void> {
    const name = user.value, login = session.login;
    if (!login || !name) return;
    const mine = await ask("GET /api/user/{user_id}/accounts", { path: { user_id: login.user_id } }).catch(() => []);
    const bid = mine.find((one) => one.account_id === name)?.broker ?? (brokers.value.includes("paper") ? "paper" : (brokers.value[0] ?? "paper"));
    if (user.value === name && session.login) socket.send({ aid: "req_login", bid, user_name: name, password: session.login.token });
  }
  watch(() => session.login?.token, (now, before) => { if (now && before && !live.value) void enter(); }); // the one before was too old to enter with
  watch(() => [session.loggedIn, user.value, offered.value], () => {
    socket.stop();
    unanswered.clear();
    market.store.drop("trade");
    tree.value = {};
    curve.value = [];
    conditions.value = [];
    statement.value = null;
    state.value = "connecting";
    if (session.loggedIn && user.value && offered.value) socket.start();
  }, { immediate: true });

  market.store.on("notify", (patches) => {
    for (const notice of patches.flatMap((patch) => Object.values(patch)) as Tree[])
      if (notice?.type === "SETTLEMENT") statement.value = { day: "", text: String(notice.content) };
  });
  market.store.on("trade", (patches) => {
    if (!patches.some((patch) => user.value in patch)) return;
    const now = (market.store.tree.trade?.[user.value] as Tree | undefined) ?? {};
    if (tree.value === now) triggerRef(tree);
    else tree.value = now;
    for (const id of unanswered) if (id in ((now.orders as Tree | undefined) ?? {})) unanswered.delete(id);
    follow();
  });

  // --- what the pages read ---
  const account = computed<Account | null>(() => (tree.value.accounts?.CNY ? { ...(tree.value.accounts.CNY as Account) } : null)); // a copy: it changes in place
  const sorted = <T extends { seqno: number }>(map: Record<string, T> | undefined): T[] => Object.values(map ?? {}).map((one) => ({ ...one })).sort((a, b) => b.seqno - a.seqno);
  const orders = computed(() => sorted(tree.value.orders as Record<string, Order> | undefined));
  const trades = computed(() => sorted(tree.value.trades as Record<string, Trade> | undefined));
  const working = computed(() => orders.value.filter((order) => order.status === "ALIVE"));
  const positions = computed(() => ({ ...((tree.value.positions as Record<string, Position> | undefined) ?? {}) }));
  const legs = computed(() => legsOf(positions.value));
  const transfers = computed(() => Object.entries((tree.value.transfers as Record<string, Transfer> | undefined) ?? {}).map(([seq, one]) => ({ seq, ...one })).reverse());
  const tradingDay = computed(() => String(tree.value.trading_day ?? ""));
  const live = computed(() => state.value === "live");
  /** What the login may do on this account now: as its owner, or by a role that may on every one. */
  const can = computed(() => {
    const holds = (right: string, ...roles: string[]): boolean => live.value && session.may(right) && (session.login?.accounts[user.value] === "own" || roles.some((role) => session.login?.roles.includes(role)));
    return { trade: holds("trade", "admin"), cancel: holds("cancel", "admin", "risk_manager"), transfer: holds("transfer", "admin") };
  });
  // A new trading day begins with nothing: what the last one left is not this day's.
  watch(tradingDay, (now, before) => {
    if (!now || !before) return;
    socket.stop();
    market.store.drop("trade");
    tree.value = {};
    state.value = "connecting";
    socket.start();
  });
  watch(() => legs.value.map((leg) => leg.symbol).sort().join(","), (list) => market.want("positions", list ? list.split(",") : []));

  /** Add to the curve. */
  function follow(): void {
    const balance = account.value?.balance;
    const at = health.marketMs; // the server's own points bear the market's time
    if (balance === undefined || !at || at - (curve.value.at(-1)?.at ?? 0) < CURVE_MS - 1_000) return;
    curve.value = [...curve.value, { at, balance }].slice(-CURVE_COUNT);
  }

  setInterval(() => { if (live.value) follow(); }, CURVE_MS); // an account where nothing happens has a curve too

  // --- what a person does ---
  function send(pack: { aid: string; [key: string]: unknown }): boolean {
    if (live.value && socket.send(pack)) return true;
    notices.say("bad", say("trade.not_sent"));
    return false;
  }
  function order(wish: Wish): boolean {
    const id = `WEB_${crypto.randomUUID()}`;
    const sent = send(insertOrder(wish, user.value, id));
    if (sent) unanswered.add(id);
    return sent;
  }
  const cancel = (one: Order): boolean => send({ aid: "cancel_order", user_id: user.value, order_id: one.order_id });
  const cancelAll = (symbol?: string): void => { for (const one of working.value) if (!symbol || symbolOf(one) === symbol) cancel(one); };
  const transfer = (amount: number): boolean => send({ aid: "req_transfer", bank_id: "SIM", future_account: user.value, future_password: "", bank_password: "", currency: "CNY", amount });

  const condition = (wish: ConditionWish): boolean => send(insertCondition(wish, user.value, `WEB_${crypto.randomUUID()}`));
  const changeCondition = (one: Condition, what: "cancel" | "pause" | "resume"): boolean => send({ aid: `${what}_condition_order`, user_id: user.value, order_id: one.order_id });
  const askStatement = (day: string): boolean => send({ aid: "qry_settlement_info", trading_day: Number(day.replaceAll("-", "")) || 0 });

  return { conditions, condition, changeCondition, statement, askStatement, state, live, can, offered, tree, account, orders, trades, working, positions, legs, transfers, tradingDay, curve, user, order, cancel, cancelAll, transfer };
});
