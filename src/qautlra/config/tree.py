"""Every setting: its name, type, range and default. A section is a struct; a key is `section.field`.

Values are checked one by one by `load`, which also remembers their origin; rooms are handed their section.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from qautlra.base import limits
from qautlra.base.secret import Secret

DEFAULT_PORTS = (8014, 8015, 8016, 8017, 8012, 8080)
DEFAULT_LISTEN = [f"127.0.0.1:{port}" for port in DEFAULT_PORTS]

Positive = Annotated[int, Meta(gt=0)]
NotNegative = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Mode = Literal["all", "md", "db", "ingest", "query", "trade", "realtime", "strategy", "fund", "web"]
SourceKind = Literal["sim", "replay", "ctp", "tencent", "sina", "upstream"]


StreamName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{0,64}$")]


class Cors(Struct, frozen=True, kw_only=True):
    """Which pages of other origins may call the REST doors; none unless named."""

    allow_all: bool = False
    allowed_origins: list[str] = []
    allow_credentials: bool = False


class Net(Struct, frozen=True, kw_only=True):
    """Listening: each entry `host:port` serves the whole front door; by TLS when there is a certificate."""

    listen: Annotated[list[str], Meta(max_length=32)] = field(default_factory=lambda: list(DEFAULT_LISTEN))
    allow_remote: bool = False
    market_path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_\-./]*$")] = "/ws/market"
    db_path: Annotated[str, Meta(pattern=r"^/[A-Za-z0-9_\-./]*$")] = "/ws/db"
    db_stream: StreamName = ""
    body_bytes: Annotated[int, Meta(ge=1024, le=1 << 28)] = limits.HTTP_BODY_BYTES
    message_bytes: Annotated[int, Meta(ge=1024, le=1 << 24)] = limits.WS_MESSAGE_IN_BYTES
    tls_cert: str = ""
    tls_key: str = ""
    flight_listen: Annotated[str, Meta(max_length=256)] = ""
    flight_batch_rows: Annotated[int, Meta(ge=1, le=1 << 24)] = 20_000
    cors: Cors = Cors()
    reads_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] = 200.0
    reads_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 400
    orders_per_s: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    orders_burst: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class Incremental(Struct, frozen=True, kw_only=True):
    """Whether frames after the first carry only what changed."""

    enabled: bool = True


class Feed(Struct, frozen=True, kw_only=True):
    """The client hub: when it sends, to how many, and when it gives a client up."""

    batch_interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    batch_size_threshold: Annotated[int, Meta(ge=1, le=65_536)] = 50
    incremental: Incremental = Incremental()
    market_data_frames: bool = True
    default_instruments: Annotated[list[str], Meta(max_length=limits.PINNED_SYMBOLS_COUNT)] = []
    auto_subscribe_patterns: Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=100)] = []
    max_clients: Annotated[int, Meta(ge=1, le=100_000)] = limits.CLIENTS_COUNT
    max_symbols: Annotated[int, Meta(ge=1, le=limits.INSTRUMENTS_COUNT)] = limits.SYMBOLS_PER_CLIENT_COUNT
    send_buffer_bytes: Annotated[int, Meta(ge=4096, le=1 << 28)] = limits.CLIENT_SEND_BUFFER_BYTES
    ping_interval_s: Seconds = 10.0
    idle_timeout_s: Seconds = 30.0
    slow_client_s: Seconds = 10.0
    deflate: bool = False
    tape_ticks: Annotated[int, Meta(ge=1024, le=1 << 22)] = 16_384


class Schema(Struct, frozen=True, kw_only=True):
    """How ingested streams get their columns."""

    auto_detect: bool = True
    cache_size: Annotated[int, Meta(ge=1, le=100_000)] = 100


class Lake(Struct, frozen=True, kw_only=True):
    """Delta tables of the cold tier: a directory or `s3://bucket/prefix`; an empty url is none."""

    url: Annotated[str, Meta(max_length=2048)] = ""
    interval_s: Annotated[float, Meta(ge=0.5, le=86_400)] = 60.0
    endpoint: Annotated[str, Meta(max_length=2048)] = ""
    region: Annotated[str, Meta(max_length=64)] = ""
    access_key_id: Secret = Secret()
    secret_access_key: Secret = Secret()
    take_over: bool = False
    "Write tables another store has made, which then is to write them no more."
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    "How long dates stay in the tables; 0: for ever, also when the store's own retention takes them."


PartitionField = Literal["date", "hour", "instrument", "exchange", "product", "source"]


class Store(Struct, frozen=True, kw_only=True):
    """The tick log, the hot tier in memory, the Parquet files. Empty data_dir: the XDG data directory."""

    enabled: bool = True
    data_dir: str = ""
    durability: Literal["memory", "process", "power"] = "process"
    segment_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 32)] = 64 << 20
    hot_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 40)] = 256 << 20
    retention_days: Annotated[int, Meta(ge=0, le=36_500)] = 0
    max_disk_percent: Annotated[float, Meta(gt=0, le=100)] = 95.0
    compression: Literal["zstd", "lz4", "snappy", "gzip", "brotli", "uncompressed"] = "zstd"
    partition_by: PartitionField | Annotated[list[PartitionField], Meta(max_length=3)] = "date"
    row_group_rows: Annotated[int, Meta(ge=1024, le=1 << 24)] = 16_384
    tail_rows: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    import_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 44)] = 8 << 30
    query_threads: Annotated[int, Meta(ge=1, le=64)] = 1
    query_timeout_s: Seconds = limits.QUERY_TIME_S
    query_memory_bytes: Annotated[int, Meta(ge=1 << 24, le=1 << 40)] = limits.QUERY_MEMORY_BYTES
    query_rows: Annotated[int, Meta(ge=1, le=10_000_000)] = limits.QUERY_ROWS_COUNT
    schema: Schema = Schema()
    lake: Lake = Lake()


class Sim(Struct, frozen=True, kw_only=True):
    """The simulated market. The same seed repeats exactly in an empty data directory."""

    seed: NotNegative = 1
    trading_day: Annotated[str, Meta(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    ticks_per_s: Annotated[float, Meta(gt=0, le=1_000_000)] | Literal["natural", "max"] = "natural"
    burst: Annotated[int, Meta(ge=1, le=10_000)] = 1
    history_bars: Annotated[int, Meta(ge=0, le=10_000)] = 10_000


class Replay(Struct, frozen=True, kw_only=True):
    """Recorded ticks. `speed` is a factor of real time, or `max`."""

    files: Annotated[list[str], Meta(max_length=10_000)] = []
    speed: Annotated[str, Meta(pattern=r"^(max|\d+(\.\d+)?)$")] = "1"
    loop: bool = False
    wait_clients: Annotated[int, Meta(ge=0, le=100_000)] = 0


class Upstream(Struct, frozen=True, kw_only=True):
    """Another process's feed as source (`QADB_WS_CLIENT_*`). `url`, when given, is the whole address."""

    enabled: bool = False
    url: Annotated[str, Meta(max_length=2048)] = ""
    host: str = "localhost"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8014
    path: Annotated[str, Meta(pattern=r"^/")] = "/ws/market"
    stream: str = "futures_market"
    clock: Literal["wall", "feed"] = "wall"
    "`feed`: its market is simulated or recorded, and its rows say what time it is."
    instruments: Annotated[list[str], Meta(max_length=limits.SYMBOLS_PER_CLIENT_COUNT)] = []
    username: str = ""
    password: Secret = Secret()
    ca_path: str = ""
    silence_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    retry_max_s: Annotated[float, Meta(ge=0.2, le=3600)] = 20.0

    @property
    def is_named(self) -> bool:
        """Whether anyone asked for this feed."""
        return self.enabled or bool(self.url)

    @property
    def address(self) -> str:
        """Return the URL of the feed."""
        if self.url:
            return self.url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}{self.path}"


