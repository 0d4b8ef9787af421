"""A page in another language than a node's has its own words for whatever a node can say."""

import ast
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils.translation import override

from panel.environments.models import Environment
from panel.images.models import NodeImage
from panel.images.services import observe_image
from panel.operations.models import Operation
from panel.operations.node_words import CAUSES, EVENTS, SENTENCES, STEPS, cause, detail, own_words, sentence
from runtime.contract import ImageReport, ImageState, Step, StepState
from runtime.contract.report import EnvironmentEvent, EventCode
from runtime.images import debian
from runtime.install.layout import CHECKOUT
from tests.panel.support import factories

#: What an apply and a build run through; consoles and the command line say theirs elsewhere.
_ROOMS = (
    *("engine.py", "exits.py", "reports.py", "work.py", "errors.py", "console/monitor.py"),
    *("resources/*.py", "kinds/*.py", "kernels/*.py", "host/*.py", "images/*.py"),
)
#: Says that a newer intent came, which no page shows, and what only the node's command line is told.
_NEVER_SHOWN = {"superseded", "not_found"}


def _trees(*rooms: str) -> Iterator[ast.Module]:
    for room in rooms or _ROOMS:
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


def _said(given: ast.AST | None, where: ast.AST, tree: ast.Module) -> Iterator[str]:
    """The sentences that an expression may stand for, with 7 in the place of each value: followed through
    variables of its function, lists that are joined, constants of its module, and functions that it calls.
    """
    inner = [node for node in ast.walk(where) if isinstance(node, ast.Assign | ast.AugAssign | ast.Call)]
    match given:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(str(one.value) if isinstance(one, ast.Constant) else "7" for one in parts)
        case ast.BinOp(left=left, right=right):
            yield "".join(next(_said(one, where, tree), "7") for one in (left, right))
        case ast.IfExp(body=one, orelse=other):
            yield from _said(one, where, tree)
            yield from _said(other, where, tree)
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant()), args=[ast.Name() as name]):
            yield from _said(name, where, tree)
        case ast.Call(func=ast.Attribute(attr=called) | ast.Name(id=called)):
            yield from _returned({called}, tree)
        case ast.Name(id=name):
            for one in [*inner, *tree.body]:
                match one:
                    case ast.Assign(targets=[ast.Name(id=known)], value=value) if known == name:
                        yield from _said(value, where, tree)
                    case ast.AugAssign(target=ast.Name(id=known), value=value) if known == name:
                        yield from _said(value, where, tree)
                    case ast.Call(func=ast.Attribute(value=ast.Name(id=known), attr="append"), args=[value]):
                        if known == name:
                            yield from _said(value, where, tree)


