"""The units start what there is: commands of this project's environment, with options that they know."""

from __future__ import annotations

import configparser
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).parents[2] / "deploy" / "systemd").glob("*.service"))
AT = "/opt/ai-assets"


def service(path: Path) -> configparser.SectionProxy:
    # a unit may name several files of settings
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(path.read_text(encoding="utf-8"))
    return unit["Service"]


def test_there_is_one_for_each_process() -> None:
    names = [path.stem.removeprefix("ai-assets-") for path in UNITS]
    assert names == ["code", "daemon", "gateway", "webserver"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_starts_a_command_with_options_that_it_knows(path: Path) -> None:
    program, *arguments = shlex.split(service(path)["ExecStart"])
    here = Path(sys.executable).parent / Path(program).name
    assert program == f"{AT}/.venv/bin/{here.name}"
    assert here.exists()
    words = [word for word in arguments if not word.startswith("-")]
    commands = words[: {"dagster": 2, "dagster-webserver": 0}.get(here.name, 1)]
    done = subprocess.run(
        [here, *commands, "--help"], capture_output=True, text=True, timeout=120, check=True
    )
    for option in (word for word in arguments if word.startswith("-")):
        assert option in done.stdout
    for word in words:
        if word.startswith(AT):
            assert (Path(__file__).parents[2] / word.removeprefix(f"{AT}/")).exists()


def test_the_gateway_has_a_login_of_its_own_that_wins_over_the_workers() -> None:
    (path,) = (path for path in UNITS if path.stem == "ai-assets-gateway")
    files = [
        line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("EnvironmentFile=")
    ]
    assert files == ["EnvironmentFile=/etc/ai-assets/env", "EnvironmentFile=/etc/ai-assets/gateway.env"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_as_nobody_special_and_tells_all_its_processes_to_stop(path: Path) -> None:
    found = service(path)
    # the gateway is what strangers reach: it must not be able to read the workers' password
    user = "ai-assets-gateway" if path.stem == "ai-assets-gateway" else "ai-assets"
    assert (found["User"], found["NoNewPrivileges"]) == (user, "yes")
    # runs and workers are children: only told to stop do they hand back what they hold
    assert found.get("KillMode", "control-group") == "control-group"
