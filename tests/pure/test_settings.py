"""Settings: defaults of the contract, bounds, errors that name the variable and never show a value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ai_assets.catalog import CATALOG
from ai_assets.errors import ConfigurationError
from ai_assets.guard.limits import GuardLimits
from ai_assets.settings import CHECKOUT, Settings, load_settings

PREFIXES = ("AI_", "DASHSCOPE_")

DEFAULTS = {
    "AI_STEP_TIMEOUT_S": 180.0,
    "AI_CONCURRENCY": 16,
    "AI_TIMEZONE": "Asia/Shanghai",
    "AI_RATE_PER_MINUTE": 60,
    "AI_BATCH_RATE_SHARE": 0.7,
    "AI_ADMISSION_WAIT_S": 30.0,
    "AI_BATCH_ADMISSION_WAIT_S": 600.0,
    "AI_DAILY_TOKENS": 20_000_000,
    "AI_MONTHLY_TOKENS": None,
    "AI_SITE_DAILY_TOKENS": None,
    "AI_LEASE_S": 60.0,
    "AI_MAX_ATTEMPTS": 3,
    "AI_WORKERS_MIN": 0,
    "AI_WORKERS_MAX": 2,
    "AI_WORKER_LINGER_S": 60.0,
    "AI_WORKER_MAX_MINUTES": 15.0,
}
"""As design.md has them."""

BAD = {
    "AI_STEP_TIMEOUT_S": ["0", "-1", "3601", "nan", "inf", "soon"],
    "AI_CONCURRENCY": ["0", "257", "1.5", "many"],
    "AI_TIMEZONE": ["Mars/Olympus", "UTC+8", "asia/shanghai ", "/etc/passwd"],
    "AI_RATE_PER_MINUTE": ["0", "-5", "1000001", "60.5", "x"],
    "AI_BATCH_RATE_SHARE": ["0", "1.01", "-0.5", "nan", "70%"],
    "AI_ADMISSION_WAIT_S": ["-1", "3601", "inf"],
    "AI_BATCH_ADMISSION_WAIT_S": ["-1", "14401"],
    "AI_DAILY_TOKENS": ["0", "-1", "10000000000000000", "1e3x"],
    "AI_MONTHLY_TOKENS": ["0", "-1", "none"],
    "AI_SITE_DAILY_TOKENS": ["0", "-1", "unlimited"],
    "AI_BREAKER_WINDOW_S": ["0", "86401", "nan"],
    "AI_BREAKER_MIN_CALLS": ["0", "10001"],
    "AI_BREAKER_FAILURE_SHARE": ["0", "1.1"],
    "AI_BREAKER_OPEN_S": ["0", "86401"],
    "AI_BREAKER_OPEN_MAX_S": ["0", "86401", "59"],
    "AI_BREAKER_PROBES": ["0", "101"],
    "AI_LEASE_S": ["4", "3601"],
    "AI_MAX_ATTEMPTS": ["0", "101"],
    "AI_WORKERS_MIN": ["-1", "101"],
    "AI_WORKERS_MAX": ["0", "101"],
    "AI_WORKER_LINGER_S": ["-1", "3601"],
    "AI_WORKER_MAX_MINUTES": ["0", "1441"],
    "AI_ETL_LOOKBACK_DAYS": ["0", "91"],
    "AI_RUN_LOG_RETENTION_DAYS": ["0", "36501", "1.5", "forever"],
    "AI_CACHE_RETENTION_DAYS": ["0", "36501"],
    "AI_INBOX_RETENTION_DAYS": ["0", "36501", "3"],
    "AI_DAGSTER_RETENTION_DAYS": ["0", "36501"],
    "AI_MEMBER_RETENTION_DAYS": ["0", "36501"],
    "AI_HOME": ["~no_such_user/ai"],
    "AI_DATABASE_URL": ["mysql://u:hunter2@h/d", "sqlite:///hunter2", "hunter2", "postgresql:hunter2"],
    "DASHSCOPE_BASE_URL": [
        "dashscope",
        "ftp://h/v1",
        "http://",
        "http://[::1",
        "http://h:99999/v1",
        "https://h/?a=b",
    ],
}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with none of the project's variables."""
    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    return monkeypatch


