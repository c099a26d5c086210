"""A page of HTML as a browser would find it, and text that should not become a part of it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import msgspec

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>&\"'"


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the scripts' text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attributes, text = self.scripts.pop()
            self.scripts.append((attributes, text + data))

    def values(self, name: str) -> list[str]:
        """Of that attribute, wherever there is one."""
        return [str(attributes[name]) for _, attributes in self.elements if name in attributes]

    @property
    def chart_data(self) -> Any:
        """What the charts are drawn from."""
        (text,) = [text for attributes, text in self.scripts if attributes.get("id") == "chart-data"]
        return msgspec.json.decode(text)


def policy_hash(script: str) -> str:
    """How a page's content security policy names a script that may run."""
    return f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'"
