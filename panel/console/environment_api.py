"""/api/v1/environments/{id}/{console,terminals}"""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router

from panel.console import answers
from panel.console.services import Some, close_terminal, console_log, list_terminals, log_lines
from panel.environments.accepted import WHAT
from panel.http.answers import ListOf
from panel.http.paths import uuid_of
from panel.rights.asking import actor
from panel.serving.promised import document, promised
from runtime.contract.logs import MOST_TAIL

router = Router()


@router.get("/{pk}/console/log", response={200: None}, operation_id="environments_console_log")
def download_console(request: HttpRequest, pk: str, format: str = "text") -> HttpResponse:
    """What its console printed: `text`, as it came, or `cast`, an asciicast with its times."""
    record = console_log(actor(request), uuid_of(pk, WHAT), format)
    return promised(request, record.answer, record.place)


@router.get("/{pk}/logs", response={200: None}, operation_id="environments_logs")
def logs(
    request: HttpRequest,
    pk: str,
    *,
    stream: str = "",
    since: str = "",
    until: str = "",
    grep: str = "",
    tail: Annotated[int | None, Query(ge=0, le=MOST_TAIL)] = None,
    follow: bool = False,
) -> HttpResponse:
    """Lines of what its first process wrote, `TIME stdout|stderr text`: of one `stream`, `since` a moment or
    `15m` ago, `until` another, with the words of `grep` in them; of those the newest `tail`. With `follow` also
    those that come, as they come, for ten minutes. With a terminal both streams are stdout."""
    some = Some(stream=stream, since=since, until=until, grep=grep, tail=tail, follow=follow)
    found = log_lines(actor(request), uuid_of(pk, WHAT), some)
    return promised(request, found.answer, found.place)


@router.get("/{pk}/terminals", response=ListOf[answers.Terminal], operation_id="environments_terminals")
def terminals(request: HttpRequest, pk: str) -> HttpResponse:
    """Root shells that run inside; `/ws/environments/{pk}/terminals/{name}` goes on with one."""
    looked = list_terminals(actor(request), uuid_of(pk, WHAT))

    async def answer() -> HttpResponse:
        found = await looked.result()
        return document({"items": found, "count": len(found)})

    return promised(request, answer, looked.place)


@router.delete("/{pk}/terminals/{name}", response={204: None}, operation_id="environments_close_terminal")
def end_terminal(request: HttpRequest, pk: str, name: str) -> HttpResponse:
    closing = close_terminal(actor(request), uuid_of(pk, WHAT), name)

    async def answer() -> HttpResponse:
        await closing.result()
        return HttpResponse(status=204)

    return promised(request, answer, closing.place)
