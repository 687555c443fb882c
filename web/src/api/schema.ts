// Made by tools/api.mjs from /api/openapi.json; do not edit.

/** What went wrong, for a person; further keys for machines. */
export type ErrorBody = { "error": string };
/** A reply without data. */
export type Refusal = { "success"?: boolean; "data"?: null; "error": Fault };
/** What went wrong: the number and name of the error table, a sentence, facts for machines. */
export type Fault = { "code": number; "name": string; "message": string; "details"?: Record<string, unknown> };
/** Instruments wanted now, and those among them that no source has shown yet. */
export type SubscriptionList = { "instruments": (string)[]; "pending"?: (string)[] };
/** Instruments to pin or to let go, in any spelling. */
export type SubscriptionRequest = { "instruments": (string)[] };
/** The gateway as a whole; uptime in seconds. */
export type GatewayStatus = { "status": string; "uptime": number; "connected_clients": number; "active_subscriptions": number; "sources": (SourceStatus)[] };
/** One market data source. */
export type SourceStatus = { "name": string; "connected": boolean; "logged_in"?: boolean; "trading_day"?: string | null; "last_tick"?: string | null };
/** Known instruments: full symbols, or with `detail` their terms. */
export type InstrumentList = { "success": boolean; "data": (string | Record<string, unknown>)[]; "error"?: null };
/** A question to the store. Times as in `1h-ago`, `now`, RFC 3339, `2021-01-04 09:30`; range half-open.

    Either `stream` and what to keep of it, or `query`: one SELECT over streams, with both times. */
