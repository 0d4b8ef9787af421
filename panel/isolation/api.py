"""/api/v1/environments/{id}/{isolation,beancounters}"""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from panel.environments.accepted import WHAT
from panel.http.answers import ListOf
from panel.http.paths import uuid_of
from panel.isolation import answers
from panel.isolation.services import look
from panel.rights.asking import actor
from panel.serving.promised import document, promised

router = Router()


@router.get("/{pk}/isolation", response=answers.Isolation, operation_id="environments_isolation")
def isolation(request: HttpRequest, pk: str) -> HttpResponse:
    """What stands between it and the host, as the kernel has it now; `walls` is null while it doesn't run."""
    asked = look(actor(request), uuid_of(pk, WHAT))
    row = asked.environment

    async def answer() -> HttpResponse:
        seen = await asked.result()
        security = row.wanted.security.model_dump(mode="json")
        shown: answers.Isolation = {
            "kind": row.kind,
            "kernel": row.kernel,
            "security": security,
            "walls": seen.walls,
        }
        return document(shown)

    return promised(request, answer, asked.place)


@router.get(
    "/{pk}/beancounters", response=ListOf[answers.Beancounter], operation_id="environments_beancounters"
)
def beancounters(request: HttpRequest, pk: str) -> HttpResponse:
    """What the kernel counts and bounds of it, in the words of OpenVZ's table."""
    asked = look(actor(request), uuid_of(pk, WHAT))

    async def answer() -> HttpResponse:
        seen = await asked.result()
        return document({"items": seen.counters, "count": len(seen.counters)})

    return promised(request, answer, asked.place)
