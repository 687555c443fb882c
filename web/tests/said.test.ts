import { afterEach, describe, expect, it } from "vitest";
import { i18n, said } from "../src/i18n";

describe("what the server says", () => {
  afterEach(() => { i18n.global.locale.value = "zh"; });

  it("is said in the language of the page, word by word", () => {
    expect(said("成交通知,合约:SHFE.rb2701,手数:2")).toBe("成交通知,合约:SHFE.rb2701,手数:2");
    i18n.global.locale.value = "en";
    expect(said("成交通知,合约:SHFE.rb2701,手数:2")).toBe("Traded, instrument: SHFE.rb2701, quantity: 2");
    expect(said("下单失败,平昨手数超过昨仓持仓量")).toBe("Order refused, more than is held from earlier days");
    expect(said("条件单撤单请求已被服务器拒绝,原因:条件单已触发")).toBe("Condition order not cancelled, because: it has triggered");
    expect(said("风险提示,风险等级升至高,风险度:91.00%,可用资金:12.50")).toBe("Risk, level is now high, risk ratio: 91.00%, available: 12.50");
    expect(said("CTP:no such thing")).toBe("CTP: no such thing");
    expect(said("")).toBe("");
  });
});
