"""Every setting, once: its environment name, unit, bounds and safe default.

Here: reading the environment and checking it. Not here: anything that opens a connection or a file; the
resolved database URL of the embedded Postgres is `ai_assets.store.embedded`'s matter.
Source of the names: the settings section of the design contract; docs/settings.md is printed from this class.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, SecretStr, ValidationError, create_model, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ai_assets.catalog import ALIASES, CATALOG, find_entry
from ai_assets.errors import ConfigurationError, InputError

CHECKOUT = Path(__file__).resolve().parent.parent
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
IN_THE_CLEAR = (
    "DASHSCOPE_BASE_URL is plain http to another machine, and the key would go there in the clear: give an https "
    "address, or set DASHSCOPE_ALLOW_HTTP=1"
)

MemberNames = Literal["full", "surname", "pseudonym"]
"""What members are called in prompts (`ai_assets.apps.names`)."""
Tokens = Annotated[int, Field(ge=1, le=10**15)]
Days = Annotated[int, Field(ge=1, le=36_500)]

if TYPE_CHECKING:
    AppIds = BaseSettings
else:
    AppIds = create_model(
        "AppIds",
        __base__=BaseSettings,
        **{
            entry.setting: (
                str,
                Field("", validation_alias=entry.env, description=f"App id of {entry.title}"),
            )
            for entry in CATALOG.values()
        },
    )
"""A field for the DashScope app id of each app of the catalog, such as `app_id_2_finance`."""


class Settings(AppIds):
    """The whole configuration; see each field. Raises ConfigurationError from `load_settings`."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        str_strip_whitespace=True,
    )

    database_url: SecretStr = Field(
        SecretStr(""),
        validation_alias="AI_DATABASE_URL",
        description="Postgres of the results, postgresql+psycopg2://…; empty: an embedded one under AI_HOME",
    )
    home: Path = Field(
        CHECKOUT / "var",
        validation_alias="AI_HOME",
        description="Folder for the embedded Postgres, logs and Dagster's artifacts",
    )

    dashscope_api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias="DASHSCOPE_API_KEY",
        description="Key of the DashScope account; secret",
    )
    dashscope_base_url: str = Field(
        "https://dashscope.aliyuncs.com/api/v1",
        validation_alias="DASHSCOPE_BASE_URL",
        description="Base URL of DashScope, ends in /api/v1",
    )
    dashscope_allow_http: bool = Field(
        False,
        validation_alias="DASHSCOPE_ALLOW_HTTP",
        description="1: DASHSCOPE_BASE_URL may be plain http also to another machine: key and prompts can be read on "
        "the way",
    )
    dashscope_workspace: str = Field(
        "",
        validation_alias="DASHSCOPE_WORKSPACE",
        description="DashScope workspace id; empty: the default one",
    )

    member_names: MemberNames = Field(
        "surname",
        validation_alias="AI_MEMBER_NAMES",
        description="What members are called in prompts: full; surname (and 先生 or 女士); pseudonym, put back into "
        "the answer before it is cached",
    )

    repaired_answers: str = Field(
        "all",
        validation_alias="AI_REPAIRED_ANSWERS",
        description="Apps of which an answer that had to be mended is good enough: all, none, or names such as "
        "app6,app8",
    )
    ask_again: bool = Field(
        True,
        validation_alias="AI_ASK_AGAIN",
        description="1: an app whose answer cannot be read is asked once more and told why, where time and budget "
        "allow; 0: never",
    )
    grounded_warn_below: float = Field(
        1.0,
        validation_alias="AI_GROUNDED_WARN_BELOW",
        ge=0,
        le=1,
        description="Share of an answer's figures that stand in its prompt, below which the check warns",
    )
    grounded_error_below: float = Field(
        0.7,
        validation_alias="AI_GROUNDED_ERROR_BELOW",
        ge=0,
        le=1,
        description="The same, below which the check is an error",
    )

    step_timeout_s: float = Field(
        180.0,
        validation_alias="AI_STEP_TIMEOUT_S",
        gt=0,
        le=3600,
        description="Seconds one call may take in all",
    )
    concurrency: int = Field(
        16,
        validation_alias="AI_CONCURRENCY",
        ge=1,
        le=256,
        description="Calls side by side in one run, chains in one worker",
    )
    timezone: str = Field(
        "Asia/Shanghai",
        validation_alias="AI_TIMEZONE",
        description="IANA zone in which budget days turn, schedules start and assets become overdue; "
        "`ai-assets db upgrade` stores it in the database, where the guard reads it",
    )

    rate_per_minute: int = Field(
        60, validation_alias="AI_RATE_PER_MINUTE", ge=1, le=1_000_000, description="Calls per minute and site"
    )
    batch_rate_share: float = Field(
        0.7,
        validation_alias="AI_BATCH_RATE_SHARE",
        gt=0,
        le=1,
        description="Share of the rate that batches and queued work may use, and of a worker's slots that queued work "
        "may take; the rest stays free for live events",
    )
    admission_wait_s: float = Field(
        30.0,
        validation_alias="AI_ADMISSION_WAIT_S",
        ge=0,
        le=3600,
        description="Seconds a live call waits for its turn in the rate before it is refused",
    )
    batch_admission_wait_s: float = Field(
        600.0,
        validation_alias="AI_BATCH_ADMISSION_WAIT_S",
        ge=0,
        le=14_400,
        description="Seconds a batch call waits for its turn in the rate before it is refused",
    )

    daily_tokens: Tokens | None = Field(
        20_000_000, validation_alias="AI_DAILY_TOKENS", description="Tokens (in + out) a day, all sites"
    )
    monthly_tokens: Tokens | None = Field(
        None, validation_alias="AI_MONTHLY_TOKENS", description="Tokens a month, all sites; none: no limit"
    )
    site_daily_tokens: Tokens | None = Field(
        None,
        validation_alias="AI_SITE_DAILY_TOKENS",
        description="Tokens a day for each site; none: no limit",
    )
    site_monthly_tokens: Tokens | None = Field(
        None,
        validation_alias="AI_SITE_MONTHLY_TOKENS",
        description="Tokens a month for each site; none: no limit",
    )
    model_max_tokens: int = Field(
        131_072,
        validation_alias="AI_MODEL_MAX_TOKENS",
        ge=1000,
        le=10_000_000,
        description="Tokens that one call can use beside its prompt's characters: the app's own instructions, what it "
        "looks up, its answer; bounds the estimate that is reserved",
    )

    breaker_window_s: float = Field(
        300.0,
        validation_alias="AI_BREAKER_WINDOW_S",
        ge=1,
        le=86_400,
        description="Seconds of calls that the failure share is counted over",
    )
    breaker_min_calls: int = Field(
        5,
        validation_alias="AI_BREAKER_MIN_CALLS",
        ge=1,
        le=10_000,
        description="Calls needed before it may open",
    )
    breaker_failure_share: float = Field(
        0.5,
        validation_alias="AI_BREAKER_FAILURE_SHARE",
        gt=0,
        le=1,
        description="Share of failures that opens it",
    )
    breaker_open_s: float = Field(
        60.0,
        validation_alias="AI_BREAKER_OPEN_S",
        gt=0,
        le=86_400,
        description="Seconds it stays open at first",
    )
    breaker_open_max_s: float = Field(
        900.0,
        validation_alias="AI_BREAKER_OPEN_MAX_S",
        gt=0,
        le=86_400,
        description="Seconds it stays open at most; the time doubles with each relapse up to this",
    )
    breaker_probes: int = Field(
        2, validation_alias="AI_BREAKER_PROBES", ge=1, le=100, description="Probes let through when half-open"
    )

    alert_language: Literal["zh", "en"] = Field(
        "zh",
        validation_alias="AI_ALERT_LANGUAGE",
        description="Language of alert messages: zh or en; `ai-assets db upgrade` stores it in the database, where "
        "every process reads it",
    )
    alert_window_s: float = Field(
        300.0,
        validation_alias="AI_ALERT_WINDOW_S",
        ge=0,
        le=86_400,
        description="Seconds within which the same alert of a site, app and kind is one row that counts; 0: never",
    )

    lease_s: float = Field(
        60.0,
        validation_alias="AI_LEASE_S",
        ge=5,
        le=3600,
        description="Seconds a worker holds a trigger job without a heartbeat",
    )
    max_attempts: int = Field(
        3,
        validation_alias="AI_MAX_ATTEMPTS",
        ge=1,
        le=100,
        description="Attempts before a trigger job is dead; the last one of a member's job runs alone in a worker",
    )
    startup_grace_s: float = Field(
        30.0,
        validation_alias="AI_STARTUP_GRACE_S",
        ge=0,
        le=3600,
        description="Seconds after its request, or its start, for which a worker run without a heartbeat is coming up",
    )
    startup_timeout_s: float = Field(
        300.0,
        validation_alias="AI_STARTUP_TIMEOUT_S",
        ge=10,
        le=86_400,
        description="Seconds after its start at which a worker run without a heartbeat is marked as failed",
    )
    workers_min: int = Field(
        0, validation_alias="AI_WORKERS_MIN", ge=0, le=100, description="Workers kept alive without work"
    )
    workers_max: int = Field(
        2,
        validation_alias="AI_WORKERS_MAX",
        ge=1,
        le=100,
        description="Workers at most; jobs that lost attempts run alone in one of them, or in one more",
    )
    worker_linger_s: float = Field(
        60.0, validation_alias="AI_WORKER_LINGER_S", ge=0, le=3600, description="Seconds an idle worker stays"
    )
    worker_max_minutes: float = Field(
        15.0,
        validation_alias="AI_WORKER_MAX_MINUTES",
        gt=0,
        le=1440,
        description="Minutes a worker run lives",
    )

    etl_lookback_days: int = Field(
        3,
        validation_alias="AI_ETL_LOOKBACK_DAYS",
        ge=1,
        le=90,
        description="Days the dws_completed sensor looks back for batches finished late or corrected",
    )
    run_log_retention_days: Days = Field(
        180,
        validation_alias="AI_RUN_LOG_RETENTION_DAYS",
        description="Days that calls are kept in the run log, and alerts of them; one that a kept text is from stays",
    )
    cache_retention_days: Days = Field(
        180,
        validation_alias="AI_CACHE_RETENTION_DAYS",
        description="Days that a text in the cache is kept after a newer one took its place; the newest always stays",
    )
    inbox_retention_days: Days = Field(
        180,
        validation_alias="AI_INBOX_RETENTION_DAYS",
        description="Days that ended trigger jobs are kept; one that a kept call is from stays",
    )
    dagster_retention_days: Days = Field(
        30,
        validation_alias="AI_DAGSTER_RETENTION_DAYS",
        description="Days that ended Dagster runs and event logs are kept; what a partition's state rests on stays",
    )
    member_retention_days: Days = Field(
        365,
        validation_alias="AI_MEMBER_RETENTION_DAYS",
        description="Days without an event or answer after which a member's partitions go from Dagster; texts stay",
    )
    prices_file: Path | None = Field(
        None,
        validation_alias="AI_PRICES_FILE",
        description="File with the prices of models, as in `ai_assets/dashscope/prices.toml`; none: those prices. A "
        "model that it does not list is charged the dearest price",
    )

    ui_hosts: str = Field(
        "",
        validation_alias="AI_UI_HOSTS",
        description="Host names besides loopback by which people reach the Dagster UI, such as the proxy's, "
        "separated by commas; a request for another is refused",
    )
    gateway_body_bytes: int = Field(
        2_000_000,
        validation_alias="AI_GATEWAY_BODY_BYTES",
        ge=1024,
        le=1_000_000_000,
        description="Bytes of a request to the gateway at most",
    )
    gateway_rate_per_s: int = Field(
        200,
        validation_alias="AI_GATEWAY_RATE_PER_S",
        ge=1,
        le=1_000_000,
        description="Requests a second of one token and gateway process; twice as many at one instant",
    )
    gateway_sockets: int = Field(
        1000,
        validation_alias="AI_GATEWAY_SOCKETS",
        ge=1,
        le=100_000,
        description="WebSockets open at once in one gateway process",
    )
    gateway_token_sockets: int = Field(
        600,
        validation_alias="AI_GATEWAY_TOKEN_SOCKETS",
        ge=1,
        le=100_000,
        description="Of them with one token",
    )
    gateway_runs: int = Field(
        8,
        validation_alias="AI_GATEWAY_RUNS",
        ge=1,
        le=256,
        description="Apps that one gateway process runs by hand side by side",
    )
    gateway_envelope: bool = Field(
        False,
        validation_alias="AI_GATEWAY_ENVELOPE",
        description="WebSockets send the old dispatcher's envelope, unless the URL has `?envelope=0`",
    )

    @field_validator("home", "prices_file")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        # processes that are started from elsewhere must find the same folder
        try:
            return value and value.expanduser().resolve()
        except RuntimeError:
            raise ValueError("there is no such user's home") from None

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("not an IANA time zone name, such as Asia/Shanghai")
        return value

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text:
            return value
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in {"postgresql", "postgres", "postgresql+psycopg2"}:
            raise ValueError(
                "not a Postgres URL; give postgresql+psycopg2://user:password@host:port/database"
            )
        return SecretStr(f"postgresql+psycopg2://{rest}")

    @field_validator("repaired_answers")
    @classmethod
    def _known_apps(cls, value: str) -> str:
        try:
            named = accepted_apps(value)
        except InputError:
            raise ValueError(
                f"all, none, or apps of {', '.join(sorted(ALIASES))}, separated by commas"
            ) from None
        return "all" if named == ALIASES else ",".join(sorted(named)) or "none"

    @field_validator("ui_hosts")
    @classmethod
    def _host_names(cls, value: str) -> str:
        names = [name.strip().lower() for name in value.split(",") if name.strip()]
        if not all(re.fullmatch(r"[a-z0-9_.-]+|[0-9a-f:.]*:[0-9a-f:.]*", name) for name in names):
            raise ValueError(
                "host names without scheme and port, such as dagster.example.com, separated by commas"
            )
        return ",".join(names)

    @field_validator("dashscope_base_url")
    @classmethod
    def _http_url(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            known = False
        if not known or parts.query or parts.fragment:
            raise ValueError("not an http(s) URL such as https://dashscope.aliyuncs.com/api/v1")
        if parts.username is not None or parts.password is not None:
            # this setting is shown in logs and in the Dagster UI
            raise ValueError("a user or password in it would be shown; the key goes into DASHSCOPE_API_KEY")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if is_in_the_clear(self.dashscope_base_url) and not self.dashscope_allow_http:
            raise ValueError(IN_THE_CLEAR)
        if self.breaker_open_max_s < self.breaker_open_s:
            raise ValueError("AI_BREAKER_OPEN_MAX_S is below AI_BREAKER_OPEN_S")
        if self.grounded_warn_below < self.grounded_error_below:
            raise ValueError("AI_GROUNDED_WARN_BELOW is below AI_GROUNDED_ERROR_BELOW")
        if self.workers_max < self.workers_min:
            raise ValueError("AI_WORKERS_MAX is below AI_WORKERS_MIN")
        if self.inbox_retention_days <= self.etl_lookback_days:
            # the sensor would find a batch again whose event is gone, and make its site anew
            raise ValueError("AI_INBOX_RETENTION_DAYS is not above AI_ETL_LOOKBACK_DAYS")
        return self

    @property
    def zone(self) -> ZoneInfo:
        """The zone in which days of budgets turn."""
        return ZoneInfo(self.timezone)

    @property
    def repaired_accepted(self) -> frozenset[str]:
        """The short names of the apps whose mended answers are good enough."""
        return accepted_apps(self.repaired_answers)

    @property
    def ui_host_names(self) -> tuple[str, ...]:
        """The names of `ui_hosts`."""
        return tuple(filter(None, self.ui_hosts.split(",")))

    @property
    def dashscope_is_loopback(self) -> bool:
        """True where calls stay on this machine: then any key will do."""
        return is_loopback_url(self.dashscope_base_url)

    @property
    def app_ids(self) -> dict[str, str]:
        """The DashScope app id by app name; empty where it is not set."""
        return {name: getattr(self, entry.setting) for name, entry in CATALOG.items()}

    def require_dashscope_key(self) -> SecretStr:
        """The key to call with. Raises ConfigurationError where none is set and the service is a real one."""
        if self.dashscope_api_key.get_secret_value():
            return self.dashscope_api_key
        if self.dashscope_is_loopback:
            return SecretStr("loopback")
        raise ConfigurationError(
            "DASHSCOPE_API_KEY is not set and DASHSCOPE_BASE_URL is not on loopback: "
            "set the key, or use `make demo` / `ai-assets up` for the simulator"
        )


def is_loopback_url(url: str) -> bool:
    """Whether this http(s) URL names this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_in_the_clear(url: str) -> bool:
    """Whether a request to this URL can be read by others on its way: plain http to another machine."""
    return urlsplit(url).scheme == "http" and not is_loopback_url(url)


def accepted_apps(words: str) -> frozenset[str]:
    """The short names of the apps that `all`, `none` or a comma list of names means. Raises InputError if unknown."""
    named = [name.strip().lower() for name in words.split(",")]
    if named == ["all"]:
        return ALIASES
    return frozenset() if named == ["none"] else frozenset(find_entry(name).alias for name in named)


def load_settings() -> Settings:
    """Read the environment.

    Raises ConfigurationError: one line naming each variable that is wrong and why; values are never shown.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # every field comes from the environment
    except ValidationError as error:
        raise ConfigurationError(_one_line(error)) from None


def _one_line(error: ValidationError) -> str:
    faults = [
        f"{'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg'].removeprefix('Value error, ')}"
        for e in error.errors()
    ]
    return "wrong settings: " + "; ".join(faults)
