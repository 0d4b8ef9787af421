"""A Bastillefile applied to a jail: each line is done, or named with why it isn't."""

import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from django.test import Client

from panel.environments import services as environments
from panel.environments.models import Environment
from panel.jails.conf import BadConf
from panel.jails.template import failed_line, understood
from panel.networks.models import PortForward
from panel.nodes.agent import Agent
from panel.rights.actor import Actor
from panel.tenants.models import Tenant
from runtime.contract import Kind, ObservedState
from tests.panel.support import described, factories

_TEMPLATE = """# a web server
ARG name=web
PKG nginx curl
CP etc /
RENDER /etc/nginx/site
SYSRC nginx_enable=YES
SERVICE nginx restart
LINE_IN_FILE "two words" /etc/hosts.more
CMD echo "${name}" > /root/name
LIMITS memoryuse 200m
RDR tcp 20080 80
TAGS front web
MOUNT /home /home nullfs ro 0 0
SYSRC sshd_flags="-4"
JUMP
"""
_FILES = {"etc/nginx/site": "host ${name};\n", "etc/motd": "hello\n", "other": "x"}


def test_freebsd_jail_template_is_read_line_by_line() -> None:
    found = understood(_TEMPLATE, {k: v.encode() for k, v in _FILES.items()}, {"name": "shop"}, is_thin=False)
    verbs = [one.verb for one in found.steps]
    assert verbs == ["PKG", "CP", "CP", "RENDER", "SYSRC", "SERVICE", "LINE_IN_FILE", "CMD"]
    assert [(one.line, one.parameter) for one in found.left_out] == [(13, "MOUNT"), (14, "SYSRC"), (15, "JUMP")]
    assert all(one.text for one in found.left_out)
    assert found.steps[-1].command == 'echo "shop" > /root/name'
    assert (found.limits, found.forwards, found.tags) == (
        {"memory_mb": 200},
        [("tcp", 20080, 80)],
        ["front", "web"],
    )


@pytest.mark.parametrize(
    ("source", "to", "place"),
    [
        ("etc", "/", "/etc/nginx/site"),
        ("etc/nginx/site", "/etc/site", "/etc/site"),
        ("etc/nginx/site", "/etc/", "/etc/site"),
        ("etc", "usr/local", "/usr/local/etc/nginx/site"),
    ],
)
def test_cp_as_cp_has_it(source: str, to: str, place: str) -> None:
    found = understood(f"CP {source} {to}", {"etc/nginx/site": b"x"}, {}, is_thin=True)
    assert f"> {place}" in found.steps[0].command


def test_what_can_not_be_had_says_why() -> None:
    text = "PKG nginx\nCP nothing /\nRENDER /etc/x\nRDR tcp 80\nLIMITS openfiles 3\nINCLUDE x/y\nCMD true"
    found = understood(text, {}, {}, is_thin=True)
    assert [one.line for one in found.left_out] == [1, 2, 3, 4, 5, 6]
    assert "thick" in found.left_out[0].text
    for text in ("ARG NAME", "ARG 1=2", "", "CMD true\n" * 501):
        with pytest.raises(BadConf):
            understood(text, {}, {}, is_thin=True)
    assert failed_line("x\ntemplate: line 7 ended with 3\n") == 7
    assert failed_line("template: line 7 ended with 3, they said") is None