class Polled(Struct, frozen=True, kw_only=True):
    """A site of public quotes: how often it is asked, and for what besides what clients want."""

    interval_s: Annotated[float, Meta(ge=0.5, le=3600)] = 3.0
    timeout_s: Annotated[float, Meta(ge=0.1, le=120)] = 10.0
    jitter_ratio: Annotated[float, Meta(ge=0, le=0.9)] = 0.1
    calm_after_s: Annotated[float, Meta(ge=1, le=86_400)] = 300.0
    calm_factor: Annotated[float, Meta(ge=1, le=1000)] = 5.0
    backoff_max_s: Annotated[float, Meta(ge=0.5, le=86_400)] = 300.0
    instruments: Annotated[list[str], Meta(max_length=limits.PINNED_SYMBOLS_COUNT)] = []


class Tencent(Polled, frozen=True, kw_only=True):
    """Tencent's quotes of stocks and indices."""

    url: Annotated[str, Meta(pattern=r"^https?://\S+$", max_length=2048)] = "https://qt.gtimg.cn"


class Sina(Polled, frozen=True, kw_only=True):
    """Sina's quotes of stocks, indices and futures."""

    url: Annotated[str, Meta(pattern=r"^https?://\S+$", max_length=2048)] = "https://hq.sinajs.cn"
    interval_s: Annotated[float, Meta(ge=0.5, le=3600)] = 5.0


