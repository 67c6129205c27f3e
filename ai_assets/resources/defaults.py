"""Settings as the defaults of a resource's config. Not here: any resource."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, TypeVar

from dagster import ConfigurableResource
from pydantic import create_model

Resource = TypeVar("Resource", bound=ConfigurableResource)  # type: ignore[type-arg]  # Dagster's own generic is for IO managers


def with_defaults(resource: type[Resource], values: Mapping[str, Any]) -> Resource:
    """A resource of this class whose config fields default to `values`.

    Dagster replaces a resource's config as a whole: who changes one field in the launchpad gets the class's
    defaults in all others, and a budget set in the environment would silently be none.
    """
    fields: dict[str, Any] = {}
    for name, value in values.items():
        field = copy(resource.model_fields[name])
        field.default = value
        fields[name] = (field.annotation, field)
    return create_model(
        resource.__name__,
        __base__=resource,
        __module__=resource.__module__,
        # Dagster shows it as the resource's description
        __doc__=resource.__doc__,
        **fields,
    )()
