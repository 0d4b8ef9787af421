"""Every sentence of pages and refusals has an Indonesian one, once, with the same values in it."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.extract import extract_python
from babel.messages.pofile import read_po
from django.test import Client
from django.utils.translation import ngettext, override
from django.utils.translation.template import templatize

from panel.contract_input import parse_limits
from panel.errors import Invalid
from panel.quotas.models import Resource
from panel.ui.templatetags.wadah import bytes_text, number, took
from runtime.contract.said import TEMPLATES
from runtime.install.layout import CHECKOUT
from tests.panel.support import factories

_PO = CHECKOUT / "panel" / "locale" / "id" / "LC_MESSAGES" / "django.po"
_VALUE = re.compile(r"%\(\w+\)[sd]")
#: Words by which code marks a sentence.
_KEYWORDS = ["_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext"]


def _sentences(text: str) -> Iterator[str]:
    found = extract_python(BytesIO(text.encode()), _KEYWORDS, [], {"encoding": "utf-8"})
    for _line, word, message, _comments in found:
        one = message[1 if word == "pgettext" else 0] if isinstance(message, tuple) else message
        if one:
            yield one


def _marked(template: Path) -> str:
    """The sentences of a template as code that marks them; indentation would mean something there."""
    return "\n".join(line.lstrip() for line in templatize(template.read_text()).splitlines())


def _used() -> set[str]:
    code = [p for p in (CHECKOUT / "panel").rglob("*.py") if "migrations" not in p.parts]
    templates = [p for p in (CHECKOUT / "templates").rglob("*.*") if p.suffix in {".html", ".txt", ".json"}]
    return set(TEMPLATES.values()) | {
        sentence
        for paths, read in ((code, Path.read_text), (templates, _marked))
        for path in paths
        for sentence in _sentences(read(path))
    }


def test_every_sentence_is_translated() -> None:
    known = {m.id if isinstance(m.id, str) else m.id[0] for m in read_po(_PO.open("rb")) if m.id and m.string}
    missing = sorted(_used() - known)
    assert not missing, f"{len(missing)} sentences lack an Indonesian one in {_PO.name}: {missing[:10]}"


def test_each_is_there_once_and_names_the_same_values() -> None:
    text = _PO.read_text()
    ids = re.findall(r"^(?:msgctxt \"(.*)\"\n)?msgid ((?:\".*\"\n)+)", text, re.MULTILINE)
    assert len(ids) == len(set(ids)), sorted({i for i in ids if ids.count(i) > 1})[:5]
    for one in read_po(_PO.open("rb")):
        if isinstance(one.id, str) and isinstance(one.string, str) and one.id:
            assert set(_VALUE.findall(one.id)) == set(_VALUE.findall(one.string)), one.id


def test_a_refusal_is_in_the_readers_language() -> None:
    with override("id"):
        assert str(Resource.MEMORY_MB.label) == "memori (MiB)"
        with pytest.raises(Invalid) as refused:
            parse_limits({**factories.LIMITS, "disk_mb": 1})
    assert refused.value.message == "disk_mb: sedikitnya 16."


@pytest.mark.django_db
def test_a_page_says_no_in_the_readers_language(client: Client) -> None:
    factories.node()
    tenant = factories.tenant(quota={"memory_mb": 100})
    row = factories.environment(tenant)
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    url = f"/environments/{row.pk}/settings/resize"
    answer = client.post(url, {"memory_mb": "4096"}, headers={"Accept-Language": "id"})
    assert answer.status_code == 409
    assert "memori (MiB) tidak cukup: diminta 4032" in answer.content.decode()


@pytest.mark.django_db
def test_states_and_kinds_are_words_of_the_readers_language(client: Client) -> None:
    factories.node()
    tenant = factories.tenant()
    factories.environment(tenant)
    client.force_login(factories.member(tenant).user, "allauth.account.auth_backends.AuthenticationBackend")
    assert (
        ">Berjalan</option>" in client.get("/environments/", headers={"Accept-Language": "id"}).content.decode()
    )
    assert "Membuat" in client.get("/operations/", headers={"Accept-Language": "id"}).content.decode()


@pytest.mark.parametrize(("n", "said"), [(0, "0 menit"), (1, "1 menit"), (27, "27 menit")])
def test_every_number_of_a_thing_is_in_the_readers_language(n: int, said: str) -> None:
    """Without a rule for plurals the catalogue had English's, and no word for more than one."""
    with override("id"):
        assert ngettext("%(n)d minute", "%(n)d minutes", n) % {"n": n} == said


def test_numbers_have_the_decimal_sign_of_the_language() -> None:
    with override("id"):
        assert [bytes_text(9.8 * 2**20), number(3.95), took(1.5)] == ["9,8 MiB", "3,95", "1,5 ms"]
    assert [bytes_text(9.8 * 2**20), number(3.95), took(1.5)] == ["9.8 MiB", "3.95", "1.5 ms"]
