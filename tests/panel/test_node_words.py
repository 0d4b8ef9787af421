"""A page in another language than a node's has its own words for whatever a node can say."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils.translation import override

from panel.environments.models import Environment
from panel.operations.models import Operation
from panel.operations.node_words import CAUSES, EVENTS, SENTENCES, STEPS, cause, own_words, sentence
from runtime.contract import Step, StepState
from runtime.contract.report import EnvironmentEvent, EventCode
from runtime.install.layout import CHECKOUT
from tests.panel.support import factories

#: What an apply runs through; images, consoles and the command line say theirs elsewhere.
_ROOMS = (
    *("engine.py", "exits.py", "reports.py", "work.py", "errors.py", "console/monitor.py"),
    *("resources/*.py", "kinds/*.py", "kernels/*.py", "host/*.py"),
)
#: Says that a newer intent came, which no page shows, and what only the node's command line is told.
_NEVER_SHOWN = {"superseded", "not_found"}


def _trees() -> Iterator[ast.AST]:
    for room in _ROOMS:
        for path in (CHECKOUT / "runtime").glob(room):
            yield ast.parse(path.read_text())


def _texts(wanted: str) -> set[str]:
    """What the node's code gives as `wanted`: to a call, in a class, or to a state."""
    found = set[str]()
    for node in (node for tree in _trees() for node in ast.walk(tree)):
        pairs: list[tuple[str, ast.expr]] = []
        if isinstance(node, ast.keyword):
            pairs = [(node.arg or "", node.value)]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else []
            names = (getattr(one, "attr", "") for one in node.targets[0].elts)
            pairs = list(zip(names, values, strict=False))
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
            pairs = [(getattr(target, "id", getattr(target, "attr", "")), node.value)]
        found |= {
            str(value.value)
            for name, value in pairs
            if name == wanted and isinstance(value, ast.Constant) and value.value
        }
    return found


def test_every_code_has_a_sentence() -> None:
    said = _texts("code")
    assert {"below_used", "halted_inside", "fault"} <= said
    assert said - _NEVER_SHOWN <= set(CAUSES), sorted(said - _NEVER_SHOWN - set(CAUSES))
    assert set(EventCode) == set(EVENTS)


def test_every_step_and_every_advice_has_words() -> None:
    names = {name for name in _texts("name") if name not in {"system", "shared"}}
    assert {"root volume", "start"} <= names
    assert names <= set(STEPS), sorted(names - set(STEPS))
    advice = {text for text in _texts("next_step") if not text.startswith("apt install")}
    assert "Try again later." in advice
    assert advice <= set(SENTENCES), sorted(advice - set(SENTENCES))


def test_in_english_it_is_what_the_node_said() -> None:
    said = "disk: 64 MiB is below the 90 MiB in use"
    with override("en"):
        assert cause("below_used", said) == said
        assert own_words(said, said) == ""
    with override("id"):
        shown = cause("below_used", said)
        assert shown == "Ukuran baru lebih kecil daripada yang sedang dipakai."
        assert own_words(shown, said) == said
        assert cause("of_tomorrow", said) == said
        assert cause("", "Done, but only after its deadline.") == "Selesai, tetapi setelah tenggatnya."
        assert sentence("") == cause("below_used", "") == ""


@pytest.mark.django_db
def test_pages_tell_it_in_the_readers_language(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant, is_running=False)
    now = datetime.now(UTC)
    step = Step(name="root volume", verb="ensure", state=StepState.FAILED, started_at=now)
    said = "image: busybox is not on this node"
    factories.reported(
        row,
        "failed",
        generation=0,
        steps=(step,),
        code="image_missing",
        message=said,
        next_step="Build it on the images page, or choose another.",
        events=(EnvironmentEvent(code=EventCode.REPAIRED, message="firewall: rules gone", at=now),),
    )
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")

    def page(path: str, language: str) -> str:
        return client.get(path, headers={"Accept-Language": language}).content.decode()

    operation = f"/operations/{Operation.objects.get(environment=row).pk}/"
    shown = page(operation, "id")
    assert "<span>volume root</span>" in shown
    assert "<b>Citra ini tidak ada di node.</b>" in shown
    assert "Bangun di halaman citra, atau pilih yang lain." in shown
    assert f'<span lang="en">{said}</span>' in shown
    for path in ("/environments/", "/operations/", f"/environments/{row.pk}/"):
        assert "Citra ini tidak ada di node." in page(path, "id"), path
    assert "sudah dikembalikan" in page(f"/environments/{row.pk}/activity", "id")
    shown = page(operation, "en")
    assert "<span>root volume</span>" in shown
    assert f"<b>{said}</b>" in shown
    assert "own words" not in shown
    assert Environment.objects.get(pk=row.pk).message == said
