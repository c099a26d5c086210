"""A queue of messages in memory, as the consumer of one participant sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

from tests.fake_gateway import FakeGateway, Parameters


def message(body: str, receives: int = 1, **more: Any) -> dict[str, Any]:
    """As ReceiveMessage gives it; its receipt says which one it is."""
    return {
        "MessageId": f"id-{body}",
        "ReceiptHandle": f"receipt-{body}",
        "Body": body,
        "Attributes": {"ApproximateReceiveCount": str(receives)},
    } | more


class FakeQueue:
    """Hands out messages once, and remembers what was done with them.

    The first polls meet ``poll_errors``, every acknowledgement meets ``delete_error``.
    """

    def __init__(
        self, *messages: dict[str, Any], poll_errors: Iterable[Exception] = (), delete_error: Exception | None = None
    ) -> None:
        self.visible = deque(messages)
        self._poll_errors = deque(poll_errors)
        self.polled = asyncio.Event()
        """Set by every poll."""
        self.gateway = FakeGateway(
            ReceiveMessage=self._receive,
            DeleteMessageBatch=delete_error or {},
            ChangeMessageVisibility={},
            SendMessage={},
        )

    async def _receive(self, parameters: Parameters) -> dict[str, Any] | Exception:
        self.polled.set()
        await asyncio.sleep(0)
        if self._poll_errors:
            return self._poll_errors.popleft()
        batch = [self.visible.popleft() for _ in range(min(len(self.visible), parameters["MaxNumberOfMessages"]))]
        return {"Messages": batch} if batch else {}

    def deleted(self) -> list[str]:
        """The receipts of the messages that were acknowledged."""
        return [
            entry["ReceiptHandle"] for call in self.gateway.asked("DeleteMessageBatch") for entry in call["Entries"]
        ]
