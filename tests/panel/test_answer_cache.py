"""A repeated question is answered without asking again, and never with what is no longer so."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import OperationalError, connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.test import RequestFactory

from panel.accounts.models import User
from panel.config import answer_cache
from panel.config.answer_cache import AnswerCache, database_version
from tests.panel.support import factories

#: With real commits: inside a transaction nothing is ever kept.
pytestmark = pytest.mark.django_db(transaction=True)
PATH = "/api/v1/environments"


class Panel:
    """Answers with the names of all people, and counts how often it had to."""

    def __init__(self) -> None:
        self.worked = 0
        self.application = AnswerCache(self.work)
        self.make: Callable[[Any], HttpResponse] = JsonResponse

    def work(self, environ: dict[str, Any], start_response: Any) -> HttpResponse:
        """As Django's own application: the answer is what is sent, its status and headers come before."""
        self.worked += 1
        names = list(User.objects.order_by("username").values_list("username", flat=True))
        answer = self.make({"names": names, "who": environ.get("HTTP_AUTHORIZATION", "")})
        number = [("X-Request-Id", f"work{self.worked}")]
        start_response(f"{answer.status_code} {answer.reason_phrase}", [*answer.items(), *number])
        return answer

    def ask(
        self, path: str = PATH, *, method: str = "GET", peer: str = "127.0.0.1", **headers: str
    ) -> HttpResponse:
        """What a client gets."""
        request = RequestFactory(REMOTE_ADDR=peer).generic(method, path, headers=headers)
        heads: list[Any] = []

        def start_response(*head: Any) -> Any:
            heads.append(head)

        body = b"".join(self.application(request.environ, start_response))
        ((status, given),) = heads
        assert len(dict(given)) == len(given), "each header once"
        return HttpResponse(body, status=int(status.split()[0]), headers=dict(given))


def elsewhere(act: Callable[[], Any]) -> None:
    """In another thread, which has a connection of its own."""

    def work() -> None:
        try:
            act()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.fixture
def panel(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Panel:
    monkeypatch.setattr(answer_cache, "KEPT_S", 60.0)  # a busy machine takes its time
    User.objects.create(username="ayu", email="ayu@example.test")
    return Panel()


def test_nothing_is_done_twice_for_the_same_question(panel: Panel) -> None:
    answers = [panel.ask() for _ in range(3)]
    assert panel.worked == 1
    assert {answer.content for answer in answers} == {answers[0].content}
    assert answers[2].headers["Content-Type"] == "application/json"
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3
    assert panel.ask(**{"X-Request-Id": "front7"}).headers["X-Request-Id"] == "front7"
    assert panel.worked == 1


@pytest.mark.parametrize("where", [lambda act: act(), elsewhere], ids=["here", "elsewhere"])
def test_a_change_is_seen_at_once(panel: Panel, where: Callable[[Callable[[], Any]], None]) -> None:
    for number in range(5):
        panel.ask(), panel.ask()
        where(lambda name=f"budi-{number}": User.objects.filter(email="ayu@example.test").update(username=name))
        assert f"budi-{number}".encode() in panel.ask().content
    where(lambda: User.objects.all().delete())
    assert b'"names": []' in panel.ask().content


def test_a_change_during_the_work_is_not_kept_out(panel: Panel) -> None:
    def work(document: Any) -> HttpResponse:
        elsewhere(lambda: User.objects.update(username=f"wayan-{panel.worked}"))
        return JsonResponse(document)

    panel.make = work
    panel.ask()
    assert b"wayan-1" in panel.ask().content


def test_nobody_gets_what_another_asked_for(panel: Panel) -> None:
    first = panel.ask(Authorization="Bearer one")
    assert b"one" in first.content
    assert b"one" not in panel.ask(Authorization="Bearer two").content
    assert b"one" not in panel.ask().content
    assert b"one" in panel.ask(Authorization="Bearer one").content
    assert panel.worked == 3


@pytest.mark.parametrize(
    "change",
    [
        {"path": f"{PATH}?limit=1"},
        {"path": f"{PATH}/1"},
        {"Accept-Language": "id"},
        {"HX-Request": "true"},
        {"Cookie": "theme=dark"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"peer": "192.0.2.1"},
    ],
    ids=str,
)
def test_another_question_is_another(panel: Panel, change: dict[str, str]) -> None:
    panel.ask()
    panel.ask(**change)
    assert panel.worked == 2


def test_after_a_second_it_is_asked_anew(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "KEPT_S", 0.0)
    panel.ask(), panel.ask()
    assert panel.worked == 2


def test_no_more_than_some_are_kept(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "MOST_ANSWERS", 2)
    for limit in (1, 2, 3):
        panel.ask(f"{PATH}?limit={limit}")
    panel.ask(f"{PATH}?limit=3"), panel.ask(f"{PATH}?limit=2")
    assert panel.worked == 3
    panel.ask(f"{PATH}?limit=1")
    assert panel.worked == 4, "the oldest was dropped"


def test_what_the_front_asks_goes_through_it(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    from panel.config.wsgi import application

    begun: list[str] = []
    answer = WSGIHandler.get_response

    def counted(self: WSGIHandler, request: HttpRequest) -> Any:
        begun.append(request.path)
        return answer(self, request)

    monkeypatch.setattr(WSGIHandler, "get_response", counted)
    panel.application = application
    bearer = factories.bearer(factories.administrator(), None, "*")
    answers = [panel.ask(**bearer) for _ in range(5)]
    assert {one.status_code for one in answers} == {200}
    assert len(begun) == 2, "the first one notes when the token was used"


def with_cookie(document: Any) -> HttpResponse:
    answer = JsonResponse(document)
    answer.set_cookie("a", "b")
    return answer


@pytest.mark.parametrize(
    "make",
    [
        lambda document: JsonResponse(document, status=403),
        lambda document: StreamingHttpResponse([b"x"]),
        lambda document: HttpResponse(b"x" * 300_000),
        with_cookie,
    ],
    ids=["refusal", "stream", "long", "cookie"],
)
def test_only_plain_answers_are_kept(panel: Panel, make: Callable[[Any], HttpResponse]) -> None:
    panel.make = make
    panel.ask(), panel.ask()
    assert panel.worked == 2


def test_other_paths_and_methods_are_left_alone(panel: Panel) -> None:
    for _ in range(2):
        panel.ask("/readyz")
        panel.ask(method="POST")
    assert panel.worked == 4


def test_a_database_that_is_away_is_djangos_to_tell(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> object:
        raise OperationalError("the connection is closed")

    panel.ask()
    monkeypatch.setattr(answer_cache, "database_version", away)
    assert panel.ask().status_code == 200
    assert panel.worked == 2


def test_a_transaction_tells_no_version() -> None:
    assert database_version() == database_version()
    with transaction.atomic():
        assert database_version() is None
