"""What stands beside the trading room: account documents behind the journal, and the RabbitMQ door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from qautlra.app.places import data_directory
from qautlra.base.errors import ConfigError, LinkError, UnavailableError
from qautlra.base.limits import SYMBOLS_PER_CLIENT_COUNT
from qautlra.net.amqp_out import Cursor
from qautlra.net.trade_amqp import AmqpSettings, TradeAmqp, Trading
from qautlra.trade.keeper import Accounts, Keeper
from qautlra.wire import qifi_account

if TYPE_CHECKING:
    from qautlra._core.market import Instruments
    from qautlra._core.tape import Tape
    from qautlra.base.clock import Clock
    from qautlra.base.service import Service
    from qautlra.config.load import Loaded
    from qautlra.link.bus import Bus
    from qautlra.trade.repository import AccountRepository
    from qautlra.trade.service import TradeService

MEMORY = "memory:"


class _Both(Trading, Accounts, Protocol):
    """A trading service as both of these see it."""


def services(
    loaded: Loaded, trade: TradeService, instruments: Instruments, clock: Clock, parts: dict[str, Any]
) -> list[Service]:
    """Return the services of this configuration in start order; `parts` gets those others may ask for."""
    trader = loaded.config.trade.trader
    if trader.account:

        async def open_account() -> None:
            if not trade.has(trader.account):
                answer = trade.open_account(trader.account, trader.cash)
                if not answer.ok:
                    raise UnavailableError(f"account {trader.account} cannot be opened: {answer.text}")
                await trade.durable(answer.lsn)
                if trader.cash:
                    await parts["desk"].note_opening(trader.account, trader.cash)

        trade.started.append(open_account)
    return _beside(loaded, trade, instruments, clock, parts)


def at_gateway(
    loaded: Loaded, instruments: Instruments, tape: Tape, clock: Clock, parts: dict[str, Any]
) -> list[Service]:
    """Return the services of a process that trades for one account at a DIFF gateway or a CTP front."""
    from qautlra.app.brokers import Brokers

    broker = Brokers(loaded.config, instruments, tape, clock).of_trader()
    parts["broker"] = broker
    return [broker, *_beside(loaded, broker, instruments, clock, parts)]


def _beside(
    loaded: Loaded, trade: _Both, instruments: Instruments, clock: Clock, parts: dict[str, Any]
) -> list[Service]:
    config = loaded.config
    found: list[Service] = []
    if config.trade.documents.enabled:
        keeper = _keeper(loaded, trade, clock)
        parts["documents"] = keeper
        found.append(keeper)
    if config.link.amqp.url:
        bus = _bus(loaded)
        parts["bus"] = bus
        settings = config.trade.amqp
        audit = _Audit(parts)
        found.append(
            TradeAmqp(
                trade=trade,
                bus=bus,
                cursor=Cursor(data_directory(config.store.data_dir) / "trade" / "amqp.cursor"),
                resolve=instruments.canonical,
                now_ns=clock.now_ns,
                want=_Wanted(parts),
                # A market clock nobody has set yet says nothing of trading hours.
                is_ready=lambda: getattr(clock, "moved", True) and audit.is_open,
                record=audit.record,
                settings=AmqpSettings(
                    exchange=settings.exchange,
                    model=settings.model,
                    routing_key=settings.routing_key,
                    accounts=tuple(settings.accounts),
                    transactions_exchange=settings.transactions_exchange,
                    account_exchange=settings.account_exchange,
                    account_interval_ms=settings.account_interval_ms,
                    outbox_count=settings.outbox_count,
                ),
            )
        )
    return found


class _Audit:
    """The audit log, where the process has users; it is open while their service runs."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self._parts = parts

    @property
    def is_open(self) -> bool:
        """Whether entries are taken."""
        auth = self._parts.get("auth")
        return auth is None or auth.is_running

    def record(self, *what: Any, **detail: Any) -> None:
        """Queue one entry."""
        auth = self._parts.get("auth")
        if auth is not None:
            auth.audit.record(*what, **detail)


class _Wanted:
    """Asks the feed's sources for what orders name, as one more subscriber."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self._parts = parts
        self._symbols: dict[str, str] = {}

    def __call__(self, symbol: str) -> None:
        feed = self._parts.get("feed")
        if feed is not None and len(self._symbols) < SYMBOLS_PER_CLIENT_COUNT:
            self._symbols[symbol] = symbol
            feed.book.put("trade.amqp", self._symbols)


def _keeper(loaded: Loaded, trade: Accounts, clock: Clock) -> Keeper:
    config = loaded.config
    settings, trader = config.trade.documents, config.trade.trader
    return Keeper(
        trade=trade,
        repository=_repository(loaded),
        now_ns=clock.now_ns,
        settings=qifi_account.Settings(
            broker_name=trader.bid or "paper",
            portfolio=settings.portfolio,
            trade_host=trader.url,
            taskid=trader.taskid,
            ping_gap=trader.ping_gap_s,
        ),
        interval_s=settings.interval_s,
        equity_interval_s=settings.equity_interval_s,
        equity_days=settings.equity_days,
        orders_count=settings.orders_count,
    )


def _repository(loaded: Loaded) -> AccountRepository:
    config = loaded.config
    mongo = config.link.mongo
    if mongo.url:
        from qautlra.link.mongo import MongoRepository

        return MongoRepository(mongo.url, database=mongo.database, key_sep=mongo.key_sep)
    from qautlra.link.documents import SqliteRepository

    return SqliteRepository(data_directory(config.store.data_dir) / "trade" / "accounts.sqlite")


def _bus(loaded: Loaded) -> Bus:
    amqp = loaded.config.link.amqp
    if amqp.url.reveal() == MEMORY:
        from qautlra.link.memory_bus import MemoryBus

        return MemoryBus(prefetch_count=amqp.prefetch_count)
    from qautlra.link.amqp import AmqpBus, AmqpOptions

    options = AmqpOptions(
        amqp.url,
        prefetch_count=amqp.prefetch_count,
        probe_s=amqp.probe_s,
        heartbeat_s=amqp.heartbeat_s,
        retry_max_s=amqp.retry_max_s,
    )
    try:
        return AmqpBus(options)
    except LinkError as error:
        raise ConfigError(
            error.message,
            key="link.amqp.url",
            origin=loaded.origin("link.amqp.url"),
            expected="amqp://user:password@host:5672/vhost, or memory:",
        ) from None
