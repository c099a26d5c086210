"""AWS as a test wants it: answers from a script, and a memory of what was asked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from harness.aws.gateway import Gateway
from harness.core.subject import SUBJECTS, Subject

Parameters = dict[str, Any]
Answer = Mapping[str, Any] | Exception | Callable[[Parameters], Any]


class FakeGateway(Gateway):
    """Knows an answer, or a list with one answer for each call, for each operation that it may be asked for.

    An answer is a response, an error to raise, or a function of the call's parameters that gives one of these (and may
    be a coroutine function). A list that has run out, or an operation that was not foreseen, fails the test.
    """

    def __init__(self, **answers: Answer | Sequence[Answer]) -> None:
        self._answers = {
            operation: iter(answer) if isinstance(answer, list) else answer for operation, answer in answers.items()
        }
        self.calls: list[tuple[str, Parameters]] = []
        self.subjects: list[tuple[Subject, ...]] = []
        """On whose behalf each call was made."""

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """See :meth:`harness.aws.gateway.Gateway.call`."""
        self.calls.append((f"{service}:{operation}", parameters))
        self.subjects.append(SUBJECTS.get())
        answer = self._answers[operation]
        if hasattr(answer, "__next__"):
            answer = next(answer)
        if callable(answer):
            answer = answer(parameters)
            if inspect.isawaitable(answer):
                answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def asked(self, operation: str) -> list[Parameters]:
        """The parameters of every call of an operation, in order."""
        return [parameters for called, parameters in self.calls if called.partition(":")[2] == operation]


def aws_error(code: str, **more: Any) -> ClientError:
    """What botocore raises for a service's own error."""
    return ClientError({"Error": {"Code": code, "Message": f"{code}, says the fake"}, **more}, "Anything")
