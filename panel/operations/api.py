"""/api/v1/operations"""

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Query, Router, Status

from panel.errors import Invalid
from panel.http.answers import ListOf
from panel.http.pages import Page, page_of
from panel.http.paths import uuid_of
from panel.operations import answers, control
from panel.operations.models import Operation, Operations, OperationState, SubjectType
from panel.operations.selectors import show, show_listed
from panel.rights.asking import actor

router = Router()
WHAT = "This operation"
Newer = answers.Operation | answers.NoOperation


class Filters(Page):
    state: str = ""
    environment: str = ""
    subject_type: str = ""
    subject: str = ""


@router.get("", response=ListOf[answers.ListedOperation], operation_id="operations_list")
def list_(request: HttpRequest, filters: Query[Filters]) -> ListOf[answers.ListedOperation]:
    rows = Operation.objects.for_actor(actor(request))
    if filters.state:
        if filters.state not in OperationState.values:
            states = ", ".join(OperationState.values)
            raise Invalid(_("state is one of %(state)s.") % {"state": states}, field="state")
        rows = rows.filter(state=filters.state)
    if filters.environment:
        rows = rows.filter(environment_id=uuid_of(filters.environment, "This environment"))
    if filters.subject_type:
        if filters.subject_type not in SubjectType.values:
            types = ", ".join(SubjectType.values)
            raise Invalid(_("subject_type is one of %(types)s.") % {"types": types}, field="subject_type")
        rows = rows.filter(subject_type=filters.subject_type)
    if filters.subject:
        rows = _about(rows, filters)
    return page_of(rows, filters, show_listed)


def _about(rows: Operations, filters: Filters) -> Operations:
    if not filters.subject_type:
        raise Invalid(_("Say of which type the subject is: subject_type."), field="subject_type")
    if filters.subject_type == SubjectType.ENVIRONMENT:  # which has an index of its own
        return rows.filter(environment_id=uuid_of(filters.subject, "This environment"))
    return rows.filter(subject_id=filters.subject)


@router.get("/{pk}", response=answers.Operation, operation_id="operations_get")
def get(request: HttpRequest, pk: str) -> answers.Operation:
    return show(Operation.objects.get_for(actor(request), uuid_of(pk, WHAT)))


@router.post("/{pk}/retry", response={202: Newer}, operation_id="operations_retry")
def retry(request: HttpRequest, pk: str) -> Status[Newer]:
    newer = control.retry(actor(request), uuid_of(pk, WHAT))
    return Status(202, show(newer) if newer else {})


@router.post("/{pk}/cancel", response={202: Newer}, operation_id="operations_cancel")
def cancel(request: HttpRequest, pk: str) -> Status[Newer]:
    newer = control.cancel(actor(request), uuid_of(pk, WHAT))
    return Status(202, show(newer) if newer else {})
