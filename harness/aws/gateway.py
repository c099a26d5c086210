"""AWS calls, each counted by operation, with the SDK's retries beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from harness.aws.clients import TRIES, Tries
from harness.core.errors import Indefinite
from harness.measure.metrics import Metrics

UNCOUNTED_LAYER = frozenset({"ReceiveMessage"})
"""Long polls that wait for messages: one that returns empty is not a try at anything."""

TRANSIENT = (Indefinite, ClientError, BotoCoreError)
"""What a call may fail with, after which it may be tried again."""


class Gateway:
    """Calls AWS for one process."""

    def __init__(self, clients: Mapping[str, Any], metrics: Metrics) -> None:
        self._clients = clients
        self._metrics = metrics
        self._methods: dict[tuple[str, str], Any] = {}

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Make one call, for example ``call("sqs", "SendMessage", QueueUrl=…)``.

        Raises ``ClientError`` for the service's own errors, and
        :class:`~harness.core.errors.Indefinite` where no answer came: it may have taken effect.
        """
        method = self._methods.get((service, operation))
        if method is None:
            client = self._clients[service]
            name = next(python for python, api in client.meta.method_to_api_mapping.items() if api == operation)
            method = self._methods[service, operation] = getattr(client, name)
        self._metrics.aws_call(service, operation)
        tries = Tries()
        TRIES.set(tries)
        try:
            return await method(**parameters)
        except ClientError as error:
            code = error.response["Error"].get("Code", "Unknown")
            self._metrics.aws_error(service, operation, code)
            raise
        except HTTPClientError as error:
            self._metrics.aws_error(service, operation, type(error).__name__)
            raise Indefinite(f"{service}:{operation}: no answer ({type(error).__name__})") from error
        except BotoCoreError as error:
            self._metrics.aws_error(service, operation, type(error).__name__)
            raise
        finally:
            # Counted where they are made: how many there are is for the SDK's mode and its quota to decide.
            if tries.made and operation not in UNCOUNTED_LAYER:
                self._metrics.tried("sdk", attempts=tries.made, retries=tries.made - 1)
