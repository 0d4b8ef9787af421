"""Rules of limits as people write them: told to the node, or refused with the reason."""

from datetime import UTC, datetime

import pytest

from panel.environments import services
from panel.environments.models import Environment
from panel.environments.selectors import node_events
from panel.environments.specs import spec_of
from panel.errors import Invalid
from runtime.contract import EnvironmentEvent, EventCode, Kernel
from runtime.contract.words import ends
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def row() -> Environment:
    factories.node()
    return factories.environment(factories.tenant())


def test_they_are_told_at_once(row: Environment) -> None:
    owner = factories.member(row.tenant)
    rules = ["memory_mb:sigterm=200", "cpu:log=1.5", "cpu:log=1.5"]
    services.update_environment(owner, row.pk, {"limit_rules": rules})
    row = Environment.objects.select_related("tenant", "node").get(pk=row.pk)
    assert spec_of(row).limit_rules == ("memory_mb:sigterm=200", "cpu:log=1.5")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("memory", "written resource:action=amount"),
        ("openfiles:log=5", "isn't counted; one can say cpu, memory_mb"),
        ("memory_mb:devctl=5", "isn't an action; one can say log"),
        ("memory_mb:deny=5", "deny is what the limit memory_mb does"),
        ("cpu:deny=1", "the limit cpu slows down"),
        ("cpu:throttle=1", "throttle is what the limit cpu does"),
        ("memory_mb:throttle=5", "can't be slowed down"),
        ("processes:sigkill=5", "so none is signalled"),
    ],
)
def test_what_can_not_be_had_says_why(row: Environment, rule: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        services.update_environment(factories.member(row.tenant), row.pk, {"limit_rules": ["cpu:log=1", rule]})
    row.refresh_from_db()
    assert row.wanted.limit_rules == ()


def test_on_another_kernel_a_rule_tells_alone(row: Environment) -> None:
    Environment.objects.filter(pk=row.pk).update(kernel=Kernel.GUARDED)
    owner = factories.member(row.tenant)
    with pytest.raises(Invalid, match="on the host's kernel only"):
        services.update_environment(owner, row.pk, {"limit_rules": ["memory_mb:sigterm=200"]})
    services.update_environment(owner, row.pk, {"limit_rules": ["memory_mb:log=200"]})


def test_what_is_told_stays_on_record(row: Environment) -> None:
    said = ends.over_rule_signalled("memory_mb:sigterm=200", "201.5", "hungry")
    event = EnvironmentEvent(code=EventCode.LIMIT_RULE, message=said, at=datetime.now(UTC))
    factories.reported(row, events=(event,))
    [noted] = [one for one in node_events(row) if one.action == "environment.limit_rule"]
    assert "hungry" in str(noted.after)
