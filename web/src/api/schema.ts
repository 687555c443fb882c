// Made by `make api` from the server's own description; do not edit.

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
/** A question to the store. Times as in `1h-ago`, `now`, RFC 3339, `2021-01-04 09:30`; range half-open. Either `stream` and what to keep of it, or `query`: one SELECT over streams, with both times. */
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
/** A new account of a user (of oneself, unless one manages users): of `paper`, or of a broker outside. */
export type OpenAccountRequest = { "user_id"?: string; "account_id"?: string; "account_name"?: string; "user_name"?: string; "broker"?: string; "init_cash"?: number; "account_type"?: string; "password"?: string };
/** A reply with data. */
export type Envelope_Opened = { "success": boolean; "data": Opened; "error"?: null };
/** A new account. */
export type Opened = { "account_id": string; "broker": string; "opened": boolean; "user_id": string };
/** A reply with data. */
export type Envelope_list_AccountInfo = { "success": boolean; "data": (AccountInfo)[]; "error"?: null };
/** An account's money, in CNY. */
export type AccountInfo = { "account_id": string; "broker": string; "status": string; "trading_state": string; "currency": string; "balance": number; "pre_balance": number; "static_balance": number; "deposit": number; "withdraw": number; "withdraw_quota": number; "available": number; "margin": number; "frozen_margin": number; "frozen_commission": number; "close_profit": number; "position_profit": number; "float_profit": number; "commission": number; "risk_ratio": number | null; "risk_level": string; "trading_day": string; "broker_state": string };
/** Money in or out; `amount` CNY, above 0, whole cents. A `request_id` makes sending twice harmless. */
export type MoneyRequest = { "amount": number; "request_id"?: string; "account_id"?: string; "user_id"?: string; "method"?: string; "remark"?: string; "bank_account"?: string };
/** A reply with data. */
export type Envelope_AccountInfo = { "success": boolean; "data": AccountInfo; "error"?: null };
/** Money between bank and account: in when positive, out when negative. A `request_id` makes sending twice harmless. */
export type TransferRequest = { "account_id": string; "amount": number; "request_id"?: string; "bank_id"?: string; "bank_password"?: string; "future_password"?: string };
/** A reply with data. */
export type Envelope_Transferred = { "success": boolean; "data": Transferred; "error"?: null };
/** A movement between bank and account. */
export type Transferred = { "amount": number; "available": number; "message": string; "transfer_id": number | null };
/** A reply with data. */
export type Envelope_list_Bank = { "success": boolean; "data": (Bank)[]; "error"?: null };
/** A bank of an account. */
export type Bank = { "bank_id": string; "bank_name": string; "currency": string };
/** A reply with data. */
export type Envelope_list_TransferRow = { "success": boolean; "data": (TransferRow)[]; "error"?: null };
/** A transfer of the day: in when positive, out when negative. */
export type TransferRow = { "account_id": string; "amount": number; "bank_id": string; "currency": string; "error_code": number; "message": string; "success": boolean; "timestamp": number; "transfer_id": number };
/** A reply with data. */
export type Envelope_EquityCurve = { "success": boolean; "data": EquityCurve; "error"?: null };
/** Equity by day, and by minute since the server started. */
export type EquityCurve = { "account_id": string; "days": (EquityDay)[]; "minutes": (EquityMinute)[] };
/** An account at the end of a day, or today as it stands. */
export type EquityDay = { "available": number; "balance": number; "close_profit": number; "commission": number; "deposit": number; "margin": number; "position_profit": number; "profit": number; "risk_ratio": number | null; "trading_day": string; "withdraw": number };
/** An account at a minute. */
export type EquityMinute = { "available": number; "balance": number; "margin": number; "timestamp": number };
/** A reply with data. */
export type Envelope_dict_str__typing_Any = { "success": boolean; "data": Record<string, unknown>; "error"?: null };
/** An order. Who owns one account need not name it; `order_id` makes sending twice harmless. An `exchange_id` may stand beside a bare name. */
export type SubmitOrder = { "instrument_id": string; "exchange_id"?: string; "direction": string; "volume": number; "offset"?: string; "price"?: number | null; "order_type"?: string; "time_condition"?: string; "volume_condition"?: string; "min_volume"?: number; "hedge_flag"?: string; "contingent_condition"?: string; "reduce_only"?: boolean; "account_id"?: string; "user_id"?: string; "order_id"?: string | null };
/** A reply with data. */
export type Envelope_OrderReply = { "success": boolean; "data": OrderReply; "error"?: null };
/** What became of a command. */
export type OrderReply = { "order_id": string; "status": string };
/** Withdraw an order. */
export type CancelRequest = { "order_id": string; "account_id"?: string; "user_id"?: string };
/** Up to 100 orders of one account. */
export type BatchRequest = { "account_id": string; "orders": (SubmitOrder)[] };
/** A reply with data. */
export type Envelope_BatchReply = { "success": boolean; "data": BatchReply; "error"?: null };
/** What became of several orders. */
export type BatchReply = { "failed_count": number; "results": (BatchResult)[]; "success_count": number; "total": number };
/** What became of one of several orders. */
export type BatchResult = { "error": Refused | null; "index": number; "order_id": string | null; "success": boolean };
/** Why one of several was refused. */
export type Refused = { "code": number; "message": string };
/** Up to 100 orders of one account to withdraw. */
export type BatchCancelRequest = { "account_id": string; "order_ids": (string)[] };
/** What is to change of a living order; the volume counts what has traded. */
export type ModifyRequest = { "account_id"?: string; "new_price"?: number | null; "new_volume"?: number | null };
/** A reply with data. */
export type Envelope_OrderInfo = { "success": boolean; "data": OrderInfo; "error"?: null };
/** An order of the day. */
export type OrderInfo = { "order_id": string; "account_id": string; "user_id": string; "instrument_id": string; "direction": string; "offset": string; "order_type": string; "time_condition": string; "volume": number; "filled_volume": number; "price": number | null; "status": string; "error_code": number; "message": string; "exchange_order_id": string; "submit_time": number; "update_time": number };
/** A reply with data. */
export type Envelope_list_OrderInfo = { "success": boolean; "data": (OrderInfo)[]; "error"?: null };
/** An order that waits for the last price: GE at or above the trigger, LE at or below. */
export type ConditionalRequest = { "account_id": string; "instrument_id": string; "exchange_id"?: string; "direction": string; "offset": string; "volume": number; "trigger_price": number; "trigger_condition": string; "condition_type"?: string; "order_type"?: string; "limit_price"?: number | null; "valid_until"?: number | null };
/** A reply with data. */
export type Envelope_ConditionalRow = { "success": boolean; "data": ConditionalRow; "error"?: null };
/** A conditional order; of a richer one its first condition and order, and all of both. */
export type ConditionalRow = { "account_id": string; "condition_type": string; "conditional_order_id": string; "conditions": (Record<string, unknown>)[]; "created_at": number; "direction": string; "error_code": number; "finished_at": number | null; "instrument_id": string; "limit_price": number | null; "message": string; "offset": string; "order_ids": (string)[]; "order_type": string; "orders": (Record<string, unknown>)[]; "status": string; "trigger_condition": string; "trigger_price": number | null; "user_id": string; "valid_until": number | null; "volume": number };
/** A reply with data. */
export type Envelope_list_ConditionalRow = { "success": boolean; "data": (ConditionalRow)[]; "error"?: null };
/** A reply with data. */
export type Envelope_ConditionalCounts = { "success": boolean; "data": ConditionalCounts; "error"?: null };
/** Conditional orders by state. */
export type ConditionalCounts = { "cancelled": number; "expired": number; "failed": number; "pending": number; "suspended": number; "total": number; "triggered": number };
/** A reply with data. */
export type Envelope_list_PositionInfo = { "success": boolean; "data": (PositionInfo)[]; "error"?: null };
/** A position, whose it is and its instrument's terms. */
export type PositionInfo = { "account_id": string; "contract_multiplier": number; "cost_long_today": number; "cost_short_today": number; "float_profit": number; "float_profit_long": number; "float_profit_short": number; "frozen_margin": number; "instrument_id": string; "last_price": number | null; "margin": number; "margin_long": number; "margin_short": number; "open_cost_long": number; "open_cost_short": number; "open_price_long": number; "open_price_short": number; "pos_long_his": number; "pos_long_today": number; "pos_short_his": number; "pos_short_today": number; "position_cost_long": number; "position_cost_short": number; "position_price_long": number; "position_price_short": number; "position_profit": number; "position_profit_long": number; "position_profit_short": number; "price_tick": number; "user_id": string; "volume_long": number; "volume_long_frozen": number; "volume_long_frozen_his": number; "volume_long_frozen_today": number; "volume_long_his": number; "volume_long_today": number; "volume_long_yd": number; "volume_short": number; "volume_short_frozen": number; "volume_short_frozen_his": number; "volume_short_frozen_today": number; "volume_short_his": number; "volume_short_today": number; "volume_short_yd": number };
/** A reply with data. */
export type Envelope_list_TradeInfo = { "success": boolean; "data": (TradeInfo)[]; "error"?: null };
/** A trade of the day. */
export type TradeInfo = { "trade_id": string; "order_id": string; "exchange_trade_id": string; "account_id": string; "user_id": string; "instrument_id": string; "direction": string; "offset": string; "volume": number; "price": number; "commission": number; "close_profit": number; "timestamp": number };
/** A reply with data. */
export type Envelope_list_dict_str__typing_Any = { "success": boolean; "data": (Record<string, unknown>)[]; "error"?: null };
/** A reply with data. */
export type Envelope_StatementReply = { "success": boolean; "data": StatementReply; "error"?: null };
/** The statement of an ended day; orders and trades by page where a page is asked for. */
export type StatementReply = { "account_id": string; "available": number; "balance": number; "close_profit": number; "commission": number; "deposit": number; "float_profit": number; "margin": number; "orders": (OrderInfo)[]; "orders_total": number; "position_profit": number; "positions": (PositionKept)[]; "pre_balance": number; "premium": number; "risk_ratio": number | null; "settlement_prices": Record<string, number>; "static_balance": number; "text": string; "trades": (TradeInfo)[]; "trades_total": number; "trading_day": string; "transfers": (Record<string, unknown>)[]; "withdraw": number };
/** A position of an ended day. */
export type PositionKept = { "cost_long_today": number; "cost_short_today": number; "float_profit": number; "float_profit_long": number; "float_profit_short": number; "frozen_margin": number; "instrument": number; "last_price": number | null; "margin": number; "margin_long": number; "margin_short": number; "open_cost_long": number; "open_cost_short": number; "open_price_long": number; "open_price_short": number; "pos_long_his": number; "pos_long_today": number; "pos_short_his": number; "pos_short_today": number; "position_cost_long": number; "position_cost_short": number; "position_price_long": number; "position_price_short": number; "position_profit": number; "position_profit_long": number; "position_profit_short": number; "symbol": string; "volume_long": number; "volume_long_frozen": number; "volume_long_frozen_his": number; "volume_long_frozen_today": number; "volume_long_his": number; "volume_long_today": number; "volume_long_yd": number; "volume_short": number; "volume_short_frozen": number; "volume_short_frozen_his": number; "volume_short_frozen_today": number; "volume_short_his": number; "volume_short_today": number; "volume_short_yd": number };
/** A reply with data. */
export type Envelope_OrderStats = { "success": boolean; "data": OrderStats; "error"?: null };
/** The day's orders counted. */
export type OrderStats = { "by_instrument": (InstrumentOrders)[]; "by_status": Record<string, number>; "filled_volume": number; "live_orders": number; "total_orders": number; "total_trades": number; "trading_day": string };
/** How many orders an instrument has today. */
export type InstrumentOrders = { "instrument_id": string; "orders": number };
/** A reply with data. */
export type Envelope_list_InstrumentRow = { "success": boolean; "data": (InstrumentRow)[]; "error"?: null };
/** An instrument, and what stands in it here. */
export type InstrumentRow = { "commission_rate": FeeShown | number | null; "contract_multiplier": number; "exchange": string; "expire_month": number | null; "expire_year": number | null; "holders": number; "instrument_id": string; "instrument_name": string; "instrument_type": string; "last_price": number | null; "limit_down_rate": number | null; "limit_up_rate": number | null; "listed": boolean; "live_orders": number; "lower_limit": number | null; "margin_rate": number; "pre_settlement": number | null; "price_tick": number; "product_id": string | null; "status": string; "upper_limit": number | null };
/** The fee of an instrument: shares of the money, or CNY a lot. */
export type FeeShown = { "by": string; "close": number; "close_today": number; "open": number };
/** An instrument the feed does not carry, with its terms; `exchange` completes or confirms its name. */
export type CreateInstrument = { "upper_limit"?: number | null; "lower_limit"?: number | null; "limit_up_rate"?: number | null; "limit_down_rate"?: number | null; "pre_settlement"?: number | null; "instrument_id": string; "price_tick": number; "contract_multiplier": number; "exchange"?: string; "instrument_name"?: string; "margin_rate"?: number; "commission_rate"?: number; "close_today_rate"?: number | null };
/** A reply with data. */
export type Envelope_InstrumentInfo = { "success": boolean; "data": InstrumentInfo; "error"?: null };
/** An instrument with its terms and its newest prices. */
export type InstrumentInfo = { "commission_rate": FeeShown | number | null; "contract_multiplier": number; "exchange": string; "expire_month": number | null; "expire_year": number | null; "instrument_id": string; "instrument_name": string; "instrument_type": string; "last_price": number | null; "limit_down_rate": number | null; "limit_up_rate": number | null; "lower_limit": number | null; "margin_rate": number; "pre_settlement": number | null; "price_tick": number; "product_id": string | null; "status": string; "upper_limit": number | null };
/** New price limits of an instrument; other terms hold from its listing on. */
export type UpdateInstrument = { "upper_limit"?: number | null; "lower_limit"?: number | null; "limit_up_rate"?: number | null; "limit_down_rate"?: number | null; "pre_settlement"?: number | null };
/** A reply with data. */
export type Envelope_InstrumentLimits = { "success": boolean; "data": InstrumentLimits; "error"?: null };
/** The price limits of an instrument. */
export type InstrumentLimits = { "instrument_id": string; "lower_limit": number; "upper_limit": number };
/** A reply with data. */
export type Envelope_InstrumentStatus = { "success": boolean; "data": InstrumentStatus; "error"?: null };
/** An instrument after it was stopped, resumed or taken off. */
export type InstrumentStatus = { "instrument_id": string; "status": string };
/** A settlement price of the traded day; by `force` off the tick or beyond its limits, too. */
export type SettlementPrice = { "instrument_id": string; "settlement_price": number; "force"?: boolean };
/** A reply with data. */
export type Envelope_PriceSet = { "success": boolean; "data": PriceSet; "error"?: null };
/** A settlement price that was set. */
export type PriceSet = { "instrument_id": string; "settlement_price": number };
/** Several of them, all or none; `force` is for each. */
export type SettlementPrices = { "prices": (SettlementPrice)[]; "force"?: boolean };
/** A reply with data. */
export type Envelope_PricesReply = { "success": boolean; "data": PricesReply; "error"?: null };
/** What became of several settlement prices. */
export type PricesReply = { "failed_count": number; "results": (PriceResult)[]; "success_count": number; "total": number };
/** What became of one settlement price. */
export type PriceResult = { "error": Refused | null; "instrument_id": string; "success": boolean };
/** A reply with data. */
export type Envelope_PricesOfDay = { "success": boolean; "data": PricesOfDay; "error"?: null };
/** Settlement prices set for the day that is traded. */
export type PricesOfDay = { "prices": Record<string, number>; "trading_day": string };
/** End the trading day, by `force` while its market is open. */
export type ExecuteRequest = { "force"?: boolean };
/** A reply with data. */
export type Envelope_SettledDay = { "success": boolean; "data": SettledDay; "error"?: null };
/** A day that ended. */
export type SettledDay = { "accounts": number; "balance": number; "by": string | null; "commission": number; "executed_at": number; "next_day": string; "orders": number; "prices": Record<string, number>; "profit": number; "trades": number; "trading_day": string };
/** A reply with data. */
export type Envelope_list_SettledDay = { "success": boolean; "data": (SettledDay)[]; "error"?: null };
/** A reply with data. */
export type Envelope_SettledDetail = { "success": boolean; "data": SettledDetail; "error"?: null };
/** A day that ended, with a page of its accounts. */
export type SettledDetail = { "account_details": (SettledAccount)[]; "accounts": number; "balance": number; "by": string | null; "commission": number; "executed_at": number; "next_day": string; "orders": number; "prices": Record<string, number>; "profit": number; "trades": number; "trading_day": string };
/** An account's money at the end of a day. */
export type SettledAccount = { "account_id": string; "funds": Record<string, number | null> };
/** A reply with data. */
export type Envelope_list_RiskAccount = { "success": boolean; "data": (RiskAccount)[]; "error"?: null };
/** An account by its risk. */
export type RiskAccount = { "account_id": string; "alerts_count": number; "available": number; "balance": number; "margin": number; "risk_level": string; "risk_ratio": number | null; "state": string; "user_id": string };
/** A reply with data. */
export type Envelope_MarginSummary = { "success": boolean; "data": MarginSummary; "error"?: null };
/** Margin of all accounts. */
export type MarginSummary = { "accounts": number; "by_instrument": (InstrumentMargin)[]; "by_level": Record<string, number>; "risk_ratio": number | null; "total_available": number; "total_balance": number; "total_frozen_margin": number; "total_margin": number };
/** Margin and lots of all accounts in one instrument. */
export type InstrumentMargin = { "instrument_id": string; "long": number; "margin": number; "short": number };
/** A reply with data. */
export type Envelope_list_AlertRow = { "success": boolean; "data": (AlertRow)[]; "error"?: null };
/** An alert of the risk monitor. */
export type AlertRow = { "account_id": string; "alert_id": string; "available": number; "balance": number; "handled": boolean; "handled_by": string; "kind": string; "level": string; "risk_ratio": number | null; "text": string; "timestamp": number; "trading_day": number };
/** An alert that was seen to. */
export type AlertRequest = { "account_id": string; "alert_id": string };
/** A reply with data. */
export type Envelope_AlertHandled = { "success": boolean; "data": AlertHandled; "error"?: null };
/** An alert that was seen to. */
export type AlertHandled = { "account_id": string; "alert_id": string; "handled": boolean };
/** A reply with data. */
export type Envelope_list_LiquidationRow = { "success": boolean; "data": (LiquidationRow)[]; "error"?: null };
/** A forced liquidation and how far it is. */
export type LiquidationRow = { "account_id": string; "attempt": number; "balance_after": number | null; "balance_before": number; "by": string; "ended_at": number | null; "instruments_closed": Record<string, number>; "order_ids": (string)[]; "profit": number | null; "reason": string; "record_id": string; "risk_ratio_before": number | null; "started_at": number; "status": string; "total_loss": number | null; "trading_day": number };
/** Close everything an account holds. */
export type LiquidateRequest = { "account_id": string; "reason"?: string };
/** A reply with data. */
export type Envelope_LiquidationRow = { "success": boolean; "data": LiquidationRow; "error"?: null };
/** A reply with data. */
export type Envelope_RiskState = { "success": boolean; "data": RiskState; "error"?: null };
/** What may be traded: by everybody, and by accounts of which more is refused. */
export type RiskState = { "accounts": Record<string, string>; "state": string };
/** The kill switch: ACTIVE, REDUCING or HALTED, of one account or of all. */
export type StateRequest = { "state": string; "account_id"?: string | null; "cancel_orders"?: boolean };
/** A reply with data. */
export type Envelope_AccountPage = { "success": boolean; "data": AccountPage; "error"?: null };
/** A page of accounts. */
export type AccountPage = { "accounts": (AccountOfUser)[]; "total": number };
/** An account and who owns it. */
export type AccountOfUser = { "info": AccountInfo; "user_id": string };
/** A reply with data. */
export type Envelope_AccountDetail = { "success": boolean; "data": AccountDetail; "error"?: null };
/** An account whole. */
export type AccountDetail = { "account": AccountInfo; "freeze": Frozen | null; "orders": (OrderInfo)[]; "positions": (PositionInfo)[]; "trades": (TradeInfo)[]; "user_id": string };
/** Who froze an account, how and why. */
export type Frozen = { "by": string; "freeze_type": string; "reason": string; "timestamp": number };
/** A reply with data. */
export type Envelope_OrderPage = { "success": boolean; "data": OrderPage; "error"?: null };
/** A page of the day's orders, newest first. */
export type OrderPage = { "orders": (OrderInfo)[]; "total": number };
/** A reply with data. */
export type Envelope_TradePage = { "success": boolean; "data": TradePage; "error"?: null };
/** A page of the day's trades, newest first. */
export type TradePage = { "total": number; "trades": (TradeInfo)[] };
/** A reply with data. */
export type Envelope_MoneyPage = { "success": boolean; "data": MoneyPage; "error"?: null };
/** Movements of money, newest first; `next_before` asks for older ones. */
export type MoneyPage = { "next_before": number | null; "transactions": (MoneyMoved)[] };
/** A movement of money. */
export type MoneyMoved = { "account_id": string; "amount": number; "balance_after": number | null; "bank_account": string; "by": string; "method": string; "remark": string; "timestamp": number; "trading_day": string; "transaction_id": number; "transfer_id": number | null; "type": string };
/** A changed password (of the user: accounts have none of their own). */
export type PasswordChange = { "old_password": string; "new_password": string; "password_type"?: string; "account_id"?: string };
/** A password set by an administrator. */
export type PasswordReset = { "user_id": string; "new_password": string; "password_type"?: string; "admin_token"?: string };
/** A reply with data. */
export type Envelope_list_FeeRates = { "success": boolean; "data": (FeeRates)[]; "error"?: null };
/** What trades of an instrument cost. */
export type FeeRates = { "close": Rate; "close_today": Rate; "instrument_id": string; "open": Rate };
/** A charge: a share of the money, and money per lot. */
export type Rate = { "ratio_by_money": number; "ratio_by_volume": number };
/** A reply with data. */
export type Envelope_FeesOfDay = { "success": boolean; "data": FeesOfDay; "error"?: null };
/** Fees paid today. */
export type FeesOfDay = { "account_id": string; "by_instrument": (InstrumentFees)[]; "total_commission": number };
/** Fees paid today in one instrument. */
export type InstrumentFees = { "commission": number; "instrument_id": string; "trades": number; "volume": number };
/** A reply with data. */
export type Envelope_list_MarginRates = { "success": boolean; "data": (MarginRates)[]; "error"?: null };
/** What positions in an instrument bind. */
export type MarginRates = { "instrument_id": string; "long": Rate; "short": Rate };
/** A reply with data. */
export type Envelope_MarginOfAccount = { "success": boolean; "data": MarginOfAccount; "error"?: null };
/** What binds an account's money. */
export type MarginOfAccount = { "account_id": string; "available": number; "balance": number; "frozen_commission": number; "frozen_margin": number; "margin": number; "positions": (PositionMargin)[]; "risk_ratio": number | null };
/** What one position binds. */
export type PositionMargin = { "instrument_id": string; "margin": number; "margin_long": number; "margin_short": number };
/** A reply with data. */
export type Envelope_AccountStatus = { "success": boolean; "data": AccountStatus; "error"?: null };
/** Whether an account is frozen. */
export type AccountStatus = { "account_id": string; "freeze": Frozen | null; "status": string; "trading_state": string };
/** Stop an account from trading, from taking money out, or both. */
export type FreezeRequest = { "account_id": string; "reason"?: string; "freeze_type"?: string; "admin_token"?: string };
/** A reply with data. */
export type Envelope_FrozenReply = { "success": boolean; "data": FrozenReply; "error"?: null };
/** What an account is after it was frozen or released. */
export type FrozenReply = { "account_id": string; "status": string };
/** Let it go on. */
export type UnfreezeRequest = { "account_id": string; "reason"?: string; "admin_token"?: string };
/** A reply with data. */
export type Envelope_list_Announcement = { "success": boolean; "data": (Announcement)[]; "error"?: null };
/** Something everybody is told. */
export type Announcement = { "announcement_type": string; "content": string; "created_at": number; "created_by": string; "id": number; "priority": string; "title": string };
/** Something everybody is told. */
export type AnnouncementRequest = { "title": string; "content": string; "announcement_type"?: string; "priority"?: string };
/** A reply with data. */
export type Envelope_Announcement = { "success": boolean; "data": Announcement; "error"?: null };
/** A reply with data. */
export type Envelope_AnnouncementGone = { "success": boolean; "data": AnnouncementGone; "error"?: null };
/** An announcement that was taken back. */
export type AnnouncementGone = { "deleted": boolean; "id": number };
/** A reply with data. */
export type Envelope_SystemState = { "success": boolean; "data": SystemState; "error"?: null };
/** Everything monitored together. */
export type SystemState = { "accounts": AccountSums; "orders": OrderStats; "status": ProcessState; "storage": StorageState; "trades": TradeSums };
/** All accounts summed up. */
export type AccountSums = { "by_level": Record<string, number>; "total_available": number; "total_balance": number; "total_commission": number; "total_count": number; "total_margin": number };
/** The process and its services. */
export type ProcessState = { "clients": number; "cpu_s": number; "instruments": number; "memory_peak_bytes": number; "services": (Record<string, string>)[]; "status": string; "ticks": number; "trading_day": string; "uptime_s": number; "version": string };
/** Disk, journal, store. */
export type StorageState = { "disk_free_bytes": number; "disk_total_bytes": number; "journal": Record<string, unknown>; "store": Record<string, unknown> | null };
/** The day's trades summed up. */
export type TradeSums = { "matches": number; "total_count": number; "total_turnover": number; "total_volume": number };
/** A reply with data. */
export type Envelope_ProcessState = { "success": boolean; "data": ProcessState; "error"?: null };
/** A reply with data. */
export type Envelope_AccountSums = { "success": boolean; "data": AccountSums; "error"?: null };
/** A reply with data. */
export type Envelope_TradeSums = { "success": boolean; "data": TradeSums; "error"?: null };
/** A reply with data. */
export type Envelope_StorageState = { "success": boolean; "data": StorageState; "error"?: null };
/** A reply with data. */
export type Envelope_DayReport = { "success": boolean; "data": DayReport; "error"?: null };
/** A report of the day. */
export type DayReport = { "accounts": AccountSums; "orders": OrderStats; "status": ProcessState; "storage": StorageState; "trades": TradeSums; "trading_day": string };

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
  "GET /api/market/instruments": { query: { "pattern"?: string | number; "detail"?: string | number }; body: undefined; reply: InstrumentList };
  /** Query stored rows */
  "GET /api/v1/query": { query: { "stream"?: string | number; "start_time"?: string | number; "end_time"?: string | number; "limit"?: string | number; "filter"?: string | number; "order"?: string | number; "fields"?: string | number; "format"?: string | number; "sample_by"?: string | number; "latest_on"?: string | number; "rolling_mean"?: string | number; "asof"?: string | number; "streaming"?: string | number }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** Query stored rows */
  "POST /api/v1/query": { query: { "stream"?: string | number; "start_time"?: string | number; "end_time"?: string | number; "limit"?: string | number; "filter"?: string | number; "order"?: string | number; "fields"?: string | number; "format"?: string | number; "sample_by"?: string | number; "latest_on"?: string | number; "rolling_mean"?: string | number; "asof"?: string | number; "streaming"?: string | number }; body: QueryBody; reply: (Record<string, string | number | null>)[] };
  /** Count stored rows over time */
  "POST /api/v1/counts": { query: {  }; body: CountsBody; reply: Counts };
  /** Store events (X-P-Stream) */
  "POST /api/v1/ingest": { query: {  }; body: undefined; reply: unknown };
  /** Store events in a stream */
  "POST /api/v1/logstream/{stream}": { query: {  }; body: undefined; reply: unknown };
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
  /** Version and modes */
  "GET /api/v1/about": { query: {  }; body: undefined; reply: unknown };
  /** Whether the process answers */
  "GET /api/v1/liveness": { query: {  }; body: undefined; reply: unknown };
  /** Whether the store answers */
  "GET /api/v1/readiness": { query: {  }; body: undefined; reply: unknown };
  /** List aggregates */
  "GET /api/v1/aggregate": { query: {  }; body: undefined; reply: unknown };
  /** How an aggregate is made */
  "GET /api/v1/aggregate/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** Make an aggregate */
  "PUT /api/v1/aggregate/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** Delete an aggregate and its rows */
  "DELETE /api/v1/aggregate/{stream}": { query: {  }; body: undefined; reply: unknown };
  /** Refresh it now */
  "POST /api/v1/aggregate/{stream}/refresh": { query: {  }; body: undefined; reply: unknown };
  /** List imports */
  "GET /api/v1/import": { query: {  }; body: undefined; reply: unknown };
  /** How far an import is */
  "GET /api/v1/import/{id}": { query: {  }; body: undefined; reply: unknown };
  /** Import a file */
  "PUT /api/v1/import/{id}": { query: { "stream"?: string | number; "format"?: string | number; "at"?: string | number; "more"?: string | number }; body: undefined; reply: unknown };
  /** Stop an import; stored rows stay */
  "DELETE /api/v1/import/{id}": { query: {  }; body: undefined; reply: unknown };
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
  "GET /api/audit/logs": { query: { "type"?: string | number; "result"?: string | number; "user_id"?: string | number; "account_id"?: string | number; "before"?: string | number; "limit"?: string | number }; body: undefined; reply: Envelope_AuditPage };
  /** One entry */
  "GET /api/audit/logs/{id}": { query: {  }; body: undefined; reply: Envelope_AuditEntry };
  /** Check the chain of entries */
  "GET /api/audit/verify": { query: {  }; body: undefined; reply: Envelope_AuditVerdict };
  /** Open an account */
  "POST /api/user/{user_id}/account/create": { query: {  }; body: OpenAccountRequest; reply: Envelope_Opened };
  /** Open an account */
  "POST /api/account/open": { query: {  }; body: OpenAccountRequest; reply: Envelope_Opened };
  /** Accounts of a user */
  "GET /api/user/{user_id}/accounts": { query: {  }; body: undefined; reply: Envelope_list_AccountInfo };
  /** Put money in */
  "POST /api/account/deposit": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Take money out */
  "POST /api/account/withdraw": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Move money between bank and account */
  "POST /api/account/transfer": { query: {  }; body: TransferRequest; reply: Envelope_Transferred };
  /** Banks of an account */
  "GET /api/account/{account_id}/banks": { query: {  }; body: undefined; reply: Envelope_list_Bank };
  /** The day's transfers */
  "GET /api/account/{account_id}/transfers": { query: {  }; body: undefined; reply: Envelope_list_TransferRow };
  /** Equity by day and by minute */
  "GET /api/account/{user_id}/equity-curve": { query: { "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_EquityCurve };
  /** The account's broker, its figures beside ours */
  "GET /api/account/{account_id}/broker": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** An account as a QIFI document */
  "GET /api/account/{account_id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Enter an order */
  "POST /api/order/submit": { query: {  }; body: SubmitOrder; reply: Envelope_OrderReply };
  /** Withdraw an order */
  "POST /api/order/cancel": { query: {  }; body: CancelRequest; reply: Envelope_OrderReply };
  /** Enter several orders */
  "POST /api/order/batch": { query: {  }; body: BatchRequest; reply: Envelope_BatchReply };
  /** Withdraw several orders */
  "POST /api/order/batch-cancel": { query: {  }; body: BatchCancelRequest; reply: Envelope_BatchReply };
  /** Change a living order */
  "PUT /api/order/modify/{order_id}": { query: {  }; body: ModifyRequest; reply: Envelope_OrderInfo };
  /** The day's orders of a user */
  "GET /api/order/user/{user_id}": { query: { "status"?: string | number; "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_list_OrderInfo };
  /** An order of the day */
  "GET /api/order/{order_id}": { query: { "account_id"?: string | number }; body: undefined; reply: Envelope_OrderInfo };
  /** An order that waits for a price */
  "POST /api/order/conditional": { query: {  }; body: ConditionalRequest; reply: Envelope_ConditionalRow };
  /** Conditional orders */
  "GET /api/order/conditional/list": { query: { "account_id"?: string | number; "status"?: string | number }; body: undefined; reply: Envelope_list_ConditionalRow };
  /** How many are in which state */
  "GET /api/order/conditional/statistics": { query: { "account_id"?: string | number }; body: undefined; reply: Envelope_ConditionalCounts };
  /** Wait no more */
  "DELETE /api/order/conditional/{id}": { query: { "account_id"?: string | number }; body: undefined; reply: Envelope_ConditionalRow };
  /** Positions of an account */
  "GET /api/position/account/{account_id}": { query: {  }; body: undefined; reply: Envelope_list_PositionInfo };
  /** Positions of a user */
  "GET /api/position/user/{user_id}": { query: {  }; body: undefined; reply: Envelope_list_PositionInfo };
  /** The day's trades of an account */
  "GET /api/trades/account/{account_id}": { query: { "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_list_TradeInfo };
  /** The day's trades of a user */
  "GET /api/trades/user/{user_id}": { query: { "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_list_TradeInfo };
  /** Levels of the book */
  "GET /api/market/orderbook/{id}": { query: { "depth"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The newest snapshot */
  "GET /api/market/tick/{id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The newest matches here */
  "GET /api/market/trades/{id}": { query: { "limit"?: string | number }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** Bars */
  "GET /api/market/kline/{id}": { query: { "period"?: string | number; "count"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Stored ticks */
  "GET /api/data/history/ticks": { query: { "instrument_id"?: string | number; "start_time"?: string | number; "end_time"?: string | number; "limit"?: string | number; "order"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Stored minute bars */
  "GET /api/data/history/klines": { query: { "instrument_id"?: string | number; "start_time"?: string | number; "end_time"?: string | number; "limit"?: string | number; "order"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** A table as a file */
  "GET /api/data/export": { query: { "account_id"?: string | number; "data_type"?: string | number; "format"?: string | number; "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The market at a glance */
  "GET /api/data/overview/market": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Trades summed up */
  "GET /api/data/statistics/trades": { query: { "account_id"?: string | number; "user_id"?: string | number; "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Profit and loss */
  "GET /api/data/statistics/pnl": { query: { "account_id"?: string | number; "user_id"?: string | number; "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Risk of daily returns */
  "GET /api/data/statistics/risk": { query: { "account_id"?: string | number; "user_id"?: string | number; "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** Accounts by return */
  "GET /api/data/statistics/rankings": { query: { "limit"?: string | number; "start"?: string | number; "end"?: string | number }; body: undefined; reply: Envelope_list_dict_str__typing_Any };
  /** How positions are spread */
  "GET /api/data/analysis/position/{account_id}": { query: {  }; body: undefined; reply: Envelope_dict_str__typing_Any };
  /** The statement of an ended day */
  "GET /api/data/settlement/statement": { query: { "account_id"?: string | number; "date"?: string | number; "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_StatementReply };
  /** The day's orders counted */
  "GET /api/admin/market/order-stats": { query: {  }; body: undefined; reply: Envelope_OrderStats };
  /** Instruments */
  "GET /api/admin/instruments": { query: { "pattern"?: string | number }; body: undefined; reply: Envelope_list_InstrumentRow };
  /** List an instrument of our own */
  "POST /api/admin/instrument/create": { query: {  }; body: CreateInstrument; reply: Envelope_InstrumentInfo };
  /** Set price limits */
  "PUT /api/admin/instrument/{id}/update": { query: {  }; body: UpdateInstrument; reply: Envelope_InstrumentLimits };
  /** Stop an instrument */
  "PUT /api/admin/instrument/{id}/suspend": { query: {  }; body: undefined; reply: Envelope_InstrumentStatus };
  /** Let it go on */
  "PUT /api/admin/instrument/{id}/resume": { query: {  }; body: undefined; reply: Envelope_InstrumentStatus };
  /** Take it off for good */
  "DELETE /api/admin/instrument/{id}/delist": { query: {  }; body: undefined; reply: Envelope_InstrumentStatus };
  /** Set a settlement price */
  "POST /api/admin/settlement/set-price": { query: {  }; body: SettlementPrice; reply: Envelope_PriceSet };
  /** Set settlement prices */
  "POST /api/admin/settlement/batch-set-prices": { query: {  }; body: SettlementPrices; reply: Envelope_PricesReply };
  /** Prices set for today */
  "GET /api/admin/settlement/prices": { query: {  }; body: undefined; reply: Envelope_PricesOfDay };
  /** End the trading day */
  "POST /api/admin/settlement/execute": { query: {  }; body: ExecuteRequest; reply: Envelope_SettledDay };
  /** Days that ended */
  "GET /api/admin/settlement/history": { query: { "limit"?: string | number }; body: undefined; reply: Envelope_list_SettledDay };
  /** An ended day */
  "GET /api/admin/settlement/detail/{date}": { query: { "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_SettledDetail };
  /** Accounts by risk */
  "GET /api/management/risk/accounts": { query: { "risk_level"?: string | number }; body: undefined; reply: Envelope_list_RiskAccount };
  /** Margin of all */
  "GET /api/management/risk/margin-summary": { query: {  }; body: undefined; reply: Envelope_MarginSummary };
  /** Alerts */
  "GET /api/management/risk/alerts": { query: { "account_id"?: string | number }; body: undefined; reply: Envelope_list_AlertRow };
  /** An alert was seen to */
  "POST /api/management/risk/alerts/handle": { query: {  }; body: AlertRequest; reply: Envelope_AlertHandled };
  /** Liquidations */
  "GET /api/management/risk/liquidations": { query: { "account_id"?: string | number; "limit"?: string | number }; body: undefined; reply: Envelope_list_LiquidationRow };
  /** Close what an account holds */
  "POST /api/management/risk/force-liquidate": { query: {  }; body: LiquidateRequest; reply: Envelope_LiquidationRow };
  /** What may be traded */
  "GET /api/admin/risk/state": { query: {  }; body: undefined; reply: Envelope_RiskState };
  /** The kill switch */
  "POST /api/admin/risk/state": { query: {  }; body: StateRequest; reply: Envelope_RiskState };
  /** Every account */
  "GET /api/management/accounts": { query: { "page"?: string | number; "page_size"?: string | number; "status"?: string | number }; body: undefined; reply: Envelope_AccountPage };
  /** An account whole */
  "GET /api/management/account/{user_id}/detail": { query: {  }; body: undefined; reply: Envelope_AccountDetail };
  /** The day's orders */
  "GET /api/management/orders": { query: { "page"?: string | number; "page_size"?: string | number; "status"?: string | number }; body: undefined; reply: Envelope_OrderPage };
  /** The day's trades */
  "GET /api/management/trades": { query: { "page"?: string | number; "page_size"?: string | number }; body: undefined; reply: Envelope_TradePage };
  /** Put money in */
  "POST /api/management/deposit": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Take money out */
  "POST /api/management/withdraw": { query: {  }; body: MoneyRequest; reply: Envelope_AccountInfo };
  /** Money moved */
  "GET /api/management/transactions": { query: { "limit"?: string | number; "before"?: string | number }; body: undefined; reply: Envelope_MoneyPage };
  /** Money moved of an account */
  "GET /api/management/transactions/{user_id}": { query: { "limit"?: string | number; "before"?: string | number }; body: undefined; reply: Envelope_MoneyPage };
  /** Change one's password */
  "POST /api/account-admin/password/change": { query: {  }; body: PasswordChange; reply: Envelope_Done };
  /** Set a user's password */
  "POST /api/account-admin/password/reset": { query: {  }; body: PasswordReset; reply: Envelope_Done };
  /** Fees by instrument */
  "GET /api/account-admin/commission/rates": { query: { "instrument_id"?: string | number }; body: undefined; reply: Envelope_list_FeeRates };
  /** The day's fees */
  "GET /api/account-admin/commission/statistics/{id}": { query: {  }; body: undefined; reply: Envelope_FeesOfDay };
  /** Margins by instrument */
  "GET /api/account-admin/margin/rates": { query: { "instrument_id"?: string | number }; body: undefined; reply: Envelope_list_MarginRates };
  /** What binds the money */
  "GET /api/account-admin/margin/summary/{id}": { query: {  }; body: undefined; reply: Envelope_MarginOfAccount };
  /** Whether it is frozen */
  "GET /api/account-admin/status/{id}": { query: {  }; body: undefined; reply: Envelope_AccountStatus };
  /** Stop an account */
  "POST /api/account-admin/freeze": { query: {  }; body: FreezeRequest; reply: Envelope_FrozenReply };
  /** Let it go on */
  "POST /api/account-admin/unfreeze": { query: {  }; body: UnfreezeRequest; reply: Envelope_FrozenReply };
  /** Announcements */
  "GET /api/announcements": { query: { "limit"?: string | number; "before"?: string | number }; body: undefined; reply: Envelope_list_Announcement };
  /** Announce something */
  "POST /api/announcements": { query: {  }; body: AnnouncementRequest; reply: Envelope_Announcement };
  /** An announcement */
  "GET /api/announcements/{id}": { query: {  }; body: undefined; reply: Envelope_Announcement };
  /** Take one back */
  "DELETE /api/announcements/{id}": { query: {  }; body: undefined; reply: Envelope_AnnouncementGone };
  /** Everything together */
  "GET /api/monitoring/system": { query: {  }; body: undefined; reply: Envelope_SystemState };
  /** The process and its services */
  "GET /api/monitoring/status": { query: {  }; body: undefined; reply: Envelope_ProcessState };
  /** Accounts summed up */
  "GET /api/monitoring/accounts": { query: {  }; body: undefined; reply: Envelope_AccountSums };
  /** The day's orders counted */
  "GET /api/monitoring/orders": { query: {  }; body: undefined; reply: Envelope_OrderStats };
  /** The day's trades summed up */
  "GET /api/monitoring/trades": { query: {  }; body: undefined; reply: Envelope_TradeSums };
  /** Disk, journal, store */
  "GET /api/monitoring/storage": { query: {  }; body: undefined; reply: Envelope_StorageState };
  /** A report of the day */
  "GET /api/monitoring/report": { query: {  }; body: undefined; reply: Envelope_DayReport };
  /** This description */
  "GET /api/openapi.json": { query: {  }; body: undefined; reply: Record<string, unknown> };
}