def _returned(names: set[str], tree: ast.Module) -> Iterator[str]:
    """What the functions of these names in a module give back."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name in names:
            for node in ast.walk(function):
                if isinstance(node, ast.Return):
                    yield from _said(node.value, function, tree)


def _handed(names: set[str], place: int, *rooms: str) -> Iterator[str]:
    """What the functions of these names are given as their argument number `place`."""
    for tree in _trees(*rooms):
        for function in (one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)):
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Name(id=called) | ast.Attribute(attr=called), args=arguments):
                        if called in names and len(arguments) > place:
                            yield from _said(arguments[place], function, tree)


#: The same in both languages.
_NAMES = {"NAT", "7-7", "cgroup v7"}


def _without_words(said: set[str]) -> list[str]:
    with override("id"):
        return sorted(one for one in said - _NAMES if one and sentence(one) == one)


def test_whatever_a_step_did_has_words() -> None:
    said = {
        part
        for tree in _trees("resources/*.py")
        for text in _returned({"ensure", "remove", "freeze", "stop"}, tree)
        for part in text.split(", ")
    }
    assert {"made", "7 user ids", "snapshot of 7", "guard", "forced", "7 SSH keys", "7 subvolumes"} <= said
    assert _without_words(said) == []


def test_whatever_is_said_of_an_image_has_words() -> None:
    doing = set(_handed({"progress"}, 1, "images/*.py")) | {words for _, _, words in debian._WORDS}
    assert {"starting", "unpacking, 7 MiB read", "downloading packages"} <= doing
    faults = set(_handed({"RuntimeFault", "Refused", "_refused"}, 0, "images/*.py")) - {
        "the node's kernel refused: 7"
    }
    assert {"the archive is empty", "7 in the archive leads out of it by “..”"} <= faults
    became = {text for tree in _trees("images/*.py") for text in _returned({"build", "pretty_name"}, tree)}
    assert {"a system", "7: 7 entries"} <= became
    assert _without_words({f"{one} (7 s)" for one in doing} | doing | faults | became) == []


def test_every_code_has_a_sentence() -> None:
    said = _texts("code")
    assert {"below_used", "halted_inside", "fault"} <= said
    assert said - _NEVER_SHOWN <= set(CAUSES), sorted(said - _NEVER_SHOWN - set(CAUSES))
    assert set(EventCode) == set(EVENTS)


def test_every_step_and_every_advice_has_words() -> None:
    names = {name for name in _texts("name") if name not in {"system", "shared"}}
    names |= set(_handed({"run"}, 0, "engine.py"))
    assert {"root volume", "start", "pause", "shutdown"} <= names
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


def test_values_stay_what_they_are() -> None:
    with override("en"):
        assert sentence("unpacking, 12 MiB read (3 s)") == "unpacking, 12 MiB read (3 s)"
        assert detail("", "host name, 2 SSH keys") == "host name, 2 SSH keys"
    with override("id"):
        assert sentence("unpacking, 12 MiB read (3 s)") == "membongkar arsip, 12 MiB terbaca (3 detik)"
        assert sentence("a system: 5 entries") == "sebuah sistem: 5 entri"
        assert sentence("./a in the archive belongs to 7:70000; 65535 is the highest id") == (
            "./a dalam arsip milik 7:70000; id tertinggi adalah 65535"
        )
        assert detail("", "host name, 2 SSH keys") == "nama host, 2 kunci SSH"
        assert detail("", "10.90.0.2, fd88::2") == "10.90.0.2, fd88::2"
        assert detail("", "snapshot of changed") == "snapshot dari changed"
        assert detail("image_missing", "image: x is not here") == "Citra ini tidak ada di node."


@pytest.mark.django_db
def test_pages_tell_it_in_the_readers_language(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant, is_running=False)
    now = datetime.now(UTC)
    said = "image: busybox is not on this node"
    step = Step(
        name="root volume",
        verb="ensure",
        state=StepState.FAILED,
        started_at=now,
        code="image_missing",
        detail=said,
    )
    ids = Step(name="guest files", verb="ensure", state=StepState.DONE, started_at=now, detail="1 SSH keys")
    factories.reported(
        row,
        "failed",
        generation=0,
        steps=(ids, step),
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
    assert '<span class="detail">1 kunci SSH</span>' in shown
    assert '<span class="detail">Citra ini tidak ada di node.</span>' in shown
    assert "Bangun di halaman citra, atau pilih yang lain." in shown
    assert f'<span lang="en">{said}</span>' in shown
    for path in ("/environments/", "/operations/", f"/environments/{row.pk}/"):
        assert "Citra ini tidak ada di node." in page(path, "id"), path
    assert "sudah dikembalikan" in page(f"/environments/{row.pk}/activity", "id")
    shown = page(operation, "en")
    assert "<span>root volume</span>" in shown
    assert f'<span class="detail">{said}</span>' in shown
    assert f"<b>{said}</b>" in shown
    assert "own words" not in shown
    assert Environment.objects.get(pk=row.pk).message == said


@pytest.mark.django_db
def test_the_page_of_images_tells_it_in_the_readers_language(client: Client) -> None:
    node = factories.node()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")

    def page(state: ImageState, language: str = "id", **said: str) -> str:
        observe_image(ImageReport(node=node.name, name="busybox", state=state, at=datetime.now(UTC), **said))
        return client.get("/images/", headers={"Accept-Language": language}).content.decode()

    assert "membongkar sistem dasar (12 detik)" in page(
        ImageState.BUILDING, message="unpacking the base system (12 s)"
    )
    refused = {
        "code": "archive_refused",
        "message": "etc/../../x in the archive leads out of it by “..”",
        "next_step": "Import it again.",
    }
    shown = page(ImageState.FAILED, **refused)
    assert "etc/../../x dalam arsip mengarah ke luar arsip lewat “..”" in shown
    assert "Impor lagi." in shown
    assert "Kata node sendiri" not in shown, "it says all that the node said"
    said = "mmdebstrap ended with 25: E: no mirror"
    shown = page(ImageState.FAILED, code="command_failed", message=said)
    assert "Sebuah program di node gagal." in shown
    assert f'<span lang="en">{said}</span>' in shown
    assert f"<b>{said}</b>" in page(ImageState.FAILED, "en", code="command_failed", message=said)
    page(ImageState.READY)
    row = NodeImage.objects.get(node=node, image__name="busybox")
    assert (row.code, row.message, row.next_step) == ("", "", "")
