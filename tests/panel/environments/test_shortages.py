"""What is short is said in words, with what to do."""

import pytest
from django.test import Client
from django.utils import timezone

from panel.environments.models import EnvironmentUsage
from panel.environments.shortages import shortages
from runtime.contract import Limits
from tests.panel.support import factories

_MIB = 2**20
LIMITS = Limits(cpu=1, memory_mb=100, disk_mb=1000, processes=100)


@pytest.mark.parametrize(
    ("use", "told"),
    [
        ({}, []),
        ({"disk_bytes": 890 * _MIB, "memory_bytes": 80 * _MIB, "processes": 80, "cpu": 0.9}, []),
        ({"disk_bytes": 950 * _MIB}, ["disk"]),
        ({"memory_bytes": 95 * _MIB}, ["memory"]),
        ({"processes": 95}, ["processes"]),
        ({"cpu": 0.99}, ["cpu"]),
        ({"disk_bytes": 1000 * _MIB, "cpu": 1.02}, ["disk", "cpu"]),
    ],
)
def test_what_is_told(use: dict[str, float], told: list[str]) -> None:
    found = shortages(LIMITS, EnvironmentUsage(**use))
    assert [one.what for one in found] == told
    assert all(one.sentence and one.next_step for one in found)


def test_nothing_is_told_of_what_is_not_known() -> None:
    assert shortages(LIMITS, None) == []


@pytest.mark.django_db
def test_the_overview_says_it_while_it_runs() -> None:
    factories.node()
    row, browser = factories.environment(factories.tenant()), Client()
    factories.reported(row)
    EnvironmentUsage.objects.update_or_create(
        environment=row, defaults={"at": timezone.now(), "disk_bytes": row.limits["disk_mb"] * _MIB}
    )
    browser.force_login(factories.administrator().user)
    page = browser.get(f"/environments/{row.pk}/").content.decode()
    assert "The disk is nearly full" in page and "give it more disk" in page
    assert "The memory is nearly" not in page
