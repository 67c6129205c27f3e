"""Types of run config fields that cannot read the environment.

Dagster takes `{"env": NAME}` in place of every `str`, `int` and `bool` of run config and puts that variable's value
there. Whoever may use the launchpad could so send any secret of the process to a log, to metadata or over the wire.
These types are Dagster's plain scalars: they take a value and nothing else. Floats, enums and literals are plain
already. A test walks the run config of every job and finds a field of another type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from dagster import Field
from pydantic_core import core_schema

if TYPE_CHECKING:
    Text = str
    Whole = int
    YesNo = bool
else:
    # names of their own: Dagster refuses two types of one name
    class PlainString(type(Field(str).config_type)):
        """Dagster's String, and a `str` to pydantic."""

        def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
            return core_schema.str_schema()

    class PlainInt(type(Field(int).config_type)):
        """Dagster's Int, and an `int` to pydantic."""

        def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
            return core_schema.int_schema()

    class PlainBool(type(Field(bool).config_type)):
        """Dagster's Bool, and a `bool` to pydantic."""

        def __get_pydantic_core_schema__(self, _source: Any, _handler: Any) -> core_schema.CoreSchema:
            return core_schema.bool_schema()

    # annotated, so that `Text | None` and `list[Text]` can be written
    Text = Annotated[PlainString(), "str"]
    Whole = Annotated[PlainInt(), "int"]
    YesNo = Annotated[PlainBool(), "bool"]
