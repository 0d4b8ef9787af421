"""What nobody should send, and every field that it can be sent to: of the API by its description, of pages by
their forms.

Each place gets what can't be kept at all, and a few of the rest in turn; with WADAH_GATE_ALL=1 all of them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from typing import Any, TypeVar
from zlib import crc32

from panel.api.root import api

#: Code points that text can't hold in one of our databases, or in UTF-8 at all.
UNUSABLE = {
    "NUL": "a\0b",
    "NUL alone": "\0",
    "half of a pair": "a\ud800",
    "a pair turned round": "\udc00\ud800",
}
#: Text that a field may take or refuse, but not stumble over.
ODD = {
    "long": "x" * 9_000,
    "thirty digits": "9" * 30,
    "beyond 64 bits": str(2**64),
    "five thousand digits": "9" * 5_000,
    "minus": "-1",
    "not a number": "nan",
    "infinite": "-inf",
    "lines": "a\r\nSet-Cookie: x=1",
    "up": "../../etc/passwd",
    "format": "%s%n{0}{x.__class__}",
    "no character": "\uffff\ufdd0",
    "control": "\x1b[31m\x7f\x85",
    "other digits": "\u0661\u0662\uff11\u00b2",
    "bad uuid": "12345678-1234-1234-1234-12345678901g",
    "empty": "",
    "space": " \u3000",
    "turned": "\u202eabc",
    "date": "9999-12-31T23:59:59.999999999+99:99",
    "year": "0000-00-00",
}
#: As they stand in a JSON document.
TOKENS = {
    "huge": str(2**64),
    "below": str(-(2**63) - 1),
    "400 digits": "1" + "0" * 400,
    "5000 digits": "9" * 5_000,
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "1e999": "1e999",
    "1e308": "1e308",
    "true": "true",
    "0": "0",
    "minus": "-1",
    "null": "null",
    "list": "[]",
    "object": "{}",
    "list of odd": '[null, 1, "", [], {}]',
    "deep": "[" * 60 + "]" * 60,
    "object in text": '{"": {"a": "\\u0000"}}',
}
#: Whole bodies of a JSON route that can't be understood, with their headers.
BODIES: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b'{"name": "\xff\xfe"}', "application/json"),
    "half of a pair in UTF-8": (b'{"name": "\xed\xa0\x80"}', "application/json"),
    "UTF-16": ('{"name": "x"}'.encode("utf-16"), "application/json"),
    "UTF-32": ('{"name": "x"}'.encode("utf-32"), "application/json"),
    "very deep": (b"[" * 100_000, "application/json"),
    "very deep objects": (b'{"a":' * 50_000, "application/json"),
    "cut off": (b'{"name": "x', "application/json"),
    "two": (b"{}{}", "application/json"),
    "comma": (b'{"name": "x",}', "application/json"),
    "raw NUL": (b'{"name": "\0"}', "application/json"),
    "NULs": (b"\0\0\0", "application/json"),
    "space": (b"  ", "application/json"),
    "twice": (b'{"name": "a", "name": "b"}', "application/json"),
    "twice in depth": (b'{"limits": {"cpu": 1, "cpu": 2}}', "application/json"),
    "charset": (b'{"name": "x"}', "application/json; charset=utf-16"),
    "no charset": (b'{"name": "x"}', "application/json; charset=nope"),
    "form": (b"name=x", "application/x-www-form-urlencoded"),
    "JSON as form": (b'{"name": "x"}', "application/x-www-form-urlencoded"),
    "multipart without boundary": (b"--x\r\n\r\n", "multipart/form-data"),
    "multipart": (
        b'--x\r\nContent-Disposition: form-data; name="n"\r\n\r\nv\r\n--x--',
        "multipart/form-data; boundary=x",
    ),
    "no text at all": (b'{"name": "x"}', "application/json; charset=rot13"),
    "nonsense": (b'{"name": "x"}', "\xe4;;;=,"),
}
#: In any part of an address, already percent-encoded.
ENCODED = [
    *("%00", "a%00b", "%ED%A0%80", "%FF%FE", "%C0%AF", "%", "%zz", "%25%30%30", "..%2f..%2f", "%0d%0aX:%20y"),
    *("x" * 3_000, "9" * 40, "-1", "%E2%80%AE"),
]
#: Names of headers, and what stands in them.
HEADERS = (
    "Authorization Cookie Idempotency-Key If-Match Accept-Language Accept Referer Origin Host User-Agent Range "
    "X-Request-Id X-Forwarded-For X-Forwarded-Proto HX-Target HX-Request HX-Current-URL X-CSRFToken "
    "If-None-Match If-Modified-Since Accept-Encoding"
).split()
IN_HEADERS = [
    *("\xff\xfe", "a\0b", "x" * 9_000, "9" * 5_000, "-1", "nan", '"', "Bearer ", "Bearer wdh_x_y", "http://["),
    *("Bearer wdh_" + "0" * 32 + "_\xe9", "http://a:99999999/", "http://a:b/", "sid=\0", "bytes=9-1,2-"),
    *('wadah_sid="\\000abcdefgh"', "wadah_sid=%00; wadah_csrf=\xff", "\xd9\xa1", "Basic \xff", "=;,"),
]


def fields(
    schema: dict[str, Any], document: dict[str, Any], depth: int = 0
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every field of a schema with its path and its own schema, those of nested objects too."""
    schema = resolved(schema, document)
    for name, given in schema.get("properties", {}).items():
        one = resolved(given, document)
        yield (name,), one
        if depth < 3:
            yield from (((name, *path), inner) for path, inner in fields(one, document, depth + 1))


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """Behind references, and the first that isn't null of several."""
    while "$ref" in schema or "anyOf" in schema or "allOf" in schema:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
        else:
            either = schema.get("anyOf") or schema["allOf"]
            schema = next(one for one in either if one.get("type") != "null")
    return schema


def description() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/")))
    return found


def with_token(body: dict[str, Any], path: tuple[str, ...], token: str) -> bytes:
    """The body as JSON with one field's value replaced by what stands in `token`."""
    mark = "@@here@@"
    made = json.loads(json.dumps(body))
    inner = made
    for name in path[:-1]:
        if not isinstance(inner.get(name), dict):
            inner[name] = {}
        inner = inner[name]
    inner[path[-1]] = mark
    return json.dumps(made).replace(f'"{mark}"', token).encode()


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.forms.append((found.get("method", "get").lower(), found.get("action", ""), {}))
        elif tag in {"input", "select", "textarea", "button"} and self.forms and found.get("name"):
            self.forms[-1][2].setdefault(found["name"], found.get("value", ""))


def forms(page: str) -> list[tuple[str, str, dict[str, str]]]:
    """Method, action and fields with their values of each form of a page."""
    parser = _Forms()
    parser.feed(page)
    return parser.forms


T = TypeVar("T")


def in_turn(all_of_them: Sequence[T], place: str, count: int) -> list[T]:
    """Some of them: others for another place, the same each time."""
    if "WADAH_GATE_ALL" in os.environ:
        return list(all_of_them)
    first = crc32(place.encode())
    return [all_of_them[(first + 7 * step) % len(all_of_them)] for step in range(count)]


def is_a_sentence(text: str) -> bool:
    """For a person: some words, and nothing of a program's."""
    return len(text.split()) >= 3 and not re.search(
        r"Traceback|psycopg|sqlite|Error\(|object at 0x|<class", text
    )
