"""HTTP to the ingress over connections that are kept, for one greenlet per request.

Not ``FastHttpSession`` and not ``geventhttpclient.HTTPClient``: they build each request from header dictionaries,
which here was a fifth to a third of the generator's CPU time, check idle connections with ``select()``, which fails
above 1,024 descriptors, and repeat a GET whose connection broke as often as the pool has places, at once. The response
parser is geventhttpclient's.
"""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from gevent import socket
from geventhttpclient.response import HTTPParseError, HTTPSocketResponse


class Answer(NamedTuple):
    """What the ingress said."""

    status: int
    body: bytes
    location: str | None
    retry_after_s: float | None


class NoAnswer(Exception):
    """The request was or was not received and was or was not carried out: its connection broke, or time ran out."""


class Ingress:
    """Keeps connections to the ingress. As many are opened as there are requests under way at once, and then kept."""

    def __init__(self, url: str, timeout_s: float) -> None:
        """``timeout_s`` limits the wait for each part of an answer, so it must be longer than any poll."""
        parts = urlsplit(url)
        port = parts.port or 80
        host = parts.hostname or ""
        self.host_header = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.path = parts.path.rstrip("/")
        # Resolved once: gevent resolves names in a thread pool, which a burst of new connections would queue up for.
        self._family, _kind, _protocol, _name, self._address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[
            0
        ]
        self._timeout_s = timeout_s
        self._idle: list[socket.socket] = []

    def exchange(self, method: str, request: bytes) -> Answer:
        """Send one whole request, wait for the whole answer. Raises :class:`NoAnswer`."""
        try:
            connection = self._connection()
        except OSError as error:
            raise NoAnswer(f"no connection: {error}") from error
        kept = False
        try:
            connection.sendall(request)
            response = HTTPSocketResponse(connection, method=method)
            body = response.read()
            kept = not response.should_close()
            return Answer(
                response.status_code,
                body,
                _text(response.get("location")),
                _seconds(response.get("retry-after")),
            )
        except (OSError, HTTPParseError) as error:
            raise NoAnswer(f"no answer: {error or type(error).__name__}") from error
        finally:
            if kept:
                self._idle.append(connection)
            else:
                connection.close()

    def close(self) -> None:
        """Close the connections that are not in use."""
        while self._idle:
            self._idle.pop().close()

    def _connection(self) -> socket.socket:
        while self._idle:
            connection = self._idle.pop()
            if _is_open(connection):
                connection.settimeout(self._timeout_s)
                return connection
            connection.close()
        connection = socket.socket(self._family, socket.SOCK_STREAM)
        try:
            connection.settimeout(self._timeout_s)
            connection.connect(self._address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            connection.close()
            raise
        return connection


def _is_open(connection: socket.socket) -> bool:
    """Whether an idle connection can be used: the other end neither closed it nor sent something unasked."""
    connection.settimeout(0.0)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _text(value: str | list[str] | None) -> str | None:
    return value[0] if isinstance(value, list) else value


def _seconds(value: str | list[str] | None) -> float | None:
    """Retry-After in seconds; its other form, a date, is not worth a clock that agrees with the server's."""
    text = _text(value)
    return float(text) if text is not None and text.isdigit() else None
