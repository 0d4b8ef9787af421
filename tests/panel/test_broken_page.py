"""What a reader sees when we are wrong: a sentence in his language, and no word of the mistake."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from panel.config.urls import handler404, handler500
from panel.config.urls import urlpatterns as known

__all__ = ["handler404", "handler500"]


def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError("secret of the machine")


urlpatterns = [path("broken", broken), *known]


@pytest.mark.django_db
@pytest.mark.parametrize(("language", "words"), [("en", "Something broke"), ("id", "Ada yang rusak")])
def test_a_mistake_of_ours_is_a_page_in_the_readers_language(language: str, words: str) -> None:
    client = Client(raise_request_exception=False, headers={"Accept-Language": language})
    with override_settings(ROOT_URLCONF=__name__):
        answer = client.get("/broken")
    text = answer.content.decode()
    assert answer.status_code == 500
    assert f'<html lang="{language}">' in text
    assert words in text
    assert "secret" not in text
