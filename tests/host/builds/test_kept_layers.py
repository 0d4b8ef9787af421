"""Layers that are kept between builds: bounded for a tenant, those of what was built longest ago go first."""

from collections.abc import Callable
from uuid import UUID, uuid4

from runtime.builds.places import BuildPlaces, trim
from runtime.contract import JobOutcome, JobReport
from runtime.host import btrfs
from runtime.jobs.kinds import KINDS
from runtime.jobs.runner import Jobs
from runtime.node import Node
from tests.host.builds.conftest import spec_of
from tests.support.registry import Hub

#: Whose builds the tests' are.
TENANT = UUID(int=7)


def _built(node: Node, hub: Hub, source: UUID, word: str) -> JobReport:
    text = f"FROM {hub.host}/lib/base:1\nRUN echo {word} > /told\n"
    report = Jobs(node, KINDS).do(spec_of(node, hub, source=source, dockerfile_text=text))
    assert isinstance(report, JobReport)
    assert report.outcome is JobOutcome.SUCCEEDED, report.message.told()
    return report


def test_the_oldest_go_first(node: Node, hub: Hub, build: Callable[..., JobReport]) -> None:
    first, second = uuid4(), uuid4()
    places = [BuildPlaces(node, one) for one in (first, second)]
    try:
        build(dockerfile_text=f"FROM {hub.host}/lib/base:1\n")  # the node has its key then
        _built(node, hub, first, "first")
        _built(node, hub, second, "second")
        btrfs.sync(node.store)
        kept = [one.kept_bytes(TENANT) for one in places]
        assert all(kept)
        assert not places[0].kept_bytes(UUID(int=8)), "another tenant's are none of its business"
        assert trim(node, UUID(int=8), most_bytes=0) == 0
        assert trim(node, TENANT, most_bytes=kept[1]) >= 1
        assert not places[0].cache.exists()
        assert places[1].cache.exists()
        again = _built(node, hub, second, "second")
        assert "Using cache" in places[1].log(again.id).read_text(errors="replace")
        _built(node, hub, first, "first")
    finally:
        for one in places:
            one.drop()
