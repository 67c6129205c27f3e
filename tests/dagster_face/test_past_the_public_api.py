"""Every use of Dagster past its public API is on the list in docs/architecture.md, which an upgrade starts from."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import (
    AssetExecutionContext,
    DagsterInstance,
    Definitions,
    JobDefinition,
    OpExecutionContext,
    SensorEvaluationContext,
)
from dagster._annotations import is_public
from dagster._core.execution.api import create_execution_plan

from ai_assets import event_worker
from ai_assets.settings import CHECKOUT

LIST = (CHECKOUT / "docs" / "architecture.md").read_text("utf-8").partition("## Past Dagster's public API")[2]
PRIVATE_PACKAGES = ("dagster_postgres", "dagster_shared", "dagster_webserver", "dagster_graphql")
SOURCES = sorted((CHECKOUT / "ai_assets").rglob("*.py"))

RECEIVERS = {
    "instance": DagsterInstance,
    "_instance": DagsterInstance,
    "dagster_instance": DagsterInstance,
    "context": (OpExecutionContext, AssetExecutionContext, SensorEvaluationContext),
    "build_definitions": Definitions,
    "defs": Definitions,
    "job": JobDefinition,
    "worker_job": JobDefinition,
}
"""What the code calls Dagster's objects. An attribute counts where a class of these has one of that name."""


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return _name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_documented(kind: type, name: str) -> bool:
    member = inspect.getattr_static(kind, name)
    return is_public(member) or is_public(getattr(member, "fget", None) or member)


def _private(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom | ast.Import):
            modules = (
                [node.module or ""] if isinstance(node, ast.ImportFrom) else [n.name for n in node.names]
            )
            for module in modules:
                if module.startswith("dagster._") or module.partition(".")[0] in PRIVATE_PACKAGES:
                    yield module
        elif isinstance(node, ast.Attribute):
            kinds = RECEIVERS.get(_name(node.value), ())
            having = [
                kind
                for kind in (kinds if isinstance(kinds, tuple) else (kinds,))
                if inspect.getattr_static(kind, node.attr, None) is not None
            ]
            if having and not any(_is_documented(kind, node.attr) for kind in having):
                yield node.attr


def test_what_is_past_the_public_api_is_listed_with_its_file() -> None:
    missing = []
    for path in SOURCES:
        module = str(path.relative_to(CHECKOUT))
        rows = [row for row in LIST.splitlines() if f"`{module}`" in row]
        missing += [
            f"{module}: {use}"
            for use in sorted(set(_private(ast.parse(path.read_text("utf-8")))))
            # an import is named by what it is for; an attribute by its name
            if not rows or ("." not in use and not any(use in row for row in rows))
        ]
    assert missing == []


def test_the_list_names_no_file_that_uses_nothing_of_it() -> None:
    named = {word for word in LIST.split("`") if word.startswith("ai_assets/")}
    assert {path for path in named if not Path(CHECKOUT / path).is_file()} == set()


@pytest.mark.parametrize("name", ["get_runs", "get_step_execution_context"])
def test_where_there_is_a_public_way_it_is_taken(name: str) -> None:
    using = [str(p.relative_to(CHECKOUT)) for p in SOURCES if f".{name}(" in p.read_text("utf-8")]
    assert using == []


def test_the_name_of_the_workers_op_is_the_key_of_its_step() -> None:
    (step_key,) = create_execution_plan(event_worker.event_worker).step_keys_to_execute
    assert step_key == event_worker.work_inbox.name
