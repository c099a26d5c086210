"""Locust with its web UI, and what a browser would ask of that."""

from __future__ import annotations

import json
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.load.bench import LIMIT_S, Bench, Generator, free_port


def start(url: str) -> dict[str, Any]:
    """What the start form of the web UI is told when it asks for a test."""
    answer: dict[str, Any] = json.loads(get(f"{url}/swarm", b"topology=orchestrated&seed=9"))
    return answer


def state(url: str) -> str:
    """Of the test, as the web UI shows it."""
    return str(json.loads(get(f"{url}/stats/requests"))["state"])


def web_ui(bench: Bench, scenario: Path, *arguments: str, **environment: str) -> tuple[Generator, str]:
    """Locust with its web UI, and where that is."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    generator = bench.generator(
        None,
        *("--web-port", str(port), *arguments),
        scenario=scenario,
        FAKE_UP_FOLDER=str(bench.folder),
        FAKE_UP_CODE="0",
        **environment,
    )

    def serves() -> bool:
        with suppress(OSError):
            return bool(get(url))
        return False

    bench.wait_for(serves, "the web UI")
    return generator, url


def workers(url: str) -> list[Any]:
    """Of a master, as the web UI shows them; none where Locust is one process."""
    known: list[Any] = json.loads(get(f"{url}/stats/requests")).get("workers", [])
    return known


def get(url: str | urllib.request.Request, form: bytes | None = None) -> str:
    """The body of a page."""
    with urllib.request.urlopen(url, data=form, timeout=LIMIT_S) as answer:
        text: str = answer.read().decode()
        return text
