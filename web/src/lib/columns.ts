// Columns of orders and trades as REST tells them: the office's tables and the history share these.
import type { Column } from "../components/DataTable.vue";
import type { OrderInfo, TradeInfo } from "../api/schema";
import { said } from "../i18n";
import { beijing, count, money } from "./format";

type Say = (key: string) => string;
const side = (t: Say, one: { direction: string; offset: string }): string => `${t(`side.${one.direction}`)} ${t(`offset.${one.offset}`)}`;
const tone = (one: { direction: string }): string => (one.direction === "BUY" ? "up" : "down");

export const orderColumns = (t: Say): Column<OrderInfo>[] => [
  { key: "submit_time", label: t("common.time"), text: (one) => beijing(one.submit_time, 5, 19) },
  { key: "instrument_id", label: t("market.instrument") },
  { key: "direction", label: t("ticket.direction"), text: (one) => side(t, one), tone },
  { key: "price", label: t("ticket.price"), num: true, text: (one) => (one.price === null ? t("kind.ANY") : String(one.price)) },
  { key: "volume", label: t("orders.filled"), num: true, text: (one) => `${count(one.filled_volume)} / ${count(one.volume)}` },
  { key: "status", label: t("common.state"), text: (one) => t(`word.${one.status}`), tone: (one) => (one.status === "rejected" ? "bad" : "") },
  { key: "message", label: t("orders.message"), text: (one) => said(one.message) },
  { key: "order_id", label: t("orders.id") },
];
export const tradeColumns = (t: Say): Column<TradeInfo>[] => [
  { key: "timestamp", label: t("common.time"), text: (one) => beijing(one.timestamp, 5, 23) },
  { key: "instrument_id", label: t("market.instrument") },
  { key: "direction", label: t("ticket.direction"), text: (one) => side(t, one), tone },
  { key: "price", label: t("ticket.price"), num: true, text: (one) => String(one.price) },
  { key: "volume", label: t("ticket.quantity"), num: true, text: (one) => count(one.volume) },
  { key: "commission", label: t("account.commission"), num: true, text: (one) => money(one.commission) },
  { key: "close_profit", label: t("account.close_profit"), num: true, text: (one) => money(one.close_profit) },
  { key: "trade_id", label: t("orders.trade_id") },
  { key: "order_id", label: t("orders.id") },
];
