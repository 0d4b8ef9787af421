"""Images that are fetched at once: each takes memory that is nobody's, so a tenant has few, and leaves some."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from runtime.contract import AppOptions, EnvironmentSpec
from runtime.contract.said import Said
from runtime.errors import RuntimeFault, Superseded
from runtime.images.oci import fetching
from runtime.images.oci.registry import Registry
from runtime.images.waiter import Waiter
from runtime.node import Node, default_settings
from runtime.places import Places

OURS, OTHERS = UUID(int=1), UUID(int=2)
MOST = 3


def test_a_tenant_has_few_at_once_and_what_waits_can_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry that sends a byte now and then, asked for hundreds of apps: a container for each."""
    asked, shut, over = Counter[str](), threading.Event(), threading.Event()
    begun = {"ours": threading.Semaphore(0), "others": threading.Semaphore(0)}
    told: list[Said] = []

    def resolve(registry: Any, *_: object) -> None:
        whose = str(registry.reference.repository)
        asked[whose] += 1
        begun[whose].release()
        shut.wait(60)
        raise RuntimeFault(Said("ended"), code="ended")

    def fetch(tenant: UUID, whose: str) -> str:
        app = AppOptions(image=f"registry.example.com/{whose}:1")
        spec = cast("EnvironmentSpec", SimpleNamespace(app=app, tenant_id=tenant))
        try:
            fetching.fetch(
                Node(tmp_path, default_settings(tmp_path)), spec, Waiter(over.is_set, told.append, 600)
            )
        except (RuntimeFault, Superseded) as ended:
            return type(ended).__name__
        return ""

    monkeypatch.setattr(fetching, "lacking_programs", lambda: ())
    monkeypatch.setattr(Registry, "resolve", resolve)
    with ThreadPoolExecutor(20) as pool:
        try:
            ours = [pool.submit(fetch, OURS, "ours") for _ in range(10)]
            for _ in range(MOST):
                assert begun["ours"].acquire(timeout=30)
            theirs = pool.submit(fetch, OTHERS, "others")
            assert begun["others"].acquire(timeout=30), "another tenant's waits behind it"
            over.set()
            given_up = islice(as_completed(ours, 30), 10 - MOST)
            assert {one.result() for one in given_up} == {"Superseded"}
        finally:
            shut.set()
    assert asked == {"ours": MOST, "others": 1}
    assert theirs.result() == "RuntimeFault"
    assert any("turn" in str(one) for one in told)


def test_registries_without_end_give_way_to_who_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four tenants have all twelve places, for as long as their deadlines would be."""
    now, begun = [0.0], threading.Semaphore(0)
    places = Places(places=12, of_tenant=3, spared_s=300, clock=lambda: now[0])
    asked: list[str] = []

    def resolve(registry: Any, watch: Any) -> None:
        asked.append(str(registry.reference.repository))
        begun.release()
        if asked[-1] == "honest":
            raise RuntimeFault(Said("fetched"), code="fetched")
        while True:
            watch(0)
            threading.Event().wait(0.01)

    def fetch(tenant: int, whose: str) -> str:
        app = AppOptions(image=f"registry.example.com/{whose}:1")
        spec = cast("EnvironmentSpec", SimpleNamespace(app=app, tenant_id=UUID(int=tenant)))
        try:
            fetching.fetch(Node(tmp_path, default_settings(tmp_path)), spec, Waiter(over.is_set, within_s=600))
        except RuntimeFault as ended:
            return ended.code
        return ""

    over = threading.Event()
    monkeypatch.setattr(fetching, "FETCHES", places)
    monkeypatch.setattr(fetching, "_TURN_S", 0.02)
    monkeypatch.setattr(fetching, "lacking_programs", lambda: ())
    monkeypatch.setattr(Registry, "resolve", resolve)
    with ThreadPoolExecutor(20) as pool:
        try:
            endless = [pool.submit(fetch, 100 + number, "endless") for number in range(12)]
            for _ in endless:
                assert begun.acquire(timeout=30)
            now[0] = 400.0
            assert pool.submit(fetch, 1, "honest").result(30) == "fetched"
        finally:
            over.set()
    ended = sorted(one.result() for one in endless)
    assert ended == ["registry_slow", *["superseded"] * 11]
