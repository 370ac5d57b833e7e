"""Requests at random, also ones that make no sense: each route refuses them in the form of all refusals.

``make fuzz`` asks thousands more, and shrinks what it finds.
"""

import json
import random
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.serving.conftest import Reply, ServerProcess

REQUESTS = 6  # of each route
NAMES = ["colours", "colours-vae", "notes", "absent", "..", ".", "a/b", "ä b", "%", "\x00", "x" * 300, "data", "-o"]
TEXTS = ["", "0", "-1", "1e400", "NaN", "true", "ü", "\x00\x1f", "../../etc/passwd", "'; --", "x" * 5000, "=", "red"]
JSON_BODIES = ["{", "[]", "null", '{"pictures": [1]}', '{"pictures": ["!"]}', '{"name": null}', '{"number": 1e400}',
               '{"verb": "fit", "options": {"data": "x"}}', "[" * 5000]  # fmt: skip
BODIES = [b"", b"\x89PNG\r\n\x1a\n", b"PK\x03\x04", bytes(700), *(text.encode() for text in JSON_BODIES)]
TYPES = [
    "application/json",
    "image/png",
    "application/zip",
    "application/x-tar",
    "application/octet-stream",
    "text/html",
]
HARMLESS_STATUSES = (503, 507)  # full for a moment


def routes(server: ServerProcess) -> list[tuple[str, str, dict[str, Any]]]:
    paths = server.request("/openapi.json").json["paths"]
    return [(method, path, route) for path, methods in paths.items() for method, route in methods.items()]


def ask(server: ServerProcess, chance: random.Random, method: str, path: str, route: dict[str, Any]) -> Reply:
    """One request with parameters at random; what is there is neither renamed nor deleted."""
    names = NAMES if method in ("get", "post", "put") else NAMES[3:]
    for parameter in route.get("parameters", ()):
        if parameter["in"] == "path":
            text = chance.choice(names if parameter["name"] == "name" else names + TEXTS)
            path = path.replace(f"{{{parameter['name']}}}", quote(text, safe=""))
    queries = [p["name"] for p in route.get("parameters", ()) if p["in"] == "query" and chance.random() < 0.5]
    query = urlencode({name: chance.choice(TEXTS) for name in queries})
    body = chance.choice(BODIES) if "requestBody" in route else None
    return server.request(f"{path}?{query}", body, chance.choice(TYPES), method.upper())


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_asked_for_the_answer_is_no_500(server: ServerProcess, seed: int) -> None:
    chance = random.Random(seed)
    for method, path, route in routes(server):
        for _ in range(REQUESTS):
            reply = ask(server, chance, method, path, route)
            assert reply.status < 500 or reply.status in HARMLESS_STATUSES, (method, path, reply)
            if reply.status >= 400:
                assert set(json.loads(reply.body)["error"]) == {"code", "message"}, (method, path, reply)
    assert server.is_ready()
