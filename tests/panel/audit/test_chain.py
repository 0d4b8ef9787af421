"""F15: the record is only added to, and `audit_verify` finds a row that was changed, taken out or cut off."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from panel.audit.models import AuditHead, AuditRecord
from panel.audit.services import record
from panel.audit.verify import verify
from panel.tenants.models import Tenant
from tests.panel.support import factories

pytestmark = pytest.mark.django_db


def behind_the_panel(statement: str, *values: object) -> None:
    """As somebody who has the database itself and takes its guards away."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for name in ("audit_no_update", "audit_no_delete"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {name}")
        else:
            cursor.execute("ALTER TABLE audit_auditrecord DISABLE TRIGGER USER")
        cursor.execute(statement, values)


@pytest.fixture
def tenant() -> Tenant:
    """With a chain of five records."""
    made = factories.tenant()
    for number in range(4):
        record(factories.administrator(), "test.deed", tenant_id=made.pk, after={"number": number})
    return made


@pytest.mark.parametrize("statement", ["UPDATE {} SET who = 'x'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_or_delete(statement: str, tenant: Tenant) -> None:
    with (
        pytest.raises(DatabaseError, match="audit records are never"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement.format("audit_auditrecord"))
    assert AuditRecord.objects.filter(chain=tenant.pk).count() == 5


def test_an_untouched_record_holds(tenant: Tenant) -> None:
    count, breaks = verify()
    assert count >= 5
    assert breaks == []


_WHERE = "WHERE chain = %s AND sequence = %s"


def _change(tenant: Tenant) -> None:
    row = AuditRecord.objects.get(chain=tenant.pk, sequence=3)
    behind_the_panel("UPDATE audit_auditrecord SET who = 'nobody' WHERE id = %s", row.pk)


def _take_out(tenant: Tenant) -> None:
    row = AuditRecord.objects.get(chain=tenant.pk, sequence=3)
    behind_the_panel("DELETE FROM audit_auditrecord WHERE id = %s", row.pk)


def _cut_off(tenant: Tenant) -> None:
    ids = AuditRecord.objects.filter(chain=tenant.pk, sequence__gte=4).values_list("pk", flat=True)
    for pk in list(ids):
        behind_the_panel("DELETE FROM audit_auditrecord WHERE id = %s", pk)


def _cut_off_with_its_head(tenant: Tenant) -> None:
    _cut_off(tenant)
    last = AuditRecord.objects.get(chain=tenant.pk, sequence=3)
    AuditHead.objects.filter(chain=tenant.pk).update(sequence=3, digest=last.digest)


def _all_of_it(tenant: Tenant) -> None:
    for pk in list(AuditRecord.objects.filter(chain=tenant.pk).values_list("pk", flat=True)):
        behind_the_panel("DELETE FROM audit_auditrecord WHERE id = %s", pk)
    AuditHead.objects.filter(chain=tenant.pk).delete()


@pytest.mark.parametrize(
    ("tamper", "why"),
    [
        (_change, "was changed after it was written"),
        (_take_out, "records 3 to 3 missing"),
        (_cut_off, "records 4 to 5 missing at the end"),
        (_cut_off_with_its_head, "its head was not written by this panel"),
        (_all_of_it, "has no head"),
    ],
)
def test_what_was_tampered_with_is_found(tamper: Callable[[Tenant], None], why: str, tenant: Tenant) -> None:
    tamper(tenant)
    _, breaks = verify()
    assert why in [one.why for one in breaks if one.chain == tenant.pk]
    with pytest.raises(CommandError, match="breaks in"):
        call_command("audit_verify")


def test_an_older_end_that_was_kept_elsewhere_finds_a_chain_made_anew(tenant: Tenant, tmp_path: Path) -> None:
    kept = tmp_path / "heads.json"
    call_command("audit_verify", save=kept)
    call_command("audit_verify", known=kept)
    document = json.loads(kept.read_text())
    document[str(tenant.pk)] = [5, "0" * 64]
    kept.write_text(json.dumps(document))
    with pytest.raises(CommandError):
        call_command("audit_verify", known=kept)
    document[str(tenant.pk)] = [9, "0" * 64]
    kept.write_text(json.dumps(document))
    with pytest.raises(CommandError):
        call_command("audit_verify", known=kept)
