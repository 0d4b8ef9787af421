"""/api/v1/environments/{id}/{console,terminals}"""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from panel.console import answers
from panel.console.services import close_terminal, console_log, list_terminals, log_lines
from panel.environments.accepted import WHAT
from panel.http.answers import ListOf
from panel.http.paths import uuid_of
from panel.rights.asking import actor
from panel.serving.promised import document, promised

router = Router()


@router.get("/{pk}/console/log", response={200: None}, operation_id="environments_console_log")
def download_console(request: HttpRequest, pk: str, format: str = "text") -> HttpResponse:
    """What its console printed: `text`, as it came, or `cast`, an asciicast with its times."""
    record = console_log(actor(request), uuid_of(pk, WHAT), format)
    return promised(request, record.answer, record.place)


@router.get("/{pk}/logs", response={200: None}, operation_id="environments_logs")
def logs(request: HttpRequest, pk: str, stream: str = "", since: str = "", grep: str = "") -> HttpResponse:
    """Lines of what its first process wrote, `TIME stdout|stderr text`: of one `stream`, `since` a moment or
    `15m` ago, with the words of `grep` in them. With a terminal both streams are stdout."""
    found = log_lines(actor(request), uuid_of(pk, WHAT), stream=stream, since=since, grep=grep)
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
