"""Of everything that a tenant or a person can make many of, the number has an end: each model is looked at."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils import timezone

from panel.accounts import code_forms
from panel.accounts.models import Token, User
from panel.config.tasks import housekeeping
from panel.environments.models import Environment
from panel.errors import Conflict
from panel.networks import services as networks
from panel.people import invitations, members, roles, tokens
from panel.rights.actor import Actor
from panel.rights.permissions import Permission
from panel.stages import rolling
from panel.stages.models import Stage, StageVersion
from panel.tenancy import services as tenancy
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db

#: What bounds the number of rows, by model. Who adds a model that belongs to somebody says it here.
QUOTA, NUMBER, AGE, ONE, WITH = "quota", "number", "age or newest", "one of each", "goes with"
BOUNDS = {
    "access.Invitation": f"{NUMBER}: 200 open, 500 a day; ended ones by the pace of deeds",
    "access.Share": f"{NUMBER}: 200 of an environment",
    "access.SupportAccess": "administrators of the installation alone make them",
    "account.EmailAddress": f"{NUMBER}: 10 of a person",
    "accounts.SshKey": f"{NUMBER}: 50 of a person",
    "accounts.Token": f"{NUMBER}: 500 that work of a person; {AGE}: 90 days",
    "backups.Backup": f"{QUOTA}, and {NUMBER}: 1,000 of an environment",
    "backups.DrillReport": f"{ONE} month",
    "backups.Target": f"{NUMBER}: 50 of a tenant",
    "builds.BuildSource": f"{NUMBER}: 100 of a tenant",
    "domains.Domain": f"{NUMBER}: a setting, those of the last day included",
    "domains.DomainTarget": f"{NUMBER}: of a domain",
    "environments.Environment": f"{QUOTA}, and the node's disk and user ids",
    "environments.EnvironmentTag": f"{NUMBER}: 20 of an environment",
    "environments.EnvironmentUsage": f"{ONE} environment",
    "metering.TrafficMonth": f"{ONE} month",
    "metering.UsagePoint": f"{AGE}: 25 hours",
    "mfa.Authenticator": f"{NUMBER}: 20 security keys of a person",
    "networks.Address": f"{QUOTA}, and {NUMBER}: 16 of an environment",
    "networks.PortForward": f"{QUOTA}, and {NUMBER}: no more of a tenant without one than are free",
    "operations.Operation": f"{NUMBER}: 200 open; {AGE}: 90 days, 20,000",
    "plans.Plan": "administrators of the installation alone make them",
    "quotas.Quota": f"{ONE} resource",
    "registries.Registry": f"{NUMBER}: 100 of a tenant",
    "socialaccount.SocialAccount": f"{ONE} provider",
    "jails.BaseUpdate": f"{WITH} operations",
    "jails.JailNumber": f"{WITH} environments",
    "stacks.Member": f"{WITH} environments",
    "stacks.Stack": f"{NUMBER}: 100 of a tenant",
    "stages.Stage": f"{NUMBER}: 100 of a tenant",
    "stages.StageCopy": f"{NUMBER}: 50 of a stage",
    "storage.Origin": f"{ONE} environment",
    "storage.Schedule": f"{ONE} sort and environment",
    "storage.Snapshot": f"{QUOTA}, and {NUMBER}: of an environment",
    "tenants.Membership": f"{NUMBER}: 1,000 of a tenant",
    "tenants.Role": f"{NUMBER}: 100 of a tenant",
    "tenants.Tenant": f"{NUMBER}: 1,000 below one at the top, 128 deep",
    "usersessions.UserSession": f"{AGE}: 100",
    "volumes.Attachment": f"{NUMBER}: of an environment",
    "volumes.Volume": f"{NUMBER}: 200 of a tenant",
    "volumes.VolumeSnapshot": f"{NUMBER}: 200 of a volume, and the quota of snapshots",
}


def test_each_model_that_belongs_to_somebody_has_a_bound() -> None:
    owners = (Tenant, Environment, User)
    owned = {
        model._meta.label
        for model in apps.get_models()
        for one in model._meta.fields
        if one.remote_field is not None and one.remote_field.model in owners
    }
    assert owned - set(BOUNDS) == set(), "how many may there be?"
    assert set(BOUNDS) - owned == set(), "no such model"


def _roles(tenant: Tenant, actor: Actor) -> None:
    roles.create_role(actor, tenant, name=uuid4().hex, permissions=[Permission.ENVIRONMENT_VIEW])


def _members(tenant: Tenant, actor: Actor) -> None:
    members.set_member(actor, tenant, factories.person(), role="viewer")


def _tokens(tenant: Tenant, actor: Actor) -> None:
    tokens.create_token(actor, tenant=tenant, role="viewer")


def _tenants(tenant: Tenant, actor: Actor) -> None:
    tenancy.create_tenant(actor, name=uuid4().hex, parent=tenant)


def _shares(tenant: Tenant, actor: Actor) -> None:
    row, user = Environment.objects.get(tenant=tenant), factories.person()
    ends = timezone.now() + timedelta(days=3)
    _, link = invitations.invite_to_environment(
        actor, row, email=user.email, permissions=[Permission.ENVIRONMENT_VIEW], ends_at=ends
    )
    user.emailaddress_set.update(verified=True)
    invitations.accept(user, link.rstrip("/").rpartition("/")[2], "192.0.2.1")


@pytest.mark.parametrize(
    ("room", "name", "act", "there"),
    [
        (roles, "MOST", _roles, 0),
        (members, "MOST", _members, 1),
        (tokens, "MOST", _tokens, 0),
        (tenancy, "MOST_BELOW", _tenants, 0),
        (invitations, "MOST_SHARES", _shares, 0),
    ],
    ids=["roles", "members", "tokens", "tenants below", "shares"],
)
def test_it_is_refused_with_a_sentence(
    room: Any, name: str, act: Callable[[Tenant, Actor], None], there: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.node()
    tenant = factories.tenant()
    actor = factories.member(tenant, "owner")
    if act is _shares:
        factories.environment(tenant)
    assert getattr(room, name) >= 100
    monkeypatch.setattr(room, name, 3)
    for _ in range(3 - there):
        act(tenant, actor)
    with pytest.raises(Conflict) as refused:
        act(tenant, actor)
    assert (refused.value.code, "3" in str(refused.value.message)) == ("too_many", True)
    other = factories.tenant()
    if act is not _shares:
        act(other, factories.member(other, "owner"))


def test_tenants_are_not_without_end_within_each_other() -> None:
    deepest = factories.tenant()
    for _ in range(tenancy.MOST_DEEP - 1):
        deepest = factories.tenant(parent=deepest)
    with pytest.raises(Conflict) as refused:
        factories.tenant(parent=deepest)
    assert refused.value.code == "too_deep"


def test_tokens_that_ended_are_forgotten_in_time() -> None:
    tenant = factories.tenant()
    actor = factories.member(tenant, "owner")
    made = [tokens.create_token(actor, tenant=tenant, role="viewer")[0] for _ in range(4)]
    revoked, ended, opener, opened = made
    long_ago = timezone.now() - tokens.KEPT - timedelta(days=1)
    Token.objects.filter(pk__in=[revoked.pk, opener.pk]).update(revoked_at=long_ago)
    Token.objects.filter(pk=ended.pk).update(expires_at=long_ago)
    Token.objects.filter(pk=opened.pk).update(opened_by=opener)
    recent = tokens.create_token(actor, tenant=tenant, role="viewer")[0]
    tokens.revoke_token(actor, recent.pk)
    housekeeping()
    left = set(Token.objects.values_list("pk", flat=True))
    assert left == {opener.pk, opened.pk, recent.pk}, "one that opened another stays as long as that one"


def test_a_stage_keeps_its_newest_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = factories.tenant()
    stage = Stage.objects.create(tenant=tenant, line="shop", name="test", place=0)
    monkeypatch.setattr(rolling, "MOST_VERSIONS", 3)
    for number in range(1, 7):
        StageVersion.objects.create(stage=stage, number=number, image=f"x@{number}")
    rolling.forget_versions(stage)
    assert list(stage.versions.values_list("number", flat=True)) == [6, 5, 4]


def test_one_tenant_leaves_ports_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a quota of forwards he had all of the node's."""
    node = factories.node()
    row, other = (factories.environment(factories.tenant()) for _ in range(2))
    monkeypatch.setattr(networks, "forward_ports", lambda _: range(40000, 40008))
    for _ in range(4):
        networks.open_forward(row, protocol="tcp", port=80, node_port=None)
    with pytest.raises(Conflict) as refused:
        networks.open_forward(row, protocol="tcp", port=80, node_port=None)
    assert refused.value.code == "too_many"
    assert networks.open_forward(other, protocol="tcp", port=80, node_port=None).node_id == node.pk


def test_security_keys_have_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_forms, "MOST_SECURITY_KEYS", 0)
    form = code_forms.AddWebAuthnForm({"name": "x", "credential": "{}"}, user=factories.person())
    assert not form.is_valid()
    assert "security keys already" in str(form.errors)
    with pytest.raises(ValidationError):
        form.clean()
