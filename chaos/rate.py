"""Options of faults that count something per second."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

_OF_THE_RATE: Final = "of the offered rate"
Rate = Annotated[float, msgspec.Meta(gt=0, extra={_OF_THE_RATE: True})]
"""A storm may write it as a share of the offered rate, such as ``"80%"``; the injector gets the number. So one storm means
the same on a backend that carries a tenth of another's load."""


def rates(options: type[msgspec.Struct]) -> set[str]:
    """Names of the options that are a :data:`Rate`."""
    described: Any = msgspec.inspect.type_info(options)
    return {
        field.encode_name
        for field in described.fields
        if isinstance(field.type, msgspec.inspect.Metadata) and _OF_THE_RATE in (field.type.extra or {})
    }
