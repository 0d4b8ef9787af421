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
from runtime.images.oci import errand
from runtime.images.oci.registry import Registry
from runtime.images.patience import Patience
from runtime.node import Node, default_settings

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
            errand.fetch(
                Node(tmp_path, default_settings(tmp_path)), spec, Patience(over.is_set, told.append, 600)
            )
        except (RuntimeFault, Superseded) as ended:
            return type(ended).__name__
        return ""

    monkeypatch.setattr(errand, "lacking_programs", lambda: ())
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
