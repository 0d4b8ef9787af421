"""What the API answers to a change of an environment."""

from typing import cast

from django.http import HttpRequest
from ninja import Status

from panel.environments import answers, selectors, services
from panel.environments.features import shown_of
from panel.environments.models import Environment
from panel.operations.selectors import show as show_operation
from panel.rights.asking import actor
from panel.rights.permissions import Permission

WHAT = "This environment"


def show(row: Environment) -> answers.ListedEnvironment:
    return selectors.show(row, shown_of([row.pk])(row.pk))


def accepted(request: HttpRequest, changed: services.Changed) -> Status[answers.Accepted]:
    """202 with the environment, the operation to watch, and what is shown only once."""
    row = changed.environment
    operation = show_operation(changed.operation) if changed.operation else None
    document: answers.Accepted
    if not actor(request).can(Permission.ENVIRONMENT_VIEW, row):
        document = {"id": str(row.pk), "operation": operation}
    else:
        seen = (
            show(row)
            if changed.new is None
            else selectors.show(row, changed.new.shown, tags=changed.new.tags, is_new=True)
        )
        # in place of the newest operation's id
        document = cast("answers.ChangedEnvironment", {**seen, "operation": operation})
    if changed.left_plan:
        document["left_plan"] = changed.left_plan
    if changed.root_password:
        document["root_password"] = changed.root_password
    return Status(202, document)
