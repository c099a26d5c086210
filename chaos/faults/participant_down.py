"""A participant is gone for a while: whatever it is asked to do fails at once, as where nobody listens at its address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, NoReturn

import msgspec

from chaos.injector import Port, Strike
from harness.core.errors import Indefinite


class ParticipantDown:
    """Stands around the participant's work. By the clock: what is struck is a service, and it is gone for everybody."""

    port: ClassVar = Port.WORK
    by_arrival: ClassVar = False

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """There are none: who is gone is the storm's target."""

    def __init__(self, options: Options, workers: int) -> None:
        del options, workers

    async def strike(self, strike: Strike, proceed: Callable[[], Awaitable[Any]]) -> NoReturn:
        """Nothing is done, and the message comes again."""
        del proceed
        assert strike.delivery is not None
        raise Indefinite(f"injected: {strike.delivery.participant} cannot be reached")


FAULT = ParticipantDown