def test_its_steps_do_what_they_say_and_the_first_that_fails_ends_them(tmp_path: Path) -> None:
    odd, key = "a 'b' $c", "s|&\\x"
    lines = (
        "ARG key=",
        f"CP conf {tmp_path}/new/",
        f"RENDER {tmp_path}/new",
        f'LINE_IN_FILE "one line" {tmp_path}/list',
        f'LINE_IN_FILE "one line" {tmp_path}/list',
        f"CMD cat > {tmp_path}/read; echo 'it is' \"done\" >> {tmp_path}/list",
        "CMD echo (",
        f"CMD touch {tmp_path}/never",
    )
    files = {f"conf/{odd}": b"key=${key}\n\x00\xff", "conf/plain": b"x"}
    found = understood("\n".join(lines), files, {"key": key}, is_thin=True)
    assert not found.left_out
    ran = subprocess.run(["/bin/sh", "-s"], input=found.script, capture_output=True, text=True, check=False)
    assert failed_line(ran.stderr) == 7, ran.stderr
    assert ran.returncode
    assert (tmp_path / "new/conf" / odd).read_bytes() == f"key={key}\n".encode() + b"\x00\xff"
    assert (tmp_path / "list").read_text() == "one line\nit is done\n"
    assert (tmp_path / "read").read_text() == "", "a step reads none of those after it"
    assert not (tmp_path / "never").exists()


@pytest.fixture
def tenant() -> Tenant:
    factories.node(kinds=(Kind.SYSTEM, Kind.JAIL))
    return factories.tenant()


def _asked(monkeypatch: pytest.MonkeyPatch, **outcome: object) -> list[str]:
    ran: list[str] = []

    async def execute(_agent: Agent, pk: UUID, command: list[str], **how: object) -> dict[str, object]:
        ran.append(str(how["stdin"]))
        return {"exit_code": 0, "stdout": "", "stderr": "", "timed_out": False, **outcome}

    monkeypatch.setattr(Agent, "execute", execute)
    return ran


@pytest.mark.django_db
def test_freebsd_jail_template_changes_it_and_runs_inside(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    jail = factories.environment(tenant, kind="jail", jail={"base": "thick"})
    client = Client(headers=factories.bearer(factories.member(tenant), tenant, role="owner"))
    url, body = f"/api/v1/jails/{jail.pk}/template", {"template": _TEMPLATE, "files": _FILES}
    ran = _asked(monkeypatch, exit_code=4, stderr="no such service\ntemplate: line 7 ended with 4\n")

    seen = client.post(f"{url}?preview=true", body, content_type="application/json")
    assert seen.status_code == 200, seen.content
    described.check("jails_template", seen.json())
    assert [one["line"] for one in seen.json()["left_out"]] == [13, 14, 15]
    refused = client.post(url, body, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_template")
    assert not ran and not PortForward.objects.exists()

    done = client.post(url, {**body, "leave_out": True}, content_type="application/json")
    assert done.status_code == 200, done.content
    described.check("jails_template", done.json())
    assert (done.json()["exit_code"], done.json()["failed_line"]) == (4, 7)
    assert "nginx" in ran[0] and "/home" not in ran[0]
    row = Environment.objects.get(pk=jail.pk)
    assert row.contract_limits().memory_mb == 200
    assert {one.name for one in row.tags.all()} == {"front", "web"}
    assert PortForward.objects.get().node_port == 20080


@pytest.mark.django_db
def test_a_refusal_leaves_nothing_behind(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    ran, actor = _asked(monkeypatch), factories.administrator()
    jail = factories.environment(tenant, kind="jail")
    client = Client(headers=factories.bearer(Actor(actor.user), tenant, role="owner"))
    url = f"/api/v1/jails/{jail.pk}/template"
    bad = client.post(url, {"template": "TAGS one\nRDR tcp 1 80\nCMD true"}, content_type="application/json")
    assert bad.status_code == 422, bad.content
    environments.stop(actor, jail.pk)
    factories.reported(jail, ObservedState.STOPPED)
    off = client.post(url, {"template": "TAGS one\nCMD true"}, content_type="application/json")
    assert (off.status_code, off.json()["code"]) == (409, "not_running")
    system = factories.environment(tenant)
    other = client.post(
        f"/api/v1/jails/{system.pk}/template", {"template": "CMD true"}, content_type="application/json"
    )
    assert other.status_code == 422
    assert not ran and not jail.tags.exists() and not PortForward.objects.exists()
