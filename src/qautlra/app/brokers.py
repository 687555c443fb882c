"""Configuration to brokers outside: which protocol, where, with whose login; what they know of markets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qautlra._core.market import Instruments
from qautlra._core.tape import Tape
from qautlra.app.places import data_directory
from qautlra.base.clock import Clock
from qautlra.base.errors import ConfigError, LinkError
from qautlra.base.secret import Secret, is_placeholder
from qautlra.config.tree import BrokerLogin, BrokerSite, Config
from qautlra.trade import listing
from qautlra.trade.brokers.base import AccountBroker

if TYPE_CHECKING:
    from qautlra.feed.directory import Directory


class TapeMarket:
    """Instruments and prices of this process, for the shadows of accounts."""

    def __init__(self, instruments: Instruments, tape: Tape) -> None:
        self._instruments = instruments
        self._tape = tape

    def terms(self, symbol: str) -> Mapping[str, Any] | None:
        """Return the arguments of `Ledger.set_terms`; None for what is no future or option that is known."""
        try:
            line = self._instruments.intern(symbol)
        except ValueError:
            return None  # no contract has such a name
        if line < 0 or self._instruments.symbol(line) != symbol:
            return None
        info = self._instruments.info(line)
        if info["kind"] not in ("FUTURE", "OPTION") or not listing.tradable(info):
            return None
        return listing.ledger_terms(info)

    def price(self, symbol: str, name: str) -> float | None:
        """Return a price of the newest snapshot; None when there is none."""
        snapshot = self._tape.last(self._instruments.find(symbol))
        value = snapshot.get(name) if snapshot else None
        return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


class Brokers:
    """Makes the brokers of a configuration: one object an account, whatever protocol its broker speaks."""

    def __init__(self, config: Config, instruments: Instruments, tape: Tape, clock: Clock) -> None:
        self._config = config
        self._instruments = instruments
        self.market = TapeMarket(instruments, tape)
        "What this process knows of instruments and prices."
        self._clock = clock
        self.directory: Directory | None = None
        "Whom CTP fronts tell the trading status of what they trade; None where there is no feed."
        self._sites = {name: _of_ctp(one) for name, one in config.source.ctp.brokers.items() if one.td_addr}
        self._sites |= config.trade.brokers
        if any(site.kind != "ctp" for site in self._sites.values()):
            import qautlra.trade.brokers.diff  # noqa: F401 - now, not when an account is bound and prices wait

    @property
    def names(self) -> list[str]:
        """The brokers outside, as `[trade.brokers]` and the specification's `brokers` name them."""
        return list(self._sites)

    def make(self, name: str, account: str) -> AccountBroker:
        """Return the broker of an account; ConfigError when it, or its login, is not configured."""
        site = self._sites.get(name)
        if site is None:
            raise ConfigError("no such broker", key="trade.brokers", value=name)
        login = self._config.trade.logins.get(account)
        if login is None and (one := self._config.source.ctp.brokers.get(name)) and one.user_id == account:
            login = BrokerLogin(password=one.password)
        key = f"trade.logins.{account}"
        return self._made(site, login or BrokerLogin(), name, account, f"trade.brokers.{name}.url", key)

    def of_trader(self) -> AccountBroker:
        """Return the broker of a process that trades for one account (`trade.trader`)."""
        trader = self._config.trade.trader
        site = BrokerSite(
            kind="ctp" if trader.broker == "ctp" else "diff",
            url=trader.url,
            bid=trader.bid,
            app_id=trader.app_id,
            auth_code=trader.auth_code,
            ping_gap_s=trader.ping_gap_s,
            ca_path=trader.ca_path,
        )
        login = BrokerLogin(
            password=trader.password,
            bank_password=trader.bank_password,
            capital_password=trader.capital_password,
        )
        name = trader.bid or trader.broker
        return self._made(site, login, name, trader.account, "trade.trader.url", "trade.trader")

    def _made(
        self, site: BrokerSite, login: BrokerLogin, name: str, account: str, url_key: str, login_key: str
    ) -> AccountBroker:
        user, password = login.user or account, _password(login, login_key)
        if site.kind == "ctp":
            return self._ctp(site, name, account, user, password, url_key)
        from qautlra.link.trade_client import TradeClientOptions
        from qautlra.link.web_socket import check_certificates
        from qautlra.trade.brokers.diff import DiffBroker

        options = TradeClientOptions(
            url=site.url,
            bid=site.bid or name,
            user=user,
            password=password,
            app_id=site.app_id,
            ping_s=float(site.ping_gap_s),
            ca_path=site.ca_path,
        )
        check_certificates(site.ca_path, url_key.removesuffix("url") + "ca_path")
        try:
            return DiffBroker(
                options,
                account=account,
                name=name,
                bank_password=login.bank_password.reveal(),
                capital_password=login.capital_password.reveal(),
            )
        except LinkError as error:
            raise ConfigError(error.message, key=url_key, expected="ws://host:port") from None

    def _ctp(
        self, site: BrokerSite, name: str, account: str, user: str, password: Secret, url_key: str
    ) -> AccountBroker:
        from qautlra.app.ctp import any_section, follow_status, fronts_of
        from qautlra.link.ctp_library import find_libraries
        from qautlra.link.ctp_login import LoginOptions
        from qautlra.link.ctp_session import SessionOptions
        from qautlra.trade.brokers.ctp import CtpBroker

        config, ctp = self._config, self._config.source.ctp
        options = SessionOptions(
            name=name,
            library=find_libraries(config.ctp.md_lib, config.ctp.td_lib).trader,
            fronts=fronts_of(site.url, url_key),
            broker_id=site.bid or name,
            user_id=user,
            password=password,
            app_id=site.app_id,
            auth_code=site.auth_code,
            query_interval_s=ctp.query_interval_s,
            login=LoginOptions(connect_s=ctp.connect_timeout_s),
        )
        broker = CtpBroker(
            options,
            account=account,
            notes=data_directory(config.store.data_dir) / "trade" / f"ctp-{name}-{account}.jsonl",
            now_ns=self._clock.now_ns,
            market=self.market,
            margin_side=config.trade.margin_side,
            is_open=any_section(self._instruments.calendar, self._clock),
        )
        if self.directory is not None:
            follow_status(broker, self.directory)
        return broker


def _of_ctp(broker: Any) -> BrokerSite:
    """A broker of the specification's `config_ctp.json` that names a trading front."""
    return BrokerSite(
        kind="ctp",
        url=broker.td_addr,
        bid=broker.broker_id,
        app_id=broker.app_id,
        auth_code=broker.auth_code,
    )


def _password(login: BrokerLogin, key: str) -> Secret:
    if login.password_file:
        try:
            text = Path(login.password_file).read_text("utf-8").partition("\n")[0].rstrip("\r")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"cannot be read: {why}", key=f"{key}.password_file") from None
        return Secret(text)
    if is_placeholder(login.password.reveal()):
        raise ConfigError("a login at the broker has a password", key=f"{key}.password", expected="a secret")
    return login.password