def by_env(found: Settings) -> dict[str, object]:
    return {str(f.validation_alias): getattr(found, name) for name, f in Settings.model_fields.items()}


def test_with_nothing_set_every_setting_has_the_contracts_default(env):
    found = by_env(load_settings())
    assert {name: found[name] for name in DEFAULTS} == DEFAULTS
    assert found["AI_HOME"] == CHECKOUT / "var"
    assert found["AI_DATABASE_URL"].get_secret_value() == ""
    assert found["AI_PRICES_FILE"] is None


def test_every_apps_id_is_a_setting_and_empty_at_first(env):
    assert {
        name: getattr(load_settings(), entry.setting) for name, entry in CATALOG.items()
    } == dict.fromkeys(CATALOG, "")
    assert {entry.env for entry in CATALOG.values()} <= set(by_env(load_settings()))


def test_a_variable_that_is_empty_means_its_default(env):
    before = load_settings()
    for name in by_env(before):
        env.setenv(name, "")
    assert load_settings() == before


def test_a_setting_is_read_from_its_own_variable_only(env):
    for name, alias in ((n, str(f.validation_alias)) for n, f in Settings.model_fields.items()):
        if name.upper() != alias:
            env.setenv(name.upper(), "/nowhere/1")
    assert load_settings().home == CHECKOUT / "var"
    assert load_settings().concurrency == 16


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_bad_value_is_one_line_that_names_the_variable_and_does_not_show_the_value(env, name, value):
    env.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name) as error:
        load_settings()
    assert "\n" not in str(error.value)
    assert "hunter2" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("AI_RATE_PER_MINUTE", ("1", "1000000")),
        ("AI_BATCH_RATE_SHARE", ("0.01", "1")),
        ("AI_STEP_TIMEOUT_S", ("0.5", "3600")),
        ("AI_LEASE_S", ("5", "3600")),
        ("AI_MONTHLY_TOKENS", ("1", "1000000000000000")),
        ("AI_ADMISSION_WAIT_S", ("0", "3600")),
        ("AI_WORKERS_MIN", ("0", "2")),
    ],
)
def test_the_bounds_themselves_are_allowed(env, name, values):
    for value in values:
        env.setenv(name, value)
        assert float(by_env(load_settings())[name]) == float(value)


def test_every_wrong_setting_is_named_at_once(env):
    env.setenv("AI_CONCURRENCY", "0")
    env.setenv("AI_TIMEZONE", "Nowhere")
    with pytest.raises(
        ConfigurationError, match=r"AI_CONCURRENCY.*; AI_TIMEZONE|AI_TIMEZONE.*; AI_CONCURRENCY"
    ):
        load_settings()


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        ("AI_BREAKER_OPEN_S", "AI_BREAKER_OPEN_MAX_S", ("100", "99")),
        ("AI_WORKERS_MIN", "AI_WORKERS_MAX", ("3", "2")),
    ],
)
def test_settings_that_contradict_each_other_are_both_named(env, low, high, values):
    env.setenv(low, values[0])
    env.setenv(high, values[1])
    with pytest.raises(ConfigurationError, match=f"{high} is below {low}"):
        load_settings()


def test_the_inbox_remembers_every_batch_that_the_sensor_looks_back_for(env):
    env.setenv("AI_ETL_LOOKBACK_DAYS", "60")
    env.setenv("AI_INBOX_RETENTION_DAYS", "60")
    with pytest.raises(ConfigurationError, match="AI_INBOX_RETENTION_DAYS is not above AI_ETL_LOOKBACK_DAYS"):
        load_settings()
    env.setenv("AI_INBOX_RETENTION_DAYS", "61")
    assert load_settings().inbox_retention_days == 61


