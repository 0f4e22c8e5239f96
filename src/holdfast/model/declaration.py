"""What the parts of the InferenceFleet document have in common."""

from __future__ import annotations

from typing import Annotated

import pydantic
from pydantic import Field
from pydantic.alias_generators import to_camel


class Document(pydantic.BaseModel):
    """Base of every part of the document: frozen, camelCase outside, unknown keys refused."""

    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, validate_by_alias=True
    )


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$")]
"""A DNS label that still leaves room for suffixes in a Kubernetes name (63 characters)."""


Zone = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
"""An availability zone, e.g. `us-west-2a`."""
