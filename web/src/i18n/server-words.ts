// What the server says of orders, transfers and risk is Chinese, as its protocols have it: here is what it means.
// A test of the server's sources tells when a word is missing.
export const serverWords: Record<string, string> = {
  // how an order stands, and how it ended
  报单成功: "accepted", 部分成交: "partly filled", 全部成交: "filled", 已撤单: "cancelled",
  "已撤单：即时成交剩余撤销": "cancelled: what could not be filled at once",
  "已撤单：市价指令剩余撤销": "cancelled: what a market order could not fill", "已撤单：不能全部成交": "cancelled: could not be filled whole",
  "已撤单：不能达到最小成交量": "cancelled: less than its least volume",
  "已撤单：避免自成交": "cancelled: it would trade with itself",
  "已撤单：集合竞价结束": "cancelled: the auction is over", "已撤单：本节交易结束": "cancelled: the section is over",
  "已撤单：价格超出涨跌停板": "cancelled: outside the price limits", "已撤单：系统强制撤单": "cancelled by the system",
  "交易日结束，自动撤销当日有效的委托单（GFD）": "cancelled: the trading day is over", "已报送，等待柜台回报": "sent; the broker has not answered yet", "状态未知：已报送但柜台没有回报，不会重发": "not known: sent, the broker did not answer; it is not sent again",
  "到期交割：按结算价了结": "the contract ended: closed at the settlement price", 到期行权: "exercised at expiry", "到期作废：虚值期权未行权": "lapsed at expiry: out of the money",
  // why something was refused
  开仓保证金不足: "not enough money", 持仓超过限额: "more lots than may be held", 下单手数不合法: "such a quantity is not taken", "账户风险度过高，禁止开仓": "the account's risk ratio is too high to open", "可能自成交，拒绝下单": "it could trade with an order of its own",
  账户不存在: "no such account", 账户已存在: "the account exists already", 合约不存在: "no such instrument", 报单字段有误: "a field of the order is wrong", 单一合约占用保证金超过权益限制: "too much margin in one instrument", 单笔报单金额超过限制: "more money than one order may move",
  "账户已冻结，禁止交易": "the account is frozen", "转账失败，可取资金不足": "the transfer failed: not that much can be withdrawn", "转账失败，金额不合法": "the transfer failed: no such amount", 仍有未了结的委托单: "orders are still alive", 要撤销的单不存在: "no such order to cancel",
  单号重复: "this order id was used before", 下单价格不合法: "such a price is not taken", 下单价格不是价格单位的整倍数: "the price is not a multiple of the tick", 平仓手数超过持仓量: "more than is held", 平今手数超过今仓持仓量: "more than was opened today", 平昨手数超过昨仓持仓量: "more than is held from earlier days",
  活动委托数量超过上限: "too many orders alive", 重复委托次数超过上限: "the same order too often", 当日委托次数超过上限: "too many orders today", 当日撤单次数超过上限: "too many cancels today", 当日成交次数超过上限: "too many trades today", 只减仓委托不能开仓: "an order that only reduces cannot open", 委托有效期已过: "its date has passed",
  委托价格偏离最新价过大: "the price is too far from the last", "行情中断，禁止市价委托": "no market orders while prices are old", 当前只允许平仓: "only closing is allowed now", 交易已暂停: "trading is halted", 合约当前不可交易: "the instrument cannot be traded now", 下单价格超过涨停价: "above the upper limit", 下单价格低于跌停价: "below the lower limit",
  当前时间不允许下单: "no orders at this time", 当前时间不允许撤单: "no cancels at this time", 金额超出系统上限: "more money than the system counts", 报单过于频繁: "too many orders at once", 交易所不支持该类型的委托: "the exchange has no such order type",
  该委托仅在集合竞价时段有效: "for the auction only", 集合竞价时段不接受该类型的委托: "not during the auction", 系统当日委托数量已达上限: "the system takes no more orders today",
  "系统暂时无法记录委托，未受理": "not taken: it cannot be recorded now", 日志与状态不符: "the journal and the state differ", 交易通道不可用: "the broker cannot be reached", 不存在: "not found", 与现有状态冲突: "in conflict with what is there",
  该交易日已结算: "the day is settled already", "市场尚未收盘，不能结算": "the market is not over: no settlement yet", "平仓未全部成交，反手开仓未发出": "not all was closed: the reverse was not sent", "该交易通道不支持改单，请撤单后重报": "this broker cannot amend: cancel and send anew", 该交易通道不支持银期转账: "this broker takes no transfers", 该交易通道不支持此操作: "this broker does not do that", "行情连接中断，模拟交易所暂不接受委托": "the feed is lost: the paper exchange takes no orders", 柜台拒绝报单: "the broker refused the order", "委托未到达柜台：重新登录后柜台的全部委托中没有它，不会重发": "it never reached the broker: after a new login it is not among all the orders there; it is not sent again", 重新登录后柜台的全部委托中已没有该委托: "after a new login it is not among the broker's orders any more",
  没有权限: "you may not do this", 系统内部错误: "internal error", 缺少结算价: "no settlement price", 没有该日结算数据: "no settlement of that day", 请先登录: "log in first", 请求过大: "the request is too large", 服务不可用: "the service is not running",
  // notices
  登录成功: "Logged in", 重复登录: "Logged in already", 用户登录失败: "The trading login failed", 该账户登录数已达上限: "too many logins of this account", 下单成功: "Order accepted", 下单失败: "Order refused", 撤单成功: "Order cancelled", 撤单失败: "Not cancelled", 成交通知: "Traded", 合约: "instrument", 手数: "quantity", 价格: "price", 模拟银行: "simulated bank", 到期交割: "Closed at the contract's end", 到期作废: "Lapsed at expiry", 冻结手数: "frozen by other orders", 转账失败: "The transfer failed", 金额最多两位小数: "amounts have two decimals at most", 转账成功: "Transferred",
  下单指令中的用户名错误: "the order names another user", 不能下单: "not sent", 撤单指令中的用户名错误: "the cancel names another user", 不能撤单: "not cancelled", 修改密码成功: "The password is changed", 修改密码失败: "The password is not changed", 查询结算单失败: "No settlement statement", 账户核对差异: "Our ledger and the broker's figures differ", 柜台提示: "The broker says", 条件单提示: "Conditional order",
  查询失败: "Not answered", 客户端接收过慢: "this client reads too slowly", 请求过于频繁: "too many requests",
  不能修改资金密码: "The fund password cannot be changed",
  本账户没有资金密码: "This account has none",
  风险提示: "Risk", 风险度: "risk ratio", 可用资金: "available", 风险等级升至低: "level is now low", 风险等级升至中: "level is now medium", 风险等级升至高: "level is now high", 风险等级升至极高: "level is now critical", 接近强制平仓: "near liquidation", 达到强制平仓标准: "liquidation is due", 保证金不足: "not enough margin", 可用资金为负: "available money is below zero",
  当日亏损超过限额: "loss of the day over its limit", 单一合约当日撤单次数接近上限: "many cancels in one instrument today, near the limit", 账户只能平仓: "only closing",
  // condition orders
  已触发: "triggered", 无持仓可平: "no lots to close", 委托未成功: "order refused", 已过有效期: "its time has passed", 合约已到期: "the contract has ended", 条件单不存在: "no such condition order", 条件单的条件已经满足: "its condition is met already", 条件单当前状态不允许该操作: "not in the state it is in",
  条件单已被服务器拒绝: "Condition order refused", 条件单撤单请求已被服务器拒绝: "Condition order not cancelled", 条件单暂停请求已被服务器拒绝: "Condition order not paused", 条件单恢复请求已被服务器拒绝: "Condition order not resumed", 历史条件单查询请求已被服务器拒绝: "No history of condition orders", 原因: "because",
  条件单下单成功: "Condition order accepted", 条件单撤单成功: "Condition order cancelled", 条件单暂停成功: "Condition order paused", 条件单恢复成功: "Condition order resumed", 触发条件中的合约不存在: "its condition names no such instrument", 触发时间已过: "its time has passed", 触发价格不合法: "such a trigger price is not taken", 条件已经满足: "the condition is met already", 所有条件都已满足: "every condition is met already", 请重新设置: "set it anew",
  触发价格区间不合法: "no such range of prices", 保本价格不合法: "no such break-even price", 触发后委托的合约不存在: "its order names no such instrument", 触发后委托的手数不合法: "such a quantity is not taken", 触发后委托的价格不合法: "such a price is not taken", 有效日期不合法: "no such date", 当日新增条件单数量超过上限: "too many condition orders today", 有效条件单数量超过上限: "too many condition orders alive", 系统暂时无法记录: "it cannot be recorded now",
  用户名错误: "another user's", 单号不存在: "no such order", 条件单已触发: "it has triggered", 条件单已撤: "it is cancelled", 条件单已作废: "it is discarded", 条件单已经暂停: "it is paused already", 条件单不是暂停状态: "it is not paused", 日期有误: "no such date",
};
