"""What goes to browsers of one transaction: all of it at once, and nothing of what was taken back."""

from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from panel import events


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The kinds of each sending."""
    found: list[list[str]] = []

    def note(sending: Any) -> None:
        found.append([message["event"]["kind"] for _, message in sending.messages])

    monkeypatch.setattr(events._Sending, "__call__", note)
    return found


@pytest.mark.django_db(transaction=True)
def test_what_one_transaction_tells_goes_in_one_sending(sent: list[list[str]]) -> None:
    with transaction.atomic():
        events.publish("operation", uuid4(), None)
        events.publish("environment", uuid4(), None)
        assert sent == []
    assert sent == [["operation", "environment", "environment"]]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_told_of_what_was_taken_back(sent: list[list[str]]) -> None:
    with transaction.atomic():
        events.publish("operation", uuid4(), None)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            events.publish("node", uuid4(), None)
            raise ZeroDivisionError
        events.publish("image", uuid4(), None)
    assert sent == [["operation", "image"]]


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_it_goes_at_once(sent: list[list[str]]) -> None:
    events.publish("operation", uuid4(), None)
    events.publish("image", uuid4(), None)
    assert sent == [["operation"], ["image"]]
