// Texts of the pages everyone sees; those of the trading pages are in texts-trade.ts.
import { tradeTexts } from "./texts-trade";

export const texts = {
  ...tradeTexts,
  nav: {
    overview: ["总览", "Overview"], market: ["行情", "Market"], trade: ["交易", "Trade"], positions: ["持仓", "Positions"],
    orders: ["委托成交", "Orders"], account: ["账户", "Account"], store: ["数据", "Store"], monitor: ["监控", "Monitor"],
    admin: ["管理", "Admin"], api: ["接口", "API"], login: ["登录", "Log in"], missing: ["没有此页", "No such page"],
  },
  app: {
    live: ["实时", "Live"], lost: ["已断开", "Disconnected"], connecting: ["连接中", "Connecting"],
    lost_banner: ["与服务器的连接已断开，显示的是旧数据；正在重新连接……", "The connection to the server is cut: what you see is old. Connecting again…"],
    starting_banner: ["尚未运行的服务：{names}", "Not running yet: {names}"],
    simulated: ["模拟行情", "Simulated market"], simulated_hint: ["行情由内置模拟器产生，不是真实市场", "Prices come from the built-in simulator, not from a real market"],
    market_time: ["行情时间（北京）", "Market time (Beijing)"], pages: ["页面", "Pages"], more: ["更多", "More"], skip: ["跳到正文", "Skip to content"],
    colours_hint: ["切换红涨绿跌 / 绿涨红跌", "Switch red-up / green-up"],
    theme_auto: ["主题：跟随系统", "Theme: as the system"], theme_light: ["主题：浅色", "Theme: light"], theme_dark: ["主题：深色", "Theme: dark"],
  },
  common: {
    close: ["关闭", "Close"], cancel: ["取消", "Cancel"], confirm: ["确认", "Confirm"], save: ["保存", "Save"], busy: ["请稍候……", "Please wait…"], name: ["名称", "Name"], time: ["时间", "Time"], state: ["状态", "State"],
    actions: ["操作", "Actions"], unreachable: ["连接不到服务器", "The server cannot be reached"], none: ["无", "None"], refresh: ["刷新", "Refresh"], export: ["导出 CSV", "Export CSV"], add: ["添加", "Add"], search: ["查找", "Search"], yes: ["是", "Yes"], no: ["否", "No"], done: ["完成", "Done"], all: ["全部", "All"], type_word: ["输入 {word} 以确认", "Type {word} to confirm"],
  },
  absent: {
    title: ["{name}没有运行", "{name} is not running"],
    text: ["此进程运行的模式：{modes}。用下面的命令启动全部服务。", "This process runs in mode: {modes}. The command below starts every service."],
    feed: ["行情服务", "The market feed"], store: ["数据存储服务", "The store"], trade: ["交易服务", "The trading service"], login: ["登录服务", "The login service"], realtime: ["账户监控服务", "Account monitoring"],
  },
  missing: { title: ["没有此页", "There is no such page"], text: ["地址可能已改变，请从左侧选择页面。", "The address may have changed; choose a page from the side."] },
  search: { open: ["查找合约", "Find an instrument"], hint: ["代码或名称，如 rb2701、螺纹钢", "Symbol or name, e.g. rb2701"], none: ["没有符合的合约", "No instrument matches"] },
  class: { FUTURE: ["期货", "future"], STOCK: ["股票", "stock"], OPTION: ["期权", "option"], INDEX: ["指数", "index"], FUND: ["基金", "fund"], BOND: ["债券", "bond"], COMBINE: ["组合", "spread"], CONT: ["主连", "main"], SPOT: ["现货", "spot"], undefined: ["合约", "instrument"] },
  market: {
    watch: ["报价", "Quotes"], count: ["{n}/{all}", "{n}/{all}"], filter: ["筛选", "Filter"], groups: ["分组", "Groups"], all: ["全部", "All"], starred: ["自选", "Starred"],
    instrument: ["合约", "Instrument"], last: ["最新价", "Last"], change: ["涨跌", "Change"], percent: ["涨跌幅", "Change %"], volume: ["成交量", "Volume"], open_interest: ["持仓量", "Open int."], time: ["时间", "Time"],
    open: ["今开", "Open"], highest: ["最高", "High"], lowest: ["最低", "Low"], average: ["均价", "Average"], pre_settlement: ["昨结", "Prev. settle"], upper_limit: ["涨停", "Limit up"], lower_limit: ["跌停", "Limit down"], amount: ["成交额", "Turnover"],
    book: ["五档盘口", "Order book"], ask: ["卖", "Ask "], bid: ["买", "Bid "], stale: ["旧数据", "Stale"], stale_hint: ["超过 10 秒没有更新，或连接已断开", "No update for 10 seconds, or the connection is cut"],
    tape: ["逐笔", "Time and sales"], price: ["价格", "Price"], lots: ["手数", "Lots"], oi_change: ["增仓", "OI ±"], oi_change_hint: ["持仓量的变化", "Change of open interest"], no_sales: ["还没有成交", "No sales yet"],
    chart: ["K 线", "Chart"], period: ["周期", "Period"], overlays: ["主图指标", "Overlays"], studies: ["副图指标", "Studies"], loading: ["加载中……", "Loading…"], no_bars: ["此周期还没有 K 线", "No bars of this period yet"],
    star: ["加入自选", "Star"], none_here: ["没有符合的合约", "Nothing matches"], none_here_text: ["换一个分组，或清空筛选。", "Choose another group or clear the filter."],
    no_instruments: ["还没有合约", "No instruments yet"], no_instruments_text: ["行情源连接后会列出它的合约。", "A market data source lists its instruments once it is connected."],
  },
  period: { "5s": ["5秒", "5s"], "1m": ["1分", "1m"], "3m": ["3分", "3m"], "5m": ["5分", "5m"], "15m": ["15分", "15m"], "30m": ["30分", "30m"], "1h": ["1时", "1h"], "1d": ["日", "1D"] },
  indicator: {
    MA: ["移动平均线", "Moving averages"], EMA: ["指数移动平均线", "Exponential moving averages"], BOLL: ["布林带", "Bollinger bands"], SAR: ["抛物线转向", "Parabolic SAR"],
    VOL: ["成交量", "Volume"], MACD: ["指数平滑异同移动平均线", "Moving average convergence divergence"], KDJ: ["随机指标", "Stochastic (KDJ)"], RSI: ["相对强弱指标", "Relative strength"], CCI: ["顺势指标", "Commodity channel"], OBV: ["能量潮", "On-balance volume"],
  },
  state: {
    running: ["运行中", "running"], finished: ["已完成", "finished"], starting: ["启动中", "starting"], waiting: ["等待中", "waiting"], backoff: ["稍后重试", "retrying"], stopping: ["停止中", "stopping"], stopped: ["已停止", "stopped"], ok: ["正常", "ok"], degraded: ["部分异常", "degraded"], connected: ["已连接", "connected"], disconnected: ["未连接", "disconnected"], replaying: ["回放中", "replaying"],
  },
  overview: {
    status: ["状态", "State"], instruments: ["合约", "Instruments"], stored_rows: ["已存行数", "Rows stored"], disk: ["数据文件", "Data files"], version: ["版本", "Version"], accounts: ["账户", "Accounts"], no_accounts: ["没有授予你的账户", "No account is granted to you"],
    alerts: ["提醒", "Alerts"], no_alerts: ["没有提醒", "Nothing to report"], no_alerts_text: ["所有服务都在运行，行情源都已连接。", "Every service runs and every source is connected."],
    service_alert: ["服务 {name}：{state}", "Service {name}: {state}"], source_alert: ["行情源 {name} 未连接", "Source {name} is not connected"],
    addresses: ["连接地址", "Addresses"], market_socket: ["行情 WebSocket", "Market WebSocket"], query_door: ["历史查询", "Query"], status_door: ["网关状态", "Gateway status"],
  },
  monitor: {
    ticks_rate: ["行情 / 秒", "Ticks / s"], messages_rate: ["消息 / 秒", "Messages / s"], bytes_rate: ["发送", "Sent"], clients: ["客户端", "Clients"], slow_clients: ["慢客户端", "Slow clients"], wanted: ["订阅合约", "Subscribed"], uptime: ["已运行", "Uptime"],
    rates: ["流量", "Traffic"], rates_hint: ["打开本页以来，每 2 秒一次", "since this page was opened, every 2 s"],
    latency: ["延迟分布", "Latency"], latency_line: ["{n} 次 · 平均 {mean} · 一半不超过 {p50} · 99% 不超过 {p99}", "{n} observations · mean {mean} · half within {p50} · 99% within {p99}"], observations: ["次数", "Count"], no_latency: ["还没有测量", "Nothing measured yet"],
    sources: ["行情源", "Sources"], no_sources: ["没有行情源", "No source"], trading_day: ["交易日", "Trading day"], last_tick: ["最近行情", "Last tick"], rows: ["行数", "Rows"],
    services: ["服务", "Services"], restarts: ["重启", "Restarts"], facts: ["详情", "Facts"], bounds: ["队列与上限", "Queues and bounds"], bounds_hint: ["当前值 / 上限", "now / bound"], no_bounds: ["服务器没有报告带上限的队列", "The server reports no bounded queues"], all_metrics: ["全部指标", "All metrics"],
  },
  store: {
    streams: ["数据流", "Streams"], schema: ["字段", "Columns"], rows: ["行数", "Rows"], size: ["大小", "Size"], no_schema: ["没有字段信息", "No column information"],
    question: ["查询", "Query"], stream: ["数据流", "Stream"], start: ["开始", "Start"], end: ["结束（不含）", "End (excluded)"], limit: ["最多行数", "Rows at most"], order: ["顺序", "Order"], asc: ["从旧到新", "oldest first"], desc: ["从新到旧", "newest first"], filter: ["条件", "Filter"], fields: ["字段（空 = 全部）", "Columns (empty = all)"],
    ask: ["查询", "Run"], keep: ["保存查询", "Save query"], name_query: ["名称", "Name of the query"], forget: ["删除 {name}", "Delete {name}"],
    hint: ["时间可写 now、1h-ago、yesterday、2026-11-27 21:00（北京时间）；条件如 last_price > 3000 AND volume > 100。", "Times: now, 1h-ago, yesterday, 2026-11-27 21:00 (Beijing). Filters: last_price > 3000 AND volume > 100."],
    answered: ["{n} 行，{ms} 毫秒（行情时钟：{clock}）", "{n} rows in {ms} ms (clock: {clock})"], truncated: ["已达服务器上限", "cut by the server's cap"],
    view: ["显示方式", "View"], table: ["表格", "Table"], curve: ["曲线", "Chart"], column: ["曲线的字段", "Column of the chart"], answer: ["查询结果", "Answer"],
    no_rows: ["没有数据", "No rows"], no_rows_text: ["这段时间没有符合条件的行，请放宽条件。", "Nothing matches in this range; widen it."], not_asked: ["还没有查询", "Nothing asked yet"], not_asked_text: ["填好条件后点“查询”。", "Fill in the question and press Run."],
  },
  stream: { futures_market: ["期货快照", "futures snapshots"], stock_market: ["股票快照", "stock snapshots"], market_data: ["以上两者", "both of the above"], bar_1m: ["一分钟 K 线", "one-minute bars"], bar_1d: ["日 K 线", "daily bars"], orders: ["委托", "orders"], trades: ["成交", "trades"], accounts: ["账户", "accounts"], own: ["自建数据流", "own stream"] },
  api: { note: ["全部接口，由服务器自述：", "Every door, as the server describes itself:"], find: ["查找接口", "Find a door"], parameters: ["参数", "Parameters"], body: ["请求体", "Body"], replies: ["回应", "Replies"], example: ["示例", "Example"] },
  tag: { feed: ["行情", "Feed"], store: ["数据", "Store"], operations: ["运维", "Operations"], users: ["用户", "Users"], audit: ["审计", "Audit"], trade: ["交易", "Trading"] },
} as const;
