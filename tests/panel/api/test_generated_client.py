"""A Python client that openapi-python-client makes from the document works, with typed answers."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections

from panel.api.root import api
from tests.panel.support import factories

PROGRAM = Path(__file__).with_name("with_client.py")
TOOLS = Path(sys.executable).parent


def _run(*command: str, directory: Path) -> str:
    path = f"{TOOLS}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "MYPYPATH": str(directory)}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        check=False,
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With the client and the program that uses it; both can be imported."""
    made = tmp_path_factory.mktemp("client")
    document = made / "openapi.json"
    document.write_text(json.dumps(api.get_openapi_schema(path_prefix="/api/v1/"), default=str))
    command = ("openapi_python_client", "generate", "--meta", "none", "--path", str(document))
    said = _run(*command, "--output-path", str(made / "wadah_client"), directory=made)
    assert "Unable" not in said, "a part of the document has no class in the client"
    assert "Failure" not in said, said
    shutil.copy(PROGRAM, made)
    sys.path.insert(0, str(made))
    yield made
    sys.path.remove(str(made))


def test_what_a_program_does_with_it_is_typed(directory: Path) -> None:
    strict = ("--strict", "--follow-imports=silent", "--config-file=")
    _run("mypy", *strict, PROGRAM.name, directory=directory)


@pytest.fixture
def _one_connection() -> Iterator[None]:
    """Requests leave the database's connection, which has the test's transaction, open; as Django's own test
    client has it."""
    each = (request_started, request_finished)
    for signal in each:
        signal.disconnect(close_old_connections)
    yield
    for signal in each:
        signal.connect(close_old_connections)


@pytest.mark.django_db
@pytest.mark.usefixtures("_one_connection")
def test_it_makes_lists_changes_and_deletes_an_environment(directory: Path) -> None:
    factories.node()
    tenant = factories.tenant()
    program = importlib.import_module("with_client")
    connected = importlib.import_module("wadah_client.client")
    client = connected.AuthenticatedClient("http://testserver", token="")
    client.set_httpx_client(
        httpx.Client(
            base_url="http://testserver",
            headers=factories.bearer(factories.administrator(), None, "*"),
            transport=httpx.WSGITransport(get_wsgi_application()),
        )
    )
    made = program.make(client, tenant.slug)
    program.look(client, made)
    program.look_at_what_there_is(client)
    program.change(client, made)
    program.delete(client, made)