class Broker(Struct, frozen=True, kw_only=True):
    """One CTP front and the credentials for it."""

    name: str = ""
    front_addr: str = ""
    td_addr: str = ""
    user_id: str = ""
    password: Secret = Secret()
    broker_id: str = ""
    app_id: str = ""
    auth_code: Secret = Secret()
    source_type: str = ""


class Ctp(Struct, frozen=True, kw_only=True):
    """Brokers by the name the file gives them, and the one in use."""

    brokers: dict[str, Broker] = {}
    default_broker: str = ""
    instruments: Annotated[list[str], Meta(max_length=limits.PINNED_SYMBOLS_COUNT)] = []
    connect_timeout_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    query_interval_s: Annotated[float, Meta(ge=0, le=60)] = 1.0


class Routing(Struct, frozen=True, kw_only=True):
    """Several live sources: when another one speaks for an instrument, and what counts as disagreement."""

    stale_s: Annotated[float, Meta(ge=0.1, le=3600)] = 15.0
    return_s: Annotated[float, Meta(ge=0, le=3600)] = 5.0
    compare_s: Annotated[float, Meta(ge=0, le=3600)] = 3.0
    price_ratio: Annotated[float, Meta(gt=0, le=1)] = 0.005
    volume_ratio: Annotated[float, Meta(ge=1, le=1000)] = 1.5
    volume_least: NotNegative = 1000


class Source(Struct, frozen=True, kw_only=True):
    """Where ticks come from; `sim` and `replay` stand alone."""

    kinds: Annotated[list[SourceKind], Meta(max_length=8)] = field(default_factory=lambda: ["sim"])
    sim: Sim = Sim()
    replay: Replay = Replay()
    upstream: Upstream = Upstream()
    tencent: Tencent = Tencent()
    sina: Sina = Sina()
    routing: Routing = Routing()
    ctp: Ctp = Ctp()


TopicName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._\-]{1,249}$")]


class Kafka(Struct, frozen=True, kw_only=True):
    """A Kafka broker to take rows from. An empty `stream`: each topic goes to the stream of its own name.

    An empty `group_id` is one of this data directory's own; no two stores share one.
    """

    enabled: bool = False
    brokers: Annotated[list[str], Meta(min_length=1, max_length=100)] = field(
        default_factory=lambda: ["localhost:9092"]
    )
    topics: Annotated[list[TopicName], Meta(min_length=1, max_length=1000)] = field(
        default_factory=lambda: ["market_data"]
    )
    group_id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._\-]{0,249}$")] = ""
    offset_reset: Literal["earliest", "latest"] = "earliest"
    stream: StreamName = ""
    dead_letters: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_\-]{1,64}$")] = "kafka_dead"
    batch_messages: Annotated[int, Meta(ge=1, le=100_000)] = 1_000


class Amqp(Struct, frozen=True, kw_only=True):
    """RabbitMQ; an empty url is none, `memory:` a bus inside this process."""

    url: Secret = Secret()
    prefetch_count: Annotated[int, Meta(ge=1, le=65_535)] = 256
    probe_s: Annotated[float, Meta(ge=0.1, le=600)] = 5.0
    heartbeat_s: Annotated[int, Meta(ge=1, le=3600)] = 10
    retry_max_s: Annotated[float, Meta(ge=0.2, le=3600)] = 20.0


class Mongo(Struct, frozen=True, kw_only=True):
    """MongoDB for account documents; an empty url keeps them in a file of the data directory."""

    url: Secret = Secret()
    database: Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,37}$")] = "QAREALTIME"
    key_sep: Literal[".", "_"] = "."


class Link(Struct, frozen=True, kw_only=True):
    """Outside systems; all optional."""

    kafka: Kafka = Kafka()
    amqp: Amqp = Amqp()
    mongo: Mongo = Mongo()