export type QueryBody = { "stream"?: string; "start_time"?: string | number | null; "end_time"?: string | number | null; "limit"?: number | null; "filter"?: string; "order"?: string; "fields"?: (string)[] | boolean | null; "sample_by"?: string | null; "fill"?: string | null; "latest_on"?: boolean | null; "rolling_mean"?: string | null; "asof"?: string | null; "query"?: string | null; "startTime"?: string | number | null; "endTime"?: string | number | null; "sendNull"?: boolean };
/** How many rows there are in each of numBins equal parts of a range. */
export type CountsBody = { "stream": string; "startTime"?: string | number | null; "endTime"?: string | number | null; "numBins"?: number };
/** `records` have the keys start_time, end_time and count. */
export type Counts = { "fields": (string)[]; "records": (Record<string, string | number>)[] };
/** The process: `ok`, `starting`, `degraded` or `stopping`; its event loop; the market clock. */
export type Health = { "status": string; "version": string; "loop": string; "modes": (string)[]; "uptime_s": number; "clock": Record<string, unknown>; "services": (ServiceHealth)[] };
/** One service and its state; further facts as it has them. */
export type ServiceHealth = { "name": string; "state": string };
/** Whether every service runs, and which do not. */
export type Readiness = { "ready": boolean; "waiting": (string)[] };
/** Who, and the password. */
export type LoginRequest = { "username": string; "password": string };
/** A reply with data. */
export type Envelope_LoginReply = { "success": boolean; "data": LoginReply; "error"?: null };
/** Tokens: `token` goes into `Authorization: Bearer`, for `expires_in` seconds. */
export type LoginReply = { "user_id": string; "username": string; "token": string; "refresh_token": string; "token_type": string; "expires_in": number; "roles": (string)[]; "role_mask": number; "permissions": (string)[]; "accounts": Record<string, string> };
/** The refresh token of the last login or refresh; each is good once. */
export type RefreshRequest = { "refresh_token": string };
/** A new user without any account. */
export type RegisterRequest = { "username": string; "password": string };
/** A reply with data. */
export type Envelope_UserReply = { "success": boolean; "data": UserReply; "error"?: null };
/** A user; `accounts` maps each account granted to `own` or `view`. */
export type UserReply = { "user_id": string; "username": string; "roles": (string)[]; "role_mask": number; "permissions": (string)[]; "accounts": Record<string, string>; "disabled": boolean; "created_at": number };
/** A reply with data. */
export type Envelope_Done = { "success": boolean; "data": Done; "error"?: null };
/** It was done. */
export type Done = { "message": string };
/** A changed password; it ends the user's other logins too. */
export type PasswordRequest = { "old_password": string; "new_password": string };
/** A reply with data. */
export type Envelope_UserList = { "success": boolean; "data": UserList; "error"?: null };
/** Every user. */
export type UserList = { "users": (UserReply)[]; "total": number };
/** A user made by an administrator. */
export type CreateUserRequest = { "username": string; "password": string; "roles"?: (string)[] | number };
/** Roles by name, or together as a bit mask. */
export type RolesRequest = { "user_id": string; "roles": (string)[] | number };
/** One more role. */
export type RoleRequest = { "user_id": string; "role": string };
/** An account given to a user (`own` or `view`), or taken (`none`). */
export type GrantRequest = { "user_id": string; "account_id": string; "access"?: string };
/** A password set by an administrator. */
export type ResetRequest = { "new_password": string };
/** A reply with data. */
export type Envelope_AuditPage = { "success": boolean; "data": AuditPage; "error"?: null };
/** Entries, newest first; `next_before` asks for older ones, absent at the end. */
export type AuditPage = { "logs": (AuditEntry)[]; "next_before": number | null };
/** One entry of the audit log; `timestamp` in ms, `detail` as the act has it. */
export type AuditEntry = { "id": number; "timestamp": number; "type": string; "result": string; "user_id": string; "account_id": string; "address": string; "detail": Record<string, unknown> };
/** A reply with data. */
export type Envelope_AuditEntry = { "success": boolean; "data": AuditEntry; "error"?: null };
/** A reply with data. */
export type Envelope_AuditVerdict = { "success": boolean; "data": AuditVerdict; "error"?: null };
/** Whether the chain of entries holds, and if not, where it breaks. */
export type AuditVerdict = { "intact": boolean; "entries": number; "first_id": number; "last_id": number; "reason": string };
/** A new paper account of a user (of oneself, unless one manages users). */
export type OpenAccountRequest = { "user_id"?: string; "account_id"?: string; "account_name"?: string; "user_name"?: string; "init_cash"?: number; "account_type"?: string; "password"?: string };
/** A reply with data. */
export type Envelope_dict_str__typing_Any = { "success": boolean; "data": Record<string, unknown>; "error"?: null };
/** A reply with data. */
export type Envelope_list_qautlra_wire_trade_rest_AccountInfo = { "success": boolean; "data": (AccountInfo)[]; "error"?: null };
/** An account's money, in CNY. */
export type AccountInfo = { "account_id": string; "broker": string; "status": string; "trading_state": string; "currency": string; "balance": number; "pre_balance": number; "static_balance": number; "deposit": number; "withdraw": number; "withdraw_quota": number; "available": number; "margin": number; "frozen_margin": number; "frozen_commission": number; "close_profit": number; "position_profit": number; "float_profit": number; "commission": number; "risk_ratio": number | null; "risk_level": string; "trading_day": string };
/** Money in or out; `amount` CNY, above 0. */
export type MoneyRequest = { "amount": number; "account_id"?: string; "user_id"?: string; "method"?: string; "remark"?: string; "bank_account"?: string };
/** A reply with data. */
export type Envelope_AccountInfo = { "success": boolean; "data": AccountInfo; "error"?: null };
/** Money between bank and account: in when positive, out when negative. */
export type TransferRequest = { "account_id": string; "amount": number; "bank_id"?: string; "bank_password"?: string; "future_password"?: string };
/** A reply with data. */
export type Envelope_list_dict_str__typing_Any = { "success": boolean; "data": (Record<string, unknown>)[]; "error"?: null };
/** An order. Who owns one account need not name it; `order_id` makes sending twice harmless. */
export type SubmitOrder = { "instrument_id": string; "direction": string; "volume": number; "offset"?: string; "price"?: number | null; "order_type"?: string; "time_condition"?: string; "volume_condition"?: string; "min_volume"?: number; "reduce_only"?: boolean; "account_id"?: string; "user_id"?: string; "order_id"?: string | null };
/** A reply with data. */
export type Envelope_OrderReply = { "success": boolean; "data": OrderReply; "error"?: null };
/** What became of a command. */
export type OrderReply = { "order_id": string; "status": string };
/** Withdraw an order. */
export type CancelRequest = { "order_id": string; "account_id"?: string; "user_id"?: string };
/** Up to 100 orders of one account. */
export type BatchRequest = { "account_id": string; "orders": (SubmitOrder)[] };
/** Up to 100 orders of one account to withdraw. */
export type BatchCancelRequest = { "account_id": string; "order_ids": (string)[] };
/** What is to change of a living order; the volume counts what has traded. */
export type ModifyRequest = { "account_id"?: string; "new_price"?: number | null; "new_volume"?: number | null };
/** A reply with data. */
export type Envelope_OrderInfo = { "success": boolean; "data": OrderInfo; "error"?: null };
/** An order of the day. */
export type OrderInfo = { "order_id": string; "account_id": string; "user_id": string; "instrument_id": string; "direction": string; "offset": string; "order_type": string; "time_condition": string; "volume": number; "filled_volume": number; "price": number | null; "status": string; "error_code": number; "message": string; "exchange_order_id": string; "submit_time": number; "update_time": number };
/** A reply with data. */
export type Envelope_list_qautlra_wire_trade_rest_OrderInfo = { "success": boolean; "data": (OrderInfo)[]; "error"?: null };
/** An order that waits for the last price: GE at or above the trigger, LE at or below. */
export type ConditionalRequest = { "account_id": string; "instrument_id": string; "direction": string; "offset": string; "volume": number; "trigger_price": number; "trigger_condition": string; "condition_type"?: string; "order_type"?: string; "limit_price"?: number | null; "valid_until"?: number | null };
/** A reply with data. */
export type Envelope_list_qautlra_wire_trade_rest_TradeInfo = { "success": boolean; "data": (TradeInfo)[]; "error"?: null };
/** A trade of the day. */
export type TradeInfo = { "trade_id": string; "order_id": string; "exchange_trade_id": string; "account_id": string; "user_id": string; "instrument_id": string; "direction": string; "offset": string; "volume": number; "price": number; "commission": number; "close_profit": number; "timestamp": number };
/** An instrument the feed does not carry, with its terms. */
export type CreateInstrument = { "instrument_id": string; "price_tick": number; "contract_multiplier": number; "upper_limit": number; "lower_limit": number; "instrument_name"?: string; "margin_rate"?: number; "commission_rate"?: number; "close_today_rate"?: number | null };
/** New price limits of an instrument. */
export type UpdateInstrument = { "upper_limit": number; "lower_limit": number };
/** A settlement price of the day that is traded. */
export type SettlementPrice = { "instrument_id": string; "settlement_price": number };
/** Several of them. */
export type SettlementPrices = { "prices": (SettlementPrice)[] };
/** End the trading day, by `force` while its market is open. */
export type ExecuteRequest = { "force"?: boolean };
/** An alert that was seen to. */
export type AlertRequest = { "account_id": string; "seq": number };
/** Close everything an account holds. */
export type LiquidateRequest = { "account_id": string; "reason"?: string };
/** The kill switch: ACTIVE, REDUCING or HALTED, of one account or of all. */
export type StateRequest = { "state": string; "account_id"?: string | null; "cancel_orders"?: boolean };
/** A changed password (of the user: accounts have none of their own). */
export type PasswordChange = { "old_password": string; "new_password": string; "password_type"?: string; "account_id"?: string };
/** A password set by an administrator. */
export type PasswordReset = { "user_id": string; "new_password": string; "password_type"?: string; "admin_token"?: string };
/** Stop an account from trading, from taking money out, or both. */
export type FreezeRequest = { "account_id": string; "reason"?: string; "freeze_type"?: string; "admin_token"?: string };
/** Let it go on. */
export type UnfreezeRequest = { "account_id": string; "reason"?: string; "admin_token"?: string };
/** Something everybody is told. */
export type AnnouncementRequest = { "title": string; "content": string; "announcement_type"?: string; "priority"?: string };

