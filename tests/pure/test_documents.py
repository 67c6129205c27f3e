"""The documents lead somewhere: links, headings, paths, commands and settings are there; both READMEs say the same.

Here: what can be held cheaply of every page. Not here: docs/settings.md (`test_settings_doc`), docs/data-contract.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ai_assets.cli.main import cli
from ai_assets.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for folder in ("*.md", "docs/**/*.md", "tests/**/*.md", "deploy/**/*.md", "bench/**/*.md")
    for page in ROOT.glob(folder)
)
READMES = ("README.md", "README.zh-CN.md")
# as a text names them: from the root, or from the package
PLACES = (ROOT, ROOT / "ai_assets")
FENCE = re.compile(r"^(```|~~~).*?^\1$", re.MULTILINE | re.DOTALL)
TOY = "ai_assets/apps/app9_invitation.py"
"""The example of docs/apps.md."""
PATH = re.compile(r"(?:[\w.*-]+/)+[\w.*-]+\.(?:py|md|sql|yaml|toml|lock|png|jsonl)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def links(page: str) -> list[str]:
    """Targets of links and pictures; not those in code, nor those that lead out of the repository."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text_of(page)))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The headings' anchors, as GitHub makes them."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in kept}


def spans(page: str) -> list[str]:
    """What stands as code within a line, a table's bars as they are meant."""
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`\n]+)`", FENCE.sub("", text_of(page)))]


def code(page: str) -> list[str]:
    """The lines of the page's shell and SQL, without comments, and each run of blanks as one."""
    blocks = re.findall(r"^```(?:sh|sql)\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)
    lines = (re.sub(r"(^|\s)#.*", "", line).split() for block in blocks for line in block.splitlines())
    return [" ".join(words) for words in lines if words]


def all_commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


COMMANDS = dict(all_commands())


def named_commands(call: str) -> list[str]:
    """The commands, as COMMANDS has them, of a call such as `guard open|close APP --reason x`."""
    words = call.split()
    if isinstance(cli.commands.get(words[0]), click.Group):
        seconds = words[1].split("|") if len(words) > 1 else [""]
        return [f"{words[0]} {second}".strip() for second in seconds]
    return words[:1]


def calls(page: str) -> list[str]:
    """Each call of `ai-assets` on a page, without that word: in code, in prose, and the table of commands."""
    text = text_of(page)
    prose = [span.partition("ai-assets ")[2] for span in spans(page) if re.match(r"(\S*/)?ai-assets ", span)]
    blocks = [
        re.sub(r"\s#.*", "", call)
        for call in re.findall(r"^ *(?:\w+=\S* )*\S*/ai-assets (.+)$", text, re.MULTILINE)
    ]
    evaluated = re.findall(r"\$\(\S*ai-assets ([a-z -]+)\)", text)
    rows = [
        span.replace("\\|", "|")
        for first in re.findall(r"^\| (`.+?`) \|", text, re.MULTILINE)
        for span in re.findall(r"`([^`]+)`", first)
        if span.split()[0] in cli.commands
    ]
    return [call for call in (*prose, *blocks, *evaluated, *rows) if re.match(r"[a-z]", call)]


def test_the_pages_are_found_and_so_is_what_they_name() -> None:
    assert {"README.md", "docs/events.md", "docs/decisions/0001-dependencies.md"} <= set(PAGES)
    assert "docs/guard.md" in links("README.md")
    assert "limits-and-what-is-not-there-yet" in anchors(ROOT / "README.md")
    assert {"status", "db url", "guard history"} <= set(COMMANDS)
    assert named_commands("guard open|close|reset APP… --reason TEXT") == [
        "guard open",
        "guard close",
        "guard reset",
    ]
    assert {"env", "db down", "up [--port P]"} <= set(calls("README.md"))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    for link in links(page):
        file, _, heading = link.partition("#")
        target = (ROOT / page).parent / file if file else ROOT / page
        assert target.exists(), f"{page}: {link} leads nowhere"
        assert target.resolve().is_relative_to(ROOT), f"{page}: {link} leads out of the repository"
        if heading:
            assert heading in anchors(target), f"{page}: {link}: there is no such heading"


@pytest.mark.parametrize("page", [page for page in PAGES if "/decisions/" not in page])
def test_every_path_that_a_page_names_as_code_is_there(page: str) -> None:
    """Decisions are left out: they tell of what was."""
    own = (ROOT / page).parent
    for span in spans(page):
        if PATH.fullmatch(span) and span != TOY:
            assert any(any(place.glob(span)) for place in (*PLACES, own)), f"{page}: there is no {span}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_and_option_that_a_page_names_is_there(page: str) -> None:
    for call in calls(page):
        options = {"--help"}
        for name in named_commands(call):
            # a group alone, such as `guard`, is one too
            assert name in COMMANDS or name in cli.commands, f"{page}: there is no command {call!r}"
            command = COMMANDS.get(name)
            options |= (
                {option for parameter in command.params for option in parameter.opts} if command else set()
            )
        said = set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", call))
        assert said <= options, f"{page}: {call!r} has no {said - options}"


@pytest.mark.parametrize("page", READMES)
def test_a_readme_tells_of_every_command(page: str) -> None:
    told = {call.split()[0] for call in calls(page)}
    assert set(cli.commands) <= told, f"{page} does not name {set(cli.commands) - told}"


@pytest.mark.parametrize("page", PAGES)
def test_every_setting_that_a_page_names_is_one(page: str) -> None:
    known = {str(field.validation_alias) for field in Settings.model_fields.values()}
    # Dagster's own, one of the tests, and the toy app's of docs/apps.md
    others = {"AI_DAGSTER_ARTIFACTS", "AI_TEST_DATABASE_URL", "AI_APP_ID_9_INVITATION"}
    for name in re.findall(r"\bAI_[A-Z0-9_]*[A-Z0-9]\b(?!_?…|_\*)", text_of(page)):
        assert name in known | others, f"{page}: there is no setting {name}"


def test_the_chinese_readme_has_what_the_english_one_has() -> None:
    english, chinese = READMES
    for what in (code, calls, links, settings):
        one, other = set(what(english)), set(what(chinese))
        one, other = (
            {word for word in words if word not in READMES and "#" not in word} for words in (one, other)
        )
        assert one == other, (
            f"{what.__name__}: only in {english}: {one - other}; only in {chinese}: {other - one}"
        )


def settings(page: str) -> list[str]:
    return re.findall(r"\b(?:AI|DASHSCOPE|DAGSTER)_[A-Z0-9_]+", text_of(page))


def test_the_architecture_says_of_every_table_what_it_is() -> None:
    scripts = (ROOT / "ai_assets/store/migrations/sql").glob("*.sql")
    made = {
        name
        for script in scripts
        for name in re.findall(r"^create table (biz\.\w+)", script.read_text("utf-8"), re.M)
    }
    assert "biz.ai_trigger_jobs" in made
    assert made - set(spans("docs/architecture.md")) == set()
