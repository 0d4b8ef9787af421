"""Names as long as they may be, of right-to-left letters, of emoji: no page is wider than a phone."""

import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.e2e.browser.eyes import shoot, sideways, width_of
from tests.e2e.browser.walk import PAGES
from tests.e2e.support import Installation

_NAME = "w" * 63
#: Letters that are written from right to left, emoji, and a word without an end.
_TITLE = "مستأجر שוכר 👩👧👦 " + "Donaudampfschifffahrts" * 4
_OF_ALL = """
    environments volumes operations tenants backups volume-backups domains stages builds stacks repositories
    nodes capacity
""".split()


@pytest.fixture(scope="module")
def named(wadah: Installation) -> Iterator[dict[str, str]]:
    """A tenant, an environment and a volume with such names, where the walk looks for the first of each."""
    quota = {"environments": 5, "cpu": 5, "memory_mb": 2000, "disk_mb": 5000}
    slug = uuid.uuid4().hex + "n" * 8
    answer = wadah.call("POST", "/tenants", {"name": _TITLE, "slug": slug, "quota": quota})
    assert answer.status == 201, answer.body
    tenant = answer.body
    made = wadah.create(_NAME, tenant=tenant["slug"], tags=["x" * 32], description=f"{_TITLE} {'d' * 80}")
    seen = wadah.get(made)
    volume = {"name": "v" * 63, "tenant": tenant["slug"], "node": seen["node"], "size_mb": 16}
    found = {"environment": made, "tenant": seen["tenant"], "node": seen["node"]}
    found["volume"] = wadah.call("POST", "/volumes", volume).body["id"]
    found["operation"] = wadah.call("GET", f"/operations?environment={made}").body["items"][0]["id"]
    yield found
    wadah.delete(made)
    wadah.call("DELETE", f"/volumes/{found['volume']}")
    wadah.call("DELETE", f"/tenants/{tenant['slug']}?wait_s=0")


def test_nothing_of_them_is_wider_than_a_phone(page: Page, named: dict[str, str]) -> None:
    about = ("{environment}", "{tenant}", "{volume}", "{operation}")
    shown = [name for name, path in PAGES.items() if any(one in path for one in about)]
    width_of(page, 360)
    wrong = []
    for name in [*shown, *_OF_ALL]:
        answer = page.goto(PAGES[name].format_map(named))
        assert answer is not None
        assert answer.status == 200, name
        page.wait_for_load_state("load")
        wrong += [f"{name}: {one}" for one in sideways(page)]
        shoot(page, f"names-{name}", full=False)
    assert not wrong, "\n".join(wrong)