class CtpFront(Struct, frozen=True, kw_only=True):
    """The simulated CTP front. Flow control and faults are off unless asked for; 0 means none."""

    enabled: bool = True
    listen: str = "127.0.0.1:8018"
    broker_id: Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,10}$")] = "9999"
    app_id: Annotated[str, Meta(max_length=32)] = ""
    auth_code: Secret = Secret()
    query_interval_ms: Annotated[int, Meta(ge=0, le=60_000)] = 0
    orders_per_s: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    silence_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 30_000
    max_clients: Annotated[int, Meta(ge=1, le=10_000)] = 64
    sessions_per_user: Annotated[int, Meta(ge=1, le=1000)] = 16
    faults: Annotated[list[str], Meta(max_length=16)] = []


class CtpLibrary(Struct, frozen=True, kw_only=True):
    """Which CTP libraries are loaded; empty: those an installed package carries.

    `abi` and `front` are the simulated front's library's own, which reads them from the environment.
    """

    md_lib: str = ""
    td_lib: str = ""
    abi: str = ""
    front: str = ""


class Auth(Struct, frozen=True, kw_only=True):
    """Logins; `username` and `password` (`P_USERNAME`, `P_PASSWORD`) let a store client in by Basic."""

    username: str = ""
    password: Secret = Secret()
    require_login: bool = False
    allow_register: bool = False
    access_token_s: Annotated[int, Meta(ge=30, le=86_400)] = 900
    refresh_token_s: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 86_400
    login_attempts_per_min: Annotated[int, Meta(ge=1, le=10_000)] = 5
    audit_rows: Annotated[int, Meta(ge=1_000, le=1_000_000_000)] = 1_000_000


Limit = Annotated[int, Meta(ge=-1, le=1 << 53)]
Share = Annotated[float, Meta(ge=-1, le=100)]


class RiskLimits(Struct, frozen=True, kw_only=True):
    """Single limits of the risk table: -1 leaves the profile's own, 0 switches a check off."""

    orders_per_s: Limit = -1
    orders_burst: Limit = -1
    cancels_per_s: Limit = -1
    cancels_burst: Limit = -1
    volume_max: Limit = -1
    notional_max: Limit = -1
    repeats_max: Limit = -1
    active_max: Limit = -1
    day_orders: Limit = -1
    day_cancels: Limit = -1
    day_trades: Limit = -1
    contract_orders: Limit = -1
    contract_cancels: Limit = -1
    contract_trades: Limit = -1
    contract_opens: Limit = -1
    contract_open_volume: Limit = -1
    cancels_warn: Limit = -1
    cancels_block: Limit = -1
    position_max: Limit = -1
    loss_max: Limit = -1
    stale_ms: Limit = -1
    price_deviation_ratio: Share = -1
    concentration_ratio: Share = -1
    stop_ratio: Share = -1
    warn_ratio: Share = -1
    self_trade: bool = True


class Conditions(Struct, frozen=True, kw_only=True):
    """Conditional orders of one account: new ones in a trading day, and how many may wait."""

    day_max: Annotated[int, Meta(ge=0, le=100_000)] = 20
    valid_max: Annotated[int, Meta(ge=0, le=100_000)] = 50


ExchangeName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:\-]{1,127}$")]


class TradeAmqp(Struct, frozen=True, kw_only=True):
    """Orders by RabbitMQ (`link.amqp.url`): the exchange they come by, beside QAORDER_ROUTER; results out."""

    exchange: ExchangeName = "QAORDER_ROUTER"
    model: Literal["direct", "fanout", "topic"] = "direct"
    routing_key: Annotated[str, Meta(max_length=127)] = ""
    accounts: Annotated[list[str], Meta(max_length=10_000)] = []
    transactions_exchange: ExchangeName = "QATRANSACTION"
    account_exchange: ExchangeName = "QAACCOUNT"
    account_interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    outbox_count: Annotated[int, Meta(ge=16, le=1 << 22)] = 65_536


class Documents(Struct, frozen=True, kw_only=True):
    """QIFI documents of the accounts: how often they are written and what is kept."""

    enabled: bool = True
    portfolio: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = "default"
    interval_s: Annotated[float, Meta(ge=0.05, le=3600)] = 0.5
    equity_interval_s: Annotated[float, Meta(ge=1, le=86_400)] = 60.0
    equity_days: Annotated[int, Meta(ge=1, le=3660)] = 30
    orders_count: Annotated[int, Meta(ge=10, le=10_000)] = 1000


