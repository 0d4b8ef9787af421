"""The agent's addresses for files in backups: a directory, a file, an archive. What opens the repository comes
locked in the body of each question, and is kept nowhere."""

import asyncio
from contextlib import AsyncExitStack, ExitStack
from typing import TYPE_CHECKING, cast
from uuid import uuid4

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runtime.agent.bodies import body_of, entered
from runtime.agent.files import FileRoutes, Streamed
from runtime.backups.places import access_of, opened
from runtime.backups.repository import Restic
from runtime.contract import BackupLook, Purpose
from runtime.contract.words import agent as words
from runtime.errors import RuntimeFault
from runtime.storage.trees import Trees

if TYPE_CHECKING:
    from runtime.agent.app import Agent

_MOST_BODY = 3 * 2**20
#: What a look is refused with that no fault of the agent's is.
OF_TARGETS = (
    *("wrong_password", "repository_damaged", "other_repository", "no_such_backup", "repository_locked"),
    *("target_gone", "target_failed", "target_full", "target_silent", "backup_failed", "host_lacks"),
    *("no_backup_directory", "secrets_not_opened", "target_unreachable", "target_not_allowed"),
    *("host_key_changed", "login_refused", "no_bucket", "wrong_region", "certificate_refused"),
    "not_allowed_there",
)


class BackupRoutes:
    """They have the turns and threads of other files: see `FileRoutes`."""

    def __init__(self, agent: "Agent", files: FileRoutes):
        self.agent, self._files = agent, files

    def routes(self, at: str) -> list[Route]:
        return [
            Route(f"{at}/backup/files", self.listed, methods=["POST"]),
            Route(f"{at}/backup/content", self.content, methods=["POST"]),
            Route(f"{at}/backup/archive", self.archive, methods=["POST"]),
        ]

    async def listed(self, request: Request) -> Response:
        """A page of a directory."""
        ticket = self.agent.ticket(request, Purpose.FILES)
        asked = await self._asked(request)

        def look(_: Trees) -> Response:
            found = self._restic(asked).files(
                asked.source.snapshot, asked.path, after=asked.after, most=asked.most
            )
            return JSONResponse(found)

        return cast("Response", await self._files.work(request, ticket, look))

    async def content(self, request: Request) -> Response:
        return await self._dumped(request, is_archive=False)

    async def archive(self, request: Request) -> Response:
        return await self._dumped(request, is_archive=True)

    async def _dumped(self, request: Request, *, is_archive: bool) -> Response:
        ticket = self.agent.ticket(request, Purpose.FILES)
        asked, container = await self._asked(request), ExitStack()
        async with AsyncExitStack() as undo:
            await entered(request, undo, *self._files.packing(ticket.payer))
            undo.push_async_callback(asyncio.to_thread, container.close)
            pieces = await asyncio.get_running_loop().run_in_executor(
                self._files.threads,
                lambda: container.enter_context(
                    self._restic(asked).dumped(asked.source.snapshot, asked.path, is_archive=is_archive)
                ),
            )
            return Streamed(self.agent.in_turns(ticket.payer, pieces), undo.pop_all().aclose)
        raise AssertionError  # for types: the stack swallows nothing

    async def _asked(self, request: Request) -> BackupLook:
        try:
            return BackupLook.model_validate_json(await body_of(request, _MOST_BODY))
        except ValidationError as odd:
            raise RuntimeFault(words.bad_name(), code="bad_name", retryable=False) from odd

    def _restic(self, asked: BackupLook) -> Restic:
        node, source = self.agent.node, asked.source
        secrets = opened(node, source.repository, source.secrets)
        access = access_of(node, source.repository, secrets, makes=False)
        return Restic(node, access, secrets.password, str(uuid4()))