def test_secrets_never_print(env):
    env.setenv("DASHSCOPE_API_KEY", "sk-hunter2")
    env.setenv("AI_DATABASE_URL", "postgresql://user:hunter2@host/db")
    found = load_settings()
    assert found.dashscope_api_key.get_secret_value() == "sk-hunter2"
    shown = f"{found!r} {found!s} {found.model_dump_json()} {found.model_dump()} {GuardLimits.from_settings(found)}"
    assert "hunter2" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@h:5/d",
        "postgres://u:p@h:5/d",
        "postgresql+psycopg2://u:p@h:5/d",
        " postgres://u:p@h:5/d\n",
    ],
)
def test_a_database_url_always_names_the_driver(env, url):
    env.setenv("AI_DATABASE_URL", url)
    assert load_settings().database_url.get_secret_value() == "postgresql+psycopg2://u:p@h:5/d"


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://dashscope.aliyuncs.com/api/v1", False),
        ("https://dashscope-intl.aliyuncs.com/api/v1/", False),
        ("http://127.0.0.1:8000/api/v1", True),
        ("http://localhost/api/v1", True),
        ("http://[::1]:80/api/v1", True),
        ("http://127.0.0.1.example.com/api/v1", False),
    ],
)
def test_only_loopback_may_use_any_key(env, url, loopback):
    env.setenv("DASHSCOPE_BASE_URL", url)
    env.setenv("DASHSCOPE_ALLOW_HTTP", "1")
    found = load_settings()
    assert found.dashscope_base_url == url.rstrip("/")
    assert found.dashscope_is_loopback is loopback
    if loopback:
        assert found.require_dashscope_key().get_secret_value()
    else:
        with pytest.raises(ConfigurationError, match="DASHSCOPE_API_KEY is not set"):
            found.require_dashscope_key()
    env.setenv("DASHSCOPE_API_KEY", " sk-key\n")
    assert load_settings().require_dashscope_key().get_secret_value() == "sk-key"


def test_the_key_goes_to_another_machine_in_the_clear_only_where_that_is_allowed(env):
    env.setenv("DASHSCOPE_BASE_URL", "http://dashscope.example/api/v1")
    with pytest.raises(ConfigurationError, match="DASHSCOPE_ALLOW_HTTP"):
        load_settings()
    env.setenv("DASHSCOPE_ALLOW_HTTP", "1")
    assert load_settings().dashscope_allow_http


@pytest.mark.parametrize("key", [" ", "\n"])
def test_a_blank_key_is_none(env, key):
    env.setenv("DASHSCOPE_API_KEY", key)
    with pytest.raises(ConfigurationError, match="DASHSCOPE_API_KEY is not set"):
        load_settings().require_dashscope_key()


def test_a_user_or_password_in_the_base_url_is_refused_for_it_would_be_shown(env):
    env.setenv("DASHSCOPE_BASE_URL", "https://me:hunter2@dashscope.aliyuncs.com/api/v1")
    with pytest.raises(ConfigurationError, match=r"DASHSCOPE_BASE_URL.*DASHSCOPE_API_KEY") as error:
        load_settings()
    assert "hunter2" not in str(error.value)


def test_the_home_is_the_same_folder_for_processes_started_elsewhere(env, tmp_path):
    env.setenv("AI_HOME", "~/ai")
    env.setenv("HOME", str(tmp_path))
    assert load_settings().home == tmp_path.resolve() / "ai"
    env.chdir(tmp_path)
    env.setenv("AI_HOME", "here")
    assert load_settings().home == Path.cwd() / "here"


def test_every_setting_says_what_it_is():
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(str(field.validation_alias) for field in Settings.model_fields.values())),
    value=st.text(
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30
    ),
)
def test_whatever_stands_in_a_variable_it_is_read_or_refused_by_name(env, name, value):
    with env.context() as here:
        here.setenv(name, value)
        refused = ""
        try:
            load_settings()
        except ConfigurationError as error:
            refused = str(error)
    assert not refused or name in refused


def test_the_guards_limits_are_the_settings_of_the_same_names(env):
    env.setenv("AI_MONTHLY_TOKENS", "5")
    limits = GuardLimits.from_settings(load_settings())
    assert limits.as_json() == {name: getattr(load_settings(), name) for name in limits.as_json()}
    assert (limits.monthly_tokens, limits.site_daily_tokens, limits.rate_per_minute) == (5, None, 60)
    assert (limits.wait_s(batch=False), limits.wait_s(batch=True)) == (30.0, 600.0)
