"""The start page: it asks no other host for anything, and its policy lets it do what it does and no more."""

import re
from base64 import b64encode
from hashlib import sha256

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from diptych.serving.routes import start_page
from docs.tools.offline import site_requests


@pytest.fixture(scope="module")
def answer():
    app = FastAPI()
    app.include_router(start_page.router())
    return TestClient(app).get("/")


def test_it_asks_no_other_host_for_anything(answer, tmp_path):
    (tmp_path / "start.html").write_text(answer.text, encoding="utf-8")
    assert list(site_requests(tmp_path)) == []


def test_its_policy_names_its_own_script_and_style_by_their_digests(answer):
    policy = answer.headers["content-security-policy"]
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, flags=re.DOTALL)
        digest = b64encode(sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy


def test_nothing_in_it_is_run_or_styled_from_attributes(answer):
    body = answer.text.split("<body>")[1].split("<script>")[0]
    assert not re.findall(r'\s(?:on\w+|style)="', body)
    assert "innerHTML" not in answer.text


def test_every_control_has_a_label(answer):
    controls = re.findall(r'<(?:input|select) id="(\w+)"', answer.text)
    assert sorted(controls) == ["model", "picture", "token"]
    assert set(controls) <= set(re.findall(r'<label for="(\w+)"', answer.text))
