"""Query parameters of the API: those that an operation has, each once and with a value. Others are refused by
their names.

A filter that is misspelt and ignored gives everything, and a program then deletes it. So does one whose value a
program has lost (`?tenant=`).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _
from ninja.operation import Operation

from panel.gate.text import shown
from panel.http.problem import problem

Run = Callable[..., HttpResponseBase]


def known_only(run: Run) -> Run:
    """A decorator for all operations of an API (`add_decorator` with mode `view`)."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    known, several = _parameters(operation)

    @wraps(run)
    def checked(request: HttpRequest, **path: Any) -> HttpResponseBase:
        if request.GET and (wrong := _wrong(request, known, several)):
            fields = [{"field": shown(name), "message": message} for name, message in wrong.items()]
            detail = " ".join(wrong.values())
            return problem(422, "invalid", detail, field=fields[0]["field"], errors=fields)
        return run(request, **path)

    return checked


def _parameters(operation: Operation) -> tuple[frozenset[str], frozenset[str]]:
    """All that its handler's signature names, and those of them that may come several times."""
    known, several = set[str](), set[str]()
    for model in operation.models:
        if model.__ninja_param_source__ == "query":
            known |= set(model.__ninja_flatten_map__)
            several |= set(getattr(model, "__ninja_collection_fields__", ()))
    return frozenset(known), frozenset(several)


def _wrong(request: HttpRequest, known: frozenset[str], several: frozenset[str]) -> dict[str, str]:
    """By name, what is wrong with each that can't be taken."""
    found = {}
    for name, values in request.GET.lists():
        if name not in known:
            given = {"name": shown(name), "known": ", ".join(sorted(known))}
            if known:
                found[name] = _("There is no parameter “%(name)s” here; there are: %(known)s.") % given
            else:
                found[name] = _("There is no parameter “%(name)s” here; there are none.") % given
        elif len(values) > 1 and name not in several:
            found[name] = _("%(name)s is given %(count)s times; it counts once.") % {
                "name": name,
                "count": len(values),
            }
        elif "" in values:
            text = _("%(name)s is empty: give it a value, or leave it out.")
            found[name] = text % {"name": name}
    return found
