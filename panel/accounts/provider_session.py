"""How a provider of single sign-on is asked: by TLS, itself and nobody it leads on to, and within bounds.

The ID token's signature isn't looked at, since it comes straight from the provider (OpenID Connect Core 1.0,
3.1.3.7). So each address that the provider names for itself must be one of TLS, where its own is.
"""

import time
from typing import Any

import requests
from django.conf import settings

#: An answer has these many bytes at most, and is there within these seconds.
MOST_BYTES, DEADLINE_S = 2**20, 10.0
#: Until it says something more.
_SILENCE_S = 5.0


class Refused(requests.RequestException):
    """The provider's answer is not taken; the text is for the operator's log."""


class ProviderSession(requests.Session):
    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Raises `requests.RequestException`. No redirect is followed: none belongs to these answers, and each
        could lead out of TLS or into the machine's own network."""
        until = time.monotonic() + DEADLINE_S
        _check_tls(request.url or "")
        options |= {"allow_redirects": False, "stream": True, "timeout": _SILENCE_S}
        with super().send(request, **options) as answer:
            if answer.is_redirect:
                raise Refused(f"{request.url} leads elsewhere: name its own address")
            answer._content = _whole(answer, until)
        return answer


def _check_tls(url: str) -> None:
    if str(settings.WADAH.oidc_url).startswith("https://") and not url.startswith("https://"):
        raise Refused(f"the provider names {url[:200]}, which is without TLS, for itself")


def _whole(answer: requests.Response, until: float) -> bytes:
    content = b""
    while piece := answer.raw.read1(64 * 1024, decode_content=True):
        content += piece
        if len(content) > MOST_BYTES:
            raise Refused(f"the provider's answer has more than {MOST_BYTES} bytes")
        if time.monotonic() > until:
            raise Refused(f"the provider's answer was not there after {DEADLINE_S:g} s")
    return content
