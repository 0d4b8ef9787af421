"""What a node tells of itself: its heartbeat, and now and then all that it found amiss."""

from datetime import UTC, datetime

from runtime.contract import Lacking, Leak, NodeReport, Survey
from runtime.engine import Engine
from runtime.facts import collect
from runtime.known import known_environments
from runtime.node import Node

#: Of each kind in one survey; the count in the heartbeat is that of all.
MOST_TOLD = 1000


def survey(node: Node, engine: Engine | None = None) -> Survey:
    """Reads every resource's inventory. May take ten seconds while something is on its way out. `engine`: one
    that looked before, and knows what it understood then."""
    engine = engine or Engine(node)
    at = datetime.now(UTC)
    leaks = [
        Leak(resource=one.resource, what=one.what[:2000], environment_id=one.environment_id)
        for one in engine.leaks()
    ]
    lacking = [Lacking(environment_id=key, why=why) for key, why in engine.missing().items()]
    return Survey(
        at=at,
        leaks=tuple(leaks[:MOST_TOLD]),
        lacking=tuple(lacking[:MOST_TOLD]),
        known=tuple(known_environments(node)),
    )


def node_report(node: Node, leaks: int, found: Survey | None = None) -> NodeReport:
    return NodeReport(
        at=datetime.now(UTC),
        facts=collect(node),
        leaks=leaks if found is None else len(found.leaks),
        environments=len(known_environments(node)),
        survey=found,
    )
