"""What the API answers to a change of an environment."""

from typing import Any

from django.http import HttpRequest
from ninja import Status

from panel.environments import selectors, services
from panel.environments.features import shown_of
from panel.environments.models import Environment
from panel.operations.selectors import show as show_operation
from panel.rights.asking import actor
from panel.rights.permissions import Permission

Json = dict[str, Any]
WHAT = "This environment"


def show(row: Environment) -> Json:
    return selectors.show(row, shown_of([row.pk])(row.pk))


def accepted(request: HttpRequest, changed: services.Changed) -> Status[Json]:
    """202 with the environment, the operation to watch, and what is shown only once."""
    row = changed.environment
    if not actor(request).can(Permission.ENVIRONMENT_VIEW, row):
        document: Json = {"id": str(row.pk)}
    elif changed.new is None:
        document = show(row)
    else:
        document = selectors.show(row, changed.new.shown, tags=changed.new.tags, is_new=True)
    document["operation"] = show_operation(changed.operation) if changed.operation else None
    if changed.left_plan:
        document["left_plan"] = changed.left_plan
    if changed.root_password:
        document["root_password"] = changed.root_password
    return Status(202, document)
