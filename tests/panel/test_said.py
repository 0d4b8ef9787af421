"""A page in another language than a node's has its own words for whatever a node can say."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from django.conf import settings
from django.test import Client
from django.utils.translation import override

from panel.environments.models import Environment
from panel.images.models import NodeImage
from panel.images.services import build_image
from panel.operations.models import Operation
from panel.said import shown, step_name
from runtime.contract import JobOutcome, Step, StepState
from runtime.contract.report import EnvironmentEvent, EventCode
from runtime.contract.said import TEMPLATES, Said
from runtime.contract.words import advice, changes, drift, images, refusals, steps
from runtime.install.layout import CHECKOUT
from runtime.kinds import every_resource
from tests.panel.support import factories

_PLACE = re.compile(r"%\(\w+\)s")
_LANGUAGES = [code for code, _ in settings.LANGUAGES if code != "en"]


def _translations(language: str) -> tuple[Path, dict[str, str]]:
    file = CHECKOUT / "panel" / "locale" / language / "LC_MESSAGES" / "django.po"
    with file.open("rb") as catalogue:
        return file, {str(one.id): str(one.string) for one in read_po(catalogue) if one.id and one.string}


@pytest.mark.parametrize("language", _LANGUAGES)
def test_every_code_has_a_template_in_every_language(language: str) -> None:
    file, known = _translations(language)
    lacking = {code: text for code, text in TEMPLATES.items() if text not in known}
    assert not lacking, f"add a msgid and its msgstr to {file.relative_to(CHECKOUT)} for each of: {lacking}"
    odd = {
        code: (text, known[text])
        for code, text in TEMPLATES.items()
        if text in known and set(_PLACE.findall(text)) != set(_PLACE.findall(known[text]))
    }
    assert not odd, f"{file.relative_to(CHECKOUT)} names other values than the English of: {odd}"


def test_every_step_has_a_name() -> None:
    names = {one.name for one in every_resource()}
    assert names, "there are kinds, and they have resources"
    lacking = sorted(names - set(steps.NAMES))
    assert not lacking, f"add to NAMES in runtime/contract/words/steps.py: {lacking}"
    with override("id"):
        assert step_name("root volume") == "volume root"
        assert step_name("of tomorrow") == "of tomorrow"


def test_values_stay_what_they_are_and_words_among_them_are_translated() -> None:
    with override("en"):
        assert shown(refusals.disk_below_used(64, 90)) == "disk: 64 MiB is below the 90 MiB in use"
    with override("id"):
        assert shown(images.doing(images.unpacked(12), 3)) == "membongkar arsip, 12 MiB terbaca (3 detik)"
        assert shown(images.became(images.some_system(), 5)) == "sebuah sistem: 5 entri"
        assert (
            shown(images.odd_owner("./a", "7:70000"))
            == "./a dalam arsip milik 7:70000; id tertinggi adalah 65535"
        )
        assert shown(steps.several((steps.host_name(), steps.ssh_keys(2)))) == "nama host, 2 kunci SSH"
        assert shown(steps.snapshot("changed")) == "snapshot dari changed"
        assert shown(steps.addresses(("10.90.0.2", "fd88::2"))) == "10.90.0.2, fd88::2"
        assert shown(changes.at(steps.named("root volume"), refusals.no_memory())) == (
            "volume root: node kehabisan memori"
        )
        assert shown(refusals.program_failed("tar", 2, "100%s %(x)s")) == "tar berakhir dengan 2: 100%s %(x)s"


def test_what_has_no_words_here_is_shown_as_it_was_said() -> None:
    with override("id"):
        assert shown("the pool is full") == "the pool is full"
        assert shown(Said("seven of them", "of.tomorrow", {"n": 7})) == "seven of them"
        assert shown(Said("5 SSH keys", "steps.ssh_keys", {"number": 5})) == "5 SSH keys", (
            "other values than here"
        )
        assert shown("") == ""


def _page(client: Client, path: str, language: str) -> str:
    return client.get(path, headers={"Accept-Language": language}).content.decode()


_SAID = changes.and_then(refusals.image_missing("busybox"), changes.nothing_is_left())


@pytest.mark.django_db
def test_pages_tell_it_in_the_readers_language(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant, is_running=False)
    now = datetime.now(UTC)
    step = Step(
        name="root volume",
        verb="ensure",
        state=StepState.FAILED,
        started_at=now,
        code="image_missing",
        detail=refusals.image_missing("busybox"),
    )
    keys = steps.several((steps.ssh_keys(1),))
    ids = Step(name="guest files", verb="ensure", state=StepState.DONE, started_at=now, detail=keys)
    factories.reported(
        row,
        "failed",
        generation=0,
        steps=(ids, step),
        code="image_missing",
        message=_SAID,
        next_step=advice.build_the_image(),
        events=(EnvironmentEvent(code=EventCode.REPAIRED, message=drift.rules_gone(), at=now),),
    )
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    operation = f"/operations/{Operation.objects.get(environment=row).pk}/"
    shown_there = _page(client, operation, "id")
    assert "<span>volume root</span>" in shown_there
    assert "<b>citra: busybox tidak ada di node ini. Tidak ada yang tersisa.</b>" in shown_there
    assert '<span class="detail">1 kunci SSH</span>' in shown_there
    assert '<span class="detail">citra: busybox tidak ada di node ini</span>' in shown_there
    assert "Bangun di halaman citra, atau pilih yang lain." in shown_there
    for path in ("/environments/", "/operations/", f"/environments/{row.pk}/"):
        assert "citra: busybox tidak ada di node ini" in _page(client, path, "id"), path
    assert "aturan firewall node hilang" in _page(client, f"/environments/{row.pk}/activity", "id")
    assert f"<b>{_SAID}</b>" in _page(client, operation, "en")
    assert Environment.objects.get(pk=row.pk).message.told() == _SAID.told()


@pytest.mark.django_db
def test_rows_from_before_codes_are_shown_as_they_were_said(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant)
    old = '{"code": is what a tool said'
    step = {
        "name": "start",
        "verb": "ensure",
        "state": "failed",
        "started_at": "",
        "duration_ms": 1,
        "detail": "odd",
    }
    Operation.objects.filter(environment=row).update(
        state="failed", message=old, next_step="Wait.", steps=[step]
    )
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    seen = _page(client, f"/operations/{Operation.objects.get(environment=row).pk}/", "id")
    assert '<b lang="en">{&quot;code&quot;: is what a tool said</b>' in seen
    assert "Wait." in seen
    assert '<span class="detail">odd</span>' in seen


@pytest.mark.django_db
def test_the_api_gives_text(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    row = factories.environment(tenant, is_running=False)
    now = datetime.now(UTC)
    step = Step(name="start", verb="ensure", state=StepState.DONE, started_at=now, detail=steps.made())
    factories.reported(row, "failed", generation=0, code="image_missing", message=_SAID, steps=(step,))
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert client.get(f"/api/v1/environments/{row.pk}").json()["message"] == _SAID
    told = client.get(f"/api/v1/operations/{Operation.objects.get(environment=row).pk}").json()
    assert (told["message"], told["steps"][0]["detail"]) == (_SAID, "made")


@pytest.mark.django_db
def test_the_page_of_images_tells_it_in_the_readers_language(client: Client) -> None:
    node = factories.node()
    client.force_login(factories.administrator().user, "allauth.account.auth_backends.AuthenticationBackend")

    def page(outcome: JobOutcome | None, language: str = "id", **said: Any) -> str:
        build_image(factories.administrator(), name="busybox")
        row = NodeImage.objects.get(node=node, image__name="busybox")
        now = datetime.now(UTC)
        step = Step(name="image tree", verb="do", state=StepState.RUNNING, started_at=now)
        factories.job_reported(row.operation, outcome, steps=(step,), **said)
        return _page(client, "/images/", language)

    doing = images.doing(images.unpacking_base(), 12)
    assert "membongkar sistem dasar (12 detik)" in page(None, message=doing)
    refused = {"code": "archive_refused", "next_step": advice.import_it_again()}
    seen = page(JobOutcome.FAILED, message=images.leads_out("etc/../../x"), **refused)
    assert "etc/../../x dalam arsip mengarah ke luar arsip lewat “..”" in seen
    assert "Impor lagi." in seen
    failed = refusals.program_failed("mmdebstrap", 25, "E: no mirror")
    assert "mmdebstrap berakhir dengan 25: E: no mirror" in page(JobOutcome.FAILED, message=failed)
    assert f"<b>{failed}</b>" in page(JobOutcome.FAILED, "en", code="command_failed", message=failed)
    page(JobOutcome.SUCCEEDED)
    row = NodeImage.objects.get(node=node, image__name="busybox")
    assert (row.code, row.message, row.next_step) == ("", "", "")
