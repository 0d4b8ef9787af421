"""The walk of pages in Chromium leaves out no URL."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, resolve

from tests.e2e.browser.walk import NO_PAGES, OUTSIDE, PAGES


def _names(patterns: list[URLPattern | URLResolver]) -> Iterator[str]:
    """Names of all URLs, less those of the API, which has a walk of its own."""
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace != "api":
                yield from _names(pattern.url_patterns)
        elif str(pattern.pattern).startswith("social/"):
            continue  # allauth's own redirects from addresses that it once had
        else:
            assert pattern.name, f"{pattern} has no name"
            yield pattern.name


def test_every_url_is_a_page_of_the_walk_or_has_a_reason_not_to_be() -> None:
    known = PAGES.keys() | OUTSIDE.keys() | NO_PAGES.keys()
    there = set(_names(get_resolver().url_patterns))
    assert there - known == set(), "add it to tests/e2e/browser/walk.py"
    assert known - there == set(), "there is no such URL any more"


@pytest.mark.parametrize("name", sorted(PAGES | OUTSIDE))
def test_its_path_leads_to_it(name: str) -> None:
    class Ids(dict[str, object]):
        def __missing__(self, key: str) -> object:
            return uuid4()

    assert resolve((PAGES | OUTSIDE)[name].format_map(Ids())).url_name == name