class Trader(Struct, frozen=True, kw_only=True):
    """The one account of a process that trades for it (`qatrader-rs`); without `account` there is none.

    `paper` opens it with `cash` when it is not there; `diff` trades at the DIFF gateway `url` as of `bid`,
    `ctp` at the CTP front `url`, `bid` being the BrokerID.
    """

    account: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    broker: Literal["paper", "diff", "ctp"] = "paper"
    cash: Annotated[float, Meta(ge=0, le=1e12)] = 1_000_000.0
    url: Annotated[str, Meta(max_length=2048)] = ""
    bid: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    password: Secret = Secret()
    bank_password: Secret = Secret()
    capital_password: Secret = Secret()
    app_id: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    auth_code: Secret = Secret()
    taskid: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    ping_gap_s: Annotated[int, Meta(ge=1, le=3600)] = 5
    ca_path: Annotated[str, Meta(max_length=4096)] = ""
    "Certificates (a PEM file, or a directory of them) that a `wss://` gateway may have."


class BrokerSite(Struct, frozen=True, kw_only=True):
    """A broker outside accounts may trade with: `diff` a DIFF gateway (ws://), `ctp` CTP fronts (tcp://).

    `bid` is the broker's own name for itself there: a gateway's `bid`, CTP's BrokerID.
    """

    kind: Literal["diff", "ctp"] = "diff"
    url: Annotated[str, Meta(max_length=2048)] = ""
    bid: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    app_id: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    auth_code: Secret = Secret()
    ping_gap_s: Annotated[int, Meta(ge=1, le=3600)] = 5
    ca_path: Annotated[str, Meta(max_length=4096)] = ""
    "Certificates (a PEM file, or a directory of them) that a `wss://` gateway may have."


class BrokerLogin(Struct, frozen=True, kw_only=True):
    """How the house logs in for one account of its own: as `user`, as the account where that is empty.

    The password is `password`, or the first line of the file `password_file`.
    """

    user: Annotated[str, Meta(max_length=limits.NAME_CHARS_COUNT)] = ""
    password: Secret = Secret()
    password_file: Annotated[str, Meta(max_length=4096)] = ""
    bank_password: Secret = Secret()
    capital_password: Secret = Secret()


class Liquidation(Struct, frozen=True, kw_only=True):
    """When an account is closed by force, and how its orders are priced and repeated."""

    enabled: bool = True
    trigger_ratio: Annotated[float, Meta(ge=0.95, le=100)] = 1.0
    slip_ratio: Annotated[float, Meta(ge=0, le=0.5)] = 0.005
    volume_max: Annotated[int, Meta(ge=0, le=1 << 30)] = 0
    retries: Annotated[int, Meta(ge=0, le=100)] = 3
    retry_s: Annotated[int, Meta(ge=1, le=3600)] = 2


class Trade(Struct, frozen=True, kw_only=True):
    """The order path: what money's journal promises, which risk profile judges, how often marks are told."""

    durability: Literal["memory", "process", "power"] = "power"
    segment_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 32)] = 64 << 20
    journal_days: Annotated[int, Meta(ge=1, le=36_500)] = 30
    profile: Literal["paper", "live"] = "paper"
    margin_side: Literal["sum", "max"] = "sum"
    orders_max: Annotated[int, Meta(ge=1024, le=1 << 24)] = 1 << 20
    mark_interval_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    delivery_fee_ratio: Annotated[float, Meta(ge=0, le=0.1)] = 0.0
    limits: RiskLimits = RiskLimits()
    conditions: Conditions = Conditions()
    liquidation: Liquidation = Liquidation()
    ctp_front: CtpFront = CtpFront()
    amqp: TradeAmqp = TradeAmqp()
    documents: Documents = Documents()
    trader: Trader = Trader()
    brokers: dict[str, BrokerSite] = {}
    logins: dict[str, BrokerLogin] = {}


class Log(Struct, frozen=True, kw_only=True):
    """What is logged to standard error, and how."""

    level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    style: Literal["auto", "text", "json"] = "auto"


class Run(Struct, frozen=True, kw_only=True):
    """The process itself."""

    stop_grace_s: Annotated[float, Meta(gt=0, le=300)] = 5.0
    busy_poll: bool = False
    restart_min_s: Annotated[float, Meta(gt=0, le=60)] = 0.2
    restart_max_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0


class Config(Struct, frozen=True, kw_only=True):
    """The whole tree."""

    mode: Annotated[list[Mode], Meta(min_length=1, max_length=10)] = field(default_factory=lambda: ["all"])
    net: Net = Net()
    feed: Feed = Feed()
    store: Store = Store()
    source: Source = Source()
    link: Link = Link()
    auth: Auth = Auth()
    trade: Trade = Trade()
    ctp: CtpLibrary = CtpLibrary()
    log: Log = Log()
    run: Run = Run()
