// Texts of the pages behind the login.
export const tradeTexts = {
  login: {
    why: ["交易、账户和管理需要登录；行情和数据查询不需要。", "Trading, accounts and administration need a login; market data and queries do not."],
    name: ["用户名", "User name"], password: ["密码", "Password"], enter: ["登录", "Log in"], logout: ["退出登录", "Log out"], wrong: ["用户名或密码不对", "The user name or the password is wrong"], ended: ["登录已失效，请重新登录", "The login has ended; please log in again"],
    no_user: ["还没有用户？", "No user yet?"], no_user_text: ["在服务器上用命令添加（密码从标准输入读取）：", "Add one on the server (the password is read from standard input):"],
  },
} as const;
