"""A message that nobody can handle appears in a queue, made from one that somebody can, which goes on unharmed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Literal

import msgspec

from chaos.injector import Port, Strike

TOO_LARGE_CHARACTERS = 250_000
"""Just below 256 KiB, which was SQS's limit until August 2025 (1 MiB since) and still is that of emulators."""
UNKNOWN_VERSION = 999


class Poison:
    """Stands around the handling of a message. By arrival: each is made from one saga's message."""

    port: ClassVar = Port.PROCESS
    by_arrival: ClassVar = True
    passes: ClassVar = True

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """``form``: what is wrong with it."""

        form: Literal["unreadable", "wrong-type", "too-large", "unknown-version"]

    def __init__(self, options: Options, workers: int) -> None:
        del workers  # each process poisons the queues that it reads
        self._form = options.form

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> Any:
        """Put it in the queue; nothing happens to the message that it was made from."""
        assert strike.received is not None
        await strike.received.put(_spoiled(strike.received.body, self._form), 0)
        return await proceed()


def _spoiled(body: str, form: str) -> str:
    match form:
        case "unreadable":
            return body[: len(body) // 2]
        case "too-large":
            return body.ljust(TOO_LARGE_CHARACTERS)  # white space, which JSON allows: nothing else is wrong with it
        case "wrong-type":
            return json.dumps(_with_envelopes(json.loads(body), {"arrival": "the seventh"}))
        case _:
            return json.dumps(_with_envelopes(json.loads(body), {"v": UNKNOWN_VERSION}))


def _with_envelopes(value: Any, changes: Mapping[str, object]) -> Any:
    """The same, with changes to the envelope: where in a message it is, the topology knows and nobody else."""
    if not isinstance(value, dict):
        return value
    return {key: part | changes if key == "envelope" else _with_envelopes(part, changes) for key, part in value.items()}


FAULT = Poison
