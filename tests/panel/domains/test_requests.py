"""The log of requests is read by who waits for it: from its end, and no more of it than is looked at soon."""

import json
from pathlib import Path

import pytest
from django.utils import timezone

from panel.domains import requests
from panel.domains.models import Domain

NAME = "shop.example.org"


def line(name: str, uri: str, at: float) -> str:
    asked = {"remote_ip": "203.0.113.7", "proto": "HTTP/2.0", "method": "GET", "host": name, "uri": uri}
    seen = {"ts": at, "request": asked, "status": 200, "size": 5, "duration": 0.001}
    return json.dumps(seen, separators=(",", ":"))


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "access.log"
    monkeypatch.setattr(requests, "_files", lambda: [file])
    return file


@pytest.fixture
def domain() -> Domain:
    return Domain(name=NAME, created_at=timezone.now().replace(year=2020))


def test_the_newest_come_first_and_nobody_elses(log: Path, domain: Domain) -> None:
    now = timezone.now().timestamp()
    log.write_text("".join(f"{line(name, f'/{n}', now)}\n" for n in range(3) for name in (NAME, "other.org")))
    assert [one["path"] for one in requests.requests_of(domain)] == ["/2", "/1", "/0"]


def test_what_lies_far_back_is_not_looked_for(
    log: Path, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now().timestamp()
    log.write_text("".join(f"{line(NAME, f'/{n}', now)}\n" for n in range(1000)))
    monkeypatch.setattr(requests, "_MOST_READ", 20_000)
    found = [one["path"] for one in requests.requests_of(domain, limit=1000)]
    assert found[0] == "/999" and 20 < len(found) < 200


def test_words_that_nothing_has_cost_no_more_than_some_lines(
    log: Path, domain: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now().timestamp()
    log.write_text("".join(f"{line(NAME, f'/{n}', now)}\n" for n in range(1000)))
    looked: list[bytes] = []
    shown = requests._shown
    monkeypatch.setattr(requests, "_MOST_LINES", 100)
    monkeypatch.setattr(requests, "_shown", lambda one: looked.append(one) or shown(one))
    assert requests.requests_of(domain, text="nowhere") == []
    assert len(looked) == 100
