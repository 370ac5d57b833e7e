"""``/docs``: the OpenAPI document as one plain page, which asks nothing of other hosts."""

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter(include_in_schema=False)
STYLE = """
:root { color-scheme: light dark; --accent: #0b6e78; }
@media (prefers-color-scheme: dark) { :root { --accent: #5cc4cf; } }
a { color: var(--accent); }
body { background: Canvas; color: CanvasText; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 0.25rem; overflow-wrap: anywhere; }
pre { overflow-x: auto; padding: 0.75rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
p { margin: 0.5rem 0; white-space: pre-line; }
"""


@router.get("/docs")
async def reference(request: Request) -> HTMLResponse:
    """Every route with its parameters and an example of its body and its answer."""
    document = request.app.openapi()
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    info = document["info"]
    head = f"<title>{escape(info['title'])}: the HTTP interface</title>"
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head>"
        f"<body><main><h1>{escape(info['title'])} {escape(info['version'])}</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a></p>'
        f"{''.join(operations)}</main></body></html>"
    )
    return HTMLResponse(page)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    bodies = operation.get("requestBody", {}).get("content", {})
    done = [answer for status, answer in operation["responses"].items() if status.startswith("2")]
    answers = done[0].get("content", {}) if done else {}
    parameters = [
        f"<li><code>{escape(parameter['name'])}</code> {escape(parameter.get('description', ''))}</li>"
        for parameter in operation.get("parameters", ())
    ]
    return (
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p><strong>{escape(operation.get('summary', ''))}</strong></p>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"{'<ul>' + ''.join(parameters) + '</ul>' if parameters else ''}"
        f"{'<p>Body: ' + escape(', '.join(bodies)) + '</p>' if bodies else ''}{_examples(bodies)}"
        f"{'<p>Answer:</p>' + _examples(answers) if _examples(answers) else ''}"
    )


def _examples(content: dict[str, Any]) -> str:
    """The examples in the media types of a body."""
    examples = (kind.get("example", kind.get("schema", {}).get("example")) for kind in content.values())
    return "".join(
        f'<pre tabindex="0">{escape(json.dumps(example, indent=1, ensure_ascii=False))}</pre>'
        for example in examples
        if example is not None
    )
