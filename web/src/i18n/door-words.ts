// What the server's description of its doors says is English: here it is in Chinese, for the page of the doors alone.
// A test of the description tells when a word is missing.
export const doorWords: Record<string, string> = {
  // sockets and market data
  "Market data socket: DIFF (aid), gateway (type), CORE (op) and QO (action) messages": "行情 WebSocket：DIFF（aid）、网关（type）、CORE（op）、QO（action）四种报文",
  "Trade socket: DIFF as open-trade-gateway speaks it; log in with req_login": "交易 WebSocket：open-trade-gateway 的 DIFF 协议，用 req_login 登录",
  "Market and trade on one socket: what the market socket takes, and what the trade socket takes": "行情和交易共用一个 WebSocket：两者的报文都接受",
  "The store's socket: subscribe, unsubscribe, query, ingest": "数据 WebSocket：订阅、退订、查询、写入",
  "Is the gateway there": "网关是否在线", "List wanted instruments": "已订阅的合约", "Pin instruments": "固定订阅合约", "Let instruments go": "取消固定订阅",
  "Sources, clients, subscriptions": "行情源、客户端、订阅", "List known instruments": "已知合约列表",
  "Levels of the book": "盘口档位", "The newest snapshot": "最新快照", "The newest matches here": "本交易所最近的成交", Bars: "K 线",
  // store
  "Query stored rows": "查询已存数据", "Count stored rows over time": "按时间统计行数", "Store events (X-P-Stream)": "写入数据（数据流名在 X-P-Stream 头）", "Store events in a stream": "向数据流写入数据",
  "Make a stream": "新建数据流", "Delete a stream and its rows": "删除数据流和其中的数据", "How a stream is kept": "数据流的存储方式", "List streams": "数据流列表", "The columns of a stream": "数据流的字段", "Rows and bytes of a stream": "数据流的行数和大小",
  "How long rows are kept": "数据保留多久", "Keep rows for some days": "设置保留天数", "The columns an event makes": "一条数据会生成哪些字段", "Version and modes": "版本和模式", "Whether the process answers": "进程是否应答", "Whether the store answers": "数据存储是否应答",
  "List aggregates": "聚合列表", "How an aggregate is made": "聚合的定义", "Make an aggregate": "新建聚合", "Delete an aggregate and its rows": "删除聚合和其中的数据", "Refresh it now": "立即刷新",
  "List imports": "导入列表", "How far an import is": "导入进度", "Import a file": "导入文件", "Stop an import; stored rows stay": "停止导入，已存的数据保留",
  "Stored ticks": "已存的逐笔快照", "Stored minute bars": "已存的分钟 K 线", "A table as a file": "导出表格文件",
  // process
  "State of the process": "进程状态", "Whether every service runs": "所有服务是否在运行", "Prometheus metrics": "Prometheus 指标", "This description": "本接口说明",
  "Everything together": "全部监控数据", "The process and its services": "进程和各服务", "Accounts summed up": "账户汇总", "The day's trades summed up": "当日成交汇总", "Disk, journal, store": "磁盘、日志、数据存储", "A report of the day": "当日报告",
  // users
  "Log in": "登录", "Change a refresh token into new tokens": "用刷新令牌换新令牌", "Register, where auth.allow_register is on": "注册（需打开 auth.allow_register）", "End this login": "退出登录", "Change one's password": "修改自己的密码", "Who am I": "当前用户",
  "A user: oneself, or any": "查看用户（自己，管理员可看任何人）", "Every user": "全部用户", "Add a user": "新增用户", "Set roles": "设置角色", "Add a role": "增加角色", "Give or take an account": "授予或收回账户权限", "Make an administrator": "设为管理员", "Let in no more": "停用用户", "Let in again": "恢复用户", "Set a user's password": "重设用户密码",
  "Newest entries": "最新审计记录", "One entry": "一条审计记录", "Check the chain of entries": "校验审计链",
  // accounts and money
  "Open an account": "开户", "Accounts of a user": "用户的账户", "Put money in": "入金", "Take money out": "出金", "Move money between bank and account": "银期转账", "Banks of an account": "账户的银行", "The day's transfers": "当日转账", "Equity by day and by minute": "权益曲线（按日和按分钟）",
  "The account's broker, its figures beside ours": "账户的交易通道，柜台数字与本地对照", "An account as a QIFI document": "账户的 QIFI 文档", "Every account": "全部账户", "An account whole": "账户全部详情",
  "Money moved": "资金流水", "Money moved of an account": "账户的资金流水", "Fees by instrument": "各合约手续费率", "The day's fees": "当日手续费", "Margins by instrument": "各合约保证金率", "What binds the money": "资金占用明细", "Whether it is frozen": "是否冻结", "Stop an account": "冻结账户",
  // orders
  "Enter an order": "下单", "Withdraw an order": "撤单", "Enter several orders": "批量下单", "Withdraw several orders": "批量撤单", "Change a living order": "改单", "The day's orders of a user": "用户的当日委托", "An order of the day": "当日一笔委托",
  "An order that waits for a price": "新增条件单", "Conditional orders": "条件单列表", "How many are in which state": "各状态条件单数量", "Wait no more": "撤销条件单",
  "Positions of an account": "账户的持仓", "Positions of a user": "用户的持仓", "The day's trades of an account": "账户的当日成交", "The day's trades of a user": "用户的当日成交", "The day's orders": "当日委托", "The day's trades": "当日成交", "The day's orders counted": "当日委托统计",
  // figures
  "The market at a glance": "市场概览", "Trades summed up": "成交统计", "Profit and loss": "盈亏统计", "Risk of daily returns": "日收益风险指标", "Accounts by return": "账户收益排名", "How positions are spread": "持仓分布", "The statement of an ended day": "结算单",
  // running the market
  Instruments: "合约列表", "List an instrument of our own": "新增自有合约", "Set price limits": "设置涨跌停板", "Stop an instrument": "暂停合约交易", "Let it go on": "恢复合约交易", "Take it off for good": "摘牌",
  "Set a settlement price": "设置结算价", "Set settlement prices": "批量设置结算价", "Prices set for today": "今日已设的结算价", "End the trading day": "执行日终结算", "Days that ended": "以往结算", "An ended day": "某日结算详情",
  "Accounts by risk": "账户风险", "Margin of all": "全部保证金", Alerts: "风控提醒", "An alert was seen to": "处理提醒", Liquidations: "强平记录", "Close what an account holds": "强制平仓", "What may be traded": "交易许可状态", "The kill switch": "切换交易许可（正常、只减仓、停止）",
  Announcements: "公告列表", "Announce something": "发布公告", "An announcement": "公告内容", "Take one back": "删除公告",
  // what is asked with
  "push or pull: fixes who decides when data is sent": "push 或 pull：固定由哪一方决定何时发送", "1 adds _ts (ns, CLOCK_MONOTONIC) to every data frame": "1：每个数据帧带 _ts（纳秒，CLOCK_MONOTONIC）", "1 greets on connect": "1：连接后先发问候", "accepted for older clients; every source serves every client": "兼容旧客户端，所有行情源服务所有客户端",
  "push: data is sent without a peek_message": "push：不等 peek_message 就发送", "whole: every patch carries the whole account": "whole：每次更新都带整个账户", "part of the symbol, either case": "合约代码的一部分，不分大小写",
  "1h-ago when left out": "缺省为 1h-ago（一小时前）", "now when left out; the range is half-open": "缺省为 now（现在），不含终点", "the first N rows in the order asked for": "按所求顺序的前 N 行", "asc or desc by time; any: as rows come fastest": "按时间 asc 升序或 desc 降序；any：怎么快怎么来",
  "names of columns, or true for {fields, records}": "字段名；true 则返回 {fields, records}", "json, records, ndjson, csv, arrow or parquet": "json、records、ndjson、csv、arrow 或 parquet", "futures_market, stock_market, market_data or bar_1m": "futures_market、stock_market、market_data 或 bar_1m",
  "bars of a period up to a day, like 5m, inside trading sections; with fill=null or prev": "按周期合成 K 线，如 5m，最长一日，不跨交易小节；可配 fill=null 或 prev", "true: the newest row of each instrument": "true：每个合约的最新一行", "a period: the mean of the last price over it, at every row": "周期：每行给出该周期内最新价的均值", "another stream: every row with its newest row at that moment": "另一数据流：每行配上它当时的最新一行", "true: NDJSON without a row cap": "true：NDJSON 流式返回，不限行数",
  "where the rows go": "写到哪个数据流", "parquet, arrow, csv, csv.gz or ndjson": "parquet、arrow、csv、csv.gz 或 ndjson", "how many bytes of the file were received before; 0 when left out": "文件此前已收到的字节数，缺省为 0",
  "who did it": "操作用户", "on which account": "操作的账户", "ids below this one": "只要编号小于此值的", "at most so many (100, up to 1000)": "最多条数（缺省 100，至多 1000）", "first day, YYYYMMDD": "起始日，YYYYMMDD", "last day, YYYYMMDD": "结束日，YYYYMMDD",
  "from 1; without page and page_size all": "页码，从 1 起；不给 page 和 page_size 则返回全部", "up to 500 (100): newest first": "每页条数，至多 500（缺省 100），新的在前", "up to 500 (100)": "每页条数，至多 500（缺省 100）", "of orders and trades, from 1; without page and page_size all": "委托和成交的页码，从 1 起；不给 page 和 page_size 则返回全部", "from 1": "页码，从 1 起",
  "whose, where several have one of this name": "哪个账户的（同号多账户时）", "of this account; otherwise of all one may look at": "只要此账户的；缺省为可查看的全部账户", "of this account": "只要此账户的", "the account": "账户", "the account (may be left out by who owns one)": "账户（只有一个账户的用户可省略）", "or who owns it": "或账户所属用户",
  "levels, up to 10 (5)": "档数，至多 10（缺省 5）", "up to 1000 (50)": "至多 1000（缺省 50）", "up to 1000 (100)": "至多 1000（缺省 100）", "up to 1000 (250)": "至多 1000（缺省 250）", "up to 10000 (1000)": "至多 10000（缺省 1000）", "the newest (500)": "最新多少根（缺省 500）",
  "0 day, 4 1m, 5 5m, 6 15m, 7 30m, 8 60m": "0 日线，4 1分，5 5分，6 15分，7 30分，8 60分", "in any spelling": "合约代码，写法不限", "of this instrument, in any spelling": "只要此合约的，写法不限", "1h-ago, 2025-06-03 09:30, … (1h-ago)": "1h-ago、2025-06-03 09:30 等（缺省 1h-ago）", now: "现在", "YYYYMMDD; the newest when left out": "YYYYMMDD，缺省为最近一日",
  // what is answered
  "switching to WebSocket": "切换为 WebSocket", "another site's page": "来自其他网站的页面", "not an upgrade": "不是 WebSocket 升级请求", "too many clients": "客户端过多", OK: "成功", "malformed body": "请求体格式错误", "not JSON": "不是 JSON", "no instruments, or some that are none (listed)": "没有合约，或其中有不存在的合约（已列出）", "no source": "没有行情源",
  "what is wrong with it": "错在哪里", "this mode does not answer queries": "本模式不提供查询", "no such stream": "没有此数据流", "too many statements of this user wait already": "该用户等待中的查询过多", "not ready, or too many statements of all users wait": "未就绪，或等待中的查询过多", "what is wrong with it; nothing of it is stored": "错在哪里，全部未写入", "log in first": "请先登录", "the login may not, or this mode takes nothing in": "没有权限，或本模式不接受写入", "too large": "请求过大",
  "this Idempotency-Key came with other content before": "此 Idempotency-Key 用过，内容不同", "not ready, or no store in this mode": "未就绪，或本模式没有数据存储", "not ready, no store in this mode, or the disk does not keep up": "未就绪、本模式没有数据存储，或磁盘跟不上", "the disk is too full or does not answer; it goes on by itself when it does": "磁盘空间不足或没有响应，恢复后自动继续", "more events are being stored than there is room for": "正在写入的数据过多，请稍后再试", "the name is taken": "名称已被占用", "no such import": "没有此导入", "it has another number of bytes, or is not received any more": "已收字节数不符，或已不再接收", "larger than store.import_bytes": "超过 store.import_bytes", "the disk is too full": "磁盘空间不足",
  "wrong login": "用户名或密码错误", "not yet": "尚未就绪", "bad parameters": "参数错误", "not logged in": "未登录", "not permitted": "没有权限", "too often": "请求过于频繁", "refused: the code says why": "被拒绝，原因见错误码", "not permitted, or another's account": "没有权限，或是他人的账户", "no such thing": "不存在", "trading is not running": "交易服务未运行",
};