/** What each door takes and answers. */
export interface Doors {
  /** Is the gateway there */
  "GET /health": { query: {  }; body: undefined; reply: string };
  /** List wanted instruments */
  "GET /api/subscriptions": { query: {  }; body: undefined; reply: SubscriptionList };
  /** Pin instruments */
  "POST /api/subscriptions": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Let instruments go */
  "DELETE /api/subscriptions": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Pin instruments */
  "POST /api/subscribe": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Let instruments go */
  "POST /api/unsubscribe": { query: {  }; body: SubscriptionRequest; reply: SubscriptionList };
  /** Sources, clients, subscriptions */
  "GET /api/status": { query: {  }; body: undefined; reply: GatewayStatus };
  /** List known instruments */
  "GET /api/market/instruments": { query: { "pattern"?: string; "detail"?: string }; body: undefined; reply: InstrumentList };
  /** Query stored rows */
  "GET /api/v1/query": { query: { "stream"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "filter"?: string; "order"?: string; "fields"?: string; "format"?: string; "sample_by"?: string; "latest_on"?: string; "rolling_mean"?: string; "asof"?: string; "streaming"?: string }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** Query stored rows */
  "POST /api/v1/query": { query: { "stream"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "filter"?: string; "order"?: string; "fields"?: string; "format"?: string; "sample_by"?: string; "latest_on"?: string; "rolling_mean"?: string; "asof"?: string; "streaming"?: string }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** Count stored rows over time */
  "POST /api/v1/counts": { query: {  }; body: CountsBody; reply: Counts };
  /** Store events (X-P-Stream) */
  "POST /api/v1/ingest": { query: {  }; body: unknown; reply: unknown };
  /** Store events in a stream */
  "POST /api/v1/logstream/{stream}": { query: {  }; body: unknown; reply: unknown };
  /** Make a stream */
  "PUT /api/v1/logstream/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** Delete a stream and its rows */
  "DELETE /api/v1/logstream/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** How a stream is kept */
  "GET /api/v1/logstream/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** List streams */
  "GET /api/v1/logstream": { query: {  }; body: undefined; reply: unknown };
  /** The columns of a stream */
  "GET /api/v1/logstream/{stream}/schema": { query: {  }; body: undefined; reply: unknown };
  /** Rows and bytes of a stream */
  "GET /api/v1/logstream/{stream}/stats": { query: {  }; body: undefined; reply: unknown };
  /** How long rows are kept */
  "GET /api/v1/logstream/{stream}/retention": { query: {  }; body: undefined; reply: unknown };
  /** Keep rows for some days */
  "PUT /api/v1/logstream/{stream}/retention": { query: {  }; body: undefined; reply: unknown };
  /** The columns an event makes */
  "POST /api/v1/logstream/schema/detect": { query: {  }; body: undefined; reply: unknown };
  /** Whether the process answers */
  "GET /api/v1/liveness": { query: {  }; body: undefined; reply: unknown };
  /** Whether the store answers */
  "GET /api/v1/readiness": { query: {  }; body: undefined; reply: unknown };
  /** State of the process */
  "GET /healthz": { query: {  }; body: undefined; reply: Health };
  /** Whether every service runs */
  "GET /readyz": { query: {  }; body: undefined; reply: Readiness };
  /** Prometheus metrics */
  "GET /metrics": { query: {  }; body: undefined; reply: string };
  /** Log in */
  "POST /api/auth/login": { query: {  }; body: LoginRequest; reply: Envelope_LoginReply };
  /** Change a refresh token into new tokens */
  "POST /api/auth/refresh": { query: {  }; body: RefreshRequest; reply: Envelope_LoginReply };
  /** Register, where auth.allow_register is on */
  "POST /api/auth/register": { query: {  }; body: RegisterRequest; reply: Envelope_UserReply };
  /** End this login */
  "POST /api/auth/logout": { query: {  }; body: undefined; reply: Envelope_Done };
  /** Change one's password */
  "POST /api/auth/password": { query: {  }; body: PasswordRequest; reply: Envelope_Done };
  /** Who am I */
  "GET /api/auth/me": { query: {  }; body: undefined; reply: Envelope_UserReply };
  /** A user: oneself, or any */
  "GET /api/auth/user/{user_id}": { query: {  }; body: undefined; reply: Envelope_UserReply };
  /** Every user */
  "GET /api/auth/users": { query: {  }; body: undefined; reply: Envelope_UserList };
  /** Add a user */
  "POST /api/auth/users": { query: {  }; body: CreateUserRequest; reply: Envelope_UserReply };
  /** Set roles */
  "POST /api/auth/user/roles": { query: {  }; body: RolesRequest; reply: Envelope_UserReply };
  /** Add a role */
  "POST /api/auth/user/role/add": { query: {  }; body: RoleRequest; reply: Envelope_UserReply };
  /** Give or take an account */
  "POST /api/auth/user/grant": { query: {  }; body: GrantRequest; reply: Envelope_UserReply };
  /** Make an administrator */
  "POST /api/auth/user/{user_id}/make-admin": { query: {  }; body: undefined; reply: Envelope_UserReply };
  /** Let in no more */
  "POST /api/auth/user/{user_id}/disable": { query: {  }; body: undefined; reply: Envelope_UserReply };
  /** Let in again */
  "POST /api/auth/user/{user_id}/enable": { query: {  }; body: undefined; reply: Envelope_UserReply };
  /** Set a user's password */
  "POST /api/auth/user/{user_id}/password": { query: {  }; body: ResetRequest; reply: Envelope_Done };
  /** Newest entries */
  "GET /api/audit/logs": { query: { "type"?: string; "result"?: string; "user_id"?: string; "account_id"?: string; "before"?: string; "limit"?: string }; body: undefined; reply: Envelope_AuditPage };
  /** One entry */
  "GET /api/audit/logs/{id}": { query: {  }; body: undefined; reply: Envelope_AuditEntry };
  /** Check the chain of entries */
  "GET /api/audit/verify": { query: {  }; body: undefined; reply: Envelope_AuditVerdict };
  /** Open an account */
  "POST /api/user/{user_id}/account/create": { query: {  }; body: OpenAccountRequest; reply: Envelope_dict_str__typing_Any };
  /** Open an account */
  "POST /api/account/open": { query: {  }; body: OpenAccountRequest; reply: Envelope_dict_str__typing_Any };
  /** Accounts of a user */
  "GET /api/user/{user_id}/accounts": { query: {  }; body: undefined; reply: Envelope_list_qautlra_wire_trade_rest_AccountInfo };
  /** Put money in */
  "POST /api/account/deposit": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Take money out */
  "POST /api/account/withdraw": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Move money between bank and account */
  "POST /api/account/transfer": { query: {  }; body: TransferRequest; reply: Envelope_dict_str__typing_Any };
  /** Banks of an account */
  "GET /api/account/{account_id}/banks": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** The day's transfers */
  "GET /api/account/{account_id}/transfers": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Equity by day and by minute */
  "GET /api/account/{user_id}/equity-curve": { query: { "start"?: string; "end"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** An account as a QIFI document */
  "GET /api/account/{account_id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Enter an order */
  "POST /api/order/submit": { query: {  }; body: SubmitOrder; reply: Envelope_OrderReply };
  /** Withdraw an order */
  "POST /api/order/cancel": { query: {  }; body: CancelRequest; reply: Envelope_OrderReply };
  /** Enter several orders */
  "POST /api/order/batch": { query: {  }; body: BatchRequest; reply: Envelope_dict_str__typing_Any };
  /** Withdraw several orders */
  "POST /api/order/batch-cancel": { query: {  }; body: BatchCancelRequest; reply: Envelope_dict_str__typing_Any };
  /** Change a living order */
  "PUT /api/order/modify/{order_id}": { query: {  }; body: ModifyRequest; reply: Envelope_OrderInfo };
  /** The day's orders of a user */
  "GET /api/order/user/{user_id}": { query: { "status"?: string }; body: undefined; reply: Envelope_list_qautlra_wire_trade_rest_OrderInfo };
  /** An order of the day */
  "GET /api/order/{order_id}": { query: { "account_id"?: string }; body: undefined; reply: Envelope_OrderInfo };
  /** An order that waits for a price */
  "POST /api/order/conditional": { query: {  }; body: ConditionalRequest; reply: Envelope_dict_str__typing_Any };
  /** Conditional orders */
  "GET /api/order/conditional/list": { query: { "account_id"?: string; "status"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** How many are in which state */
  "GET /api/order/conditional/statistics": { query: { "account_id"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Wait no more */
  "DELETE /api/order/conditional/{id}": { query: { "account_id"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Positions of an account */
  "GET /api/position/account/{account_id}": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Positions of a user */
  "GET /api/position/user/{user_id}": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** The day's trades of an account */
  "GET /api/trades/account/{account_id}": { query: {  }; body: undefined; reply: Envelope_list_qautlra_wire_trade_rest_TradeInfo };
  /** The day's trades of a user */
  "GET /api/trades/user/{user_id}": { query: {  }; body: undefined; reply: Envelope_list_qautlra_wire_trade_rest_TradeInfo };
  /** Levels of the book */
  "GET /api/market/orderbook/{id}": { query: { "depth"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The newest snapshot */
  "GET /api/market/tick/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The newest matches here */
  "GET /api/market/trades/{id}": { query: { "limit"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Bars */
  "GET /api/market/kline/{id}": { query: { "period"?: string; "count"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Stored ticks */
  "GET /api/data/history/ticks": { query: { "instrument_id"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "order"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Stored minute bars */
  "GET /api/data/history/klines": { query: { "instrument_id"?: string; "start_time"?: string; "end_time"?: string; "limit"?: string; "order"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** A table as a file */
  "GET /api/data/export": { query: { "account_id"?: string; "data_type"?: string; "format"?: string; "start"?: string; "end"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The market at a glance */
  "GET /api/data/overview/market": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Trades summed up */
  "GET /api/data/statistics/trades": { query: { "account_id"?: string; "start"?: string; "end"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Profit and loss */
  "GET /api/data/statistics/pnl": { query: { "account_id"?: string; "start"?: string; "end"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Risk of daily returns */
  "GET /api/data/statistics/risk": { query: { "account_id"?: string; "start"?: string; "end"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Accounts by return */
  "GET /api/data/statistics/rankings": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** How positions are spread */
  "GET /api/data/analysis/position/{account_id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The statement of an ended day */
  "GET /api/data/settlement/statement": { query: { "account_id"?: string; "date"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The day's orders counted */
  "GET /api/admin/market/order-stats": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Instruments */
  "GET /api/admin/instruments": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** List an instrument of our own */
  "POST /api/admin/instrument/create": { query: {  }; body: CreateInstrument; reply: Envelope_dict_str__typing_Any };
  /** Set price limits */
  "PUT /api/admin/instrument/{id}/update": { query: {  }; body: UpdateInstrument; reply: Envelope_dict_str__typing_Any };
  /** Stop an instrument */
  "PUT /api/admin/instrument/{id}/suspend": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Let it go on */
  "PUT /api/admin/instrument/{id}/resume": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Take it off for good */
  "DELETE /api/admin/instrument/{id}/delist": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Set a settlement price */
  "POST /api/admin/settlement/set-price": { query: {  }; body: SettlementPrice; reply: Envelope_dict_str__typing_Any };
  /** Set settlement prices */
  "POST /api/admin/settlement/batch-set-prices": { query: {  }; body: SettlementPrices; reply: Envelope_dict_str__typing_Any };
  /** Prices set for today */
  "GET /api/admin/settlement/prices": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** End the trading day */
  "POST /api/admin/settlement/execute": { query: {  }; body: ExecuteRequest; reply: Envelope_dict_str__typing_Any };
  /** Days that ended */
  "GET /api/admin/settlement/history": { query: { "limit"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** An ended day */
  "GET /api/admin/settlement/detail/{date}": { query: { "page"?: string; "page_size"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Accounts by risk */
  "GET /api/management/risk/accounts": { query: { "risk_level"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Margin of all */
  "GET /api/management/risk/margin-summary": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Alerts */
  "GET /api/management/risk/alerts": { query: { "account_id"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** An alert was seen to */
  "POST /api/management/risk/alerts/handle": { query: {  }; body: AlertRequest; reply: Envelope_dict_str__typing_Any };
  /** Liquidations */
  "GET /api/management/risk/liquidations": { query: { "limit"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Close what an account holds */
  "POST /api/management/risk/force-liquidate": { query: {  }; body: LiquidateRequest; reply: Envelope_dict_str__typing_Any };
  /** What may be traded */
  "GET /api/admin/risk/state": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The kill switch */
  "POST /api/admin/risk/state": { query: {  }; body: StateRequest; reply: Envelope_dict_str__typing_Any };
  /** Every account */
  "GET /api/management/accounts": { query: { "page"?: string; "page_size"?: string; "status"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** An account whole */
  "GET /api/management/account/{user_id}/detail": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The day's orders */
  "GET /api/management/orders": { query: { "page"?: string; "page_size"?: string; "status"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The day's trades */
  "GET /api/management/trades": { query: { "page"?: string; "page_size"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Put money in */
  "POST /api/management/deposit": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Take money out */
  "POST /api/management/withdraw": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Money moved */
  "GET /api/management/transactions": { query: { "limit"?: string; "before"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Money moved of an account */
  "GET /api/management/transactions/{user_id}": { query: { "limit"?: string; "before"?: string }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Change one's password */
  "POST /api/account-admin/password/change": { query: {  }; body: PasswordChange; reply: Envelope_Done };
  /** Set a user's password */
  "POST /api/account-admin/password/reset": { query: {  }; body: PasswordReset; reply: Envelope_Done };
  /** Fees by instrument */
  "GET /api/account-admin/commission/rates": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** The day's fees */
  "GET /api/account-admin/commission/statistics/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Margins by instrument */
  "GET /api/account-admin/margin/rates": { query: {  }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** What binds the money */
  "GET /api/account-admin/margin/summary/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Whether it is frozen */
  "GET /api/account-admin/status/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Stop an account */
  "POST /api/account-admin/freeze": { query: {  }; body: FreezeRequest; reply: Envelope_dict_str__typing_Any };
  /** Let it go on */
  "POST /api/account-admin/unfreeze": { query: {  }; body: UnfreezeRequest; reply: Envelope_dict_str__typing_Any };
  /** Announcements */
  "GET /api/announcements": { query: { "limit"?: string; "before"?: string }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Announce something */
  "POST /api/announcements": { query: {  }; body: AnnouncementRequest; reply: Envelope_dict_str__typing_Any };
  /** An announcement */
  "GET /api/announcements/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Take one back */
  "DELETE /api/announcements/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Everything together */
  "GET /api/monitoring/system": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The process and its services */
  "GET /api/monitoring/status": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Accounts summed up */
  "GET /api/monitoring/accounts": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The day's orders counted */
  "GET /api/monitoring/orders": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The day's trades summed up */
  "GET /api/monitoring/trades": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Disk, journal, store */
  "GET /api/monitoring/storage": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** A report of the day */
  "GET /api/monitoring/report": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** This description */
  "GET /api/openapi.json": { query: {  }; body: undefined; reply: Record<string, unknown> };
}
