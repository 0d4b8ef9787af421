"""Asking a node's agent about files of one environment, or of one of its snapshots."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django.utils.translation import gettext as _

from panel.environments.models import Environment
from panel.errors import NotFound, Refused
from panel.nodes.agent import Agent
from panel.storage.answers import PutBack, PutFile
from runtime.contract import Purpose

#: What is done in a container of its own, behind others.
_LONG_S = 100.0
#: Of an archive that is unpacked: a node gives up after ten minutes.
_UNPACK_S = 630.0


@dataclass(frozen=True)
class NodeFiles:
    """Every verb raises `NotFound`, `NodeAway`, and what the node refuses else."""

    environment: Environment
    user: str
    snapshot: UUID | None = None
    """None: of the environment as it is now."""

    async def listed(self, path: bytes, *, after: bytes, most: int) -> dict[str, Any]:
        """A page of a directory: `{"entries", "total", "next"}`."""
        query = {"path": b64encode(path), "after": b64encode(after), "most": most}
        return await self._ask("GET", "files", query, _("This directory"))

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        return await self._stream("content", path, _("This file"))

    async def archive(self, path: bytes) -> AsyncIterator[bytes]:
        """A directory as a tar stream."""
        return await self._stream("archive", path, _("This directory"))

    async def copied_out(self, path: bytes) -> AsyncIterator[bytes]:
        """A directory, a file or a link as a tar stream."""
        return await self._stream("archive", path, _("This path"), any=1)

    async def copied_in(self, path: bytes, archive: UUID, size: int) -> dict[str, Any]:
        """What is in an archive that was staged, into a directory: `{"entries", "skipped"}`."""
        body = json.dumps({"archive": str(archive), "bytes": size}).encode()
        query = {"path": b64encode(path)}
        what = _("This directory")
        return await self._ask("POST", "unpack", query, what, body, writes=True, timeout_s=_UNPACK_S)

    async def changes_of_image(self, *, most: int) -> dict[str, Any]:
        """What is different from what it was made from."""
        return await self._ask("GET", "changes", {"most": most}, _("What it was made from"))

    async def changes(self, to: UUID | None, *, most: int) -> dict[str, Any]:
        return await self._ask("GET", "changes", {"to": str(to or ""), "most": most}, _("This snapshot"))

    async def put_back(self, path: bytes) -> PutBack:
        query = {"path": b64encode(path)}
        return cast("PutBack", await self._ask("POST", "put-back", query, _("This path"), writes=True))

    async def put(self, path: bytes, data: bytes) -> PutFile:
        query = {"path": b64encode(path)}
        found = await self._ask("PUT", "content", query, _("This directory"), data, writes=True)
        return cast("PutFile", found)

    async def delete(self, path: bytes, *, recursive: bool) -> None:
        query = {"path": b64encode(path), "recursive": int(recursive)}
        await self._ask("DELETE", "content", query, _("This file"), writes=True)

    async def arrange(self, **work: Any) -> dict[str, Any]:
        """Something done to several: `{"done", "failed"}`."""
        body = json.dumps({"work": work}).encode()
        what = _("This path")
        return await self._ask("POST", "arrange", {}, what, body, writes=True, timeout_s=_UNPACK_S)

    async def pack(self, **work: Any) -> dict[str, Any]:
        """An archive made, or unpacked: `{"entries", "skipped", "size"}`."""
        body = json.dumps({"work": work}).encode()
        what = _("This path")
        return await self._ask("POST", "pack", {}, what, body, writes=True, timeout_s=_UNPACK_S)

    async def take_part(self, path: bytes, archive: UUID, **part: Any) -> dict[str, Any]:
        """What was staged of a file that comes in parts: `{"offset", "is_whole"}`."""
        handed = {"archive": str(archive), "bytes": part["bytes"]}
        body = json.dumps({"handed": handed, "part": part}).encode()
        query, what = {"path": b64encode(path)}, _("This directory")
        return await self._ask("POST", "uploads", query, what, body, writes=True, timeout_s=_UNPACK_S)

    async def unfinished(self) -> dict[str, Any]:
        return await self._ask("GET", "uploads", {}, _("This directory"))

    async def discard_upload(self, upload: str) -> None:
        await self._ask("DELETE", f"uploads/{upload}", {}, _("This upload"), writes=True)

    async def search(self, path: bytes, text: bytes, *, in_content: bool, most: int) -> dict[str, Any]:
        query = {"path": b64encode(path), "text": b64encode(text), "content": int(in_content), "most": most}
        return await self._ask("GET", "search", query, _("This directory"))

    async def trash(self) -> dict[str, Any]:
        return await self._ask("GET", "trash", {}, _("This directory"))

    def _ticket(self, *, writes: bool) -> str:
        return Agent(self.environment.node).ticket(
            self.environment.pk,
            Purpose.FILES,
            self.user,
            read_only=not writes,
            tenant_id=self.environment.tenant.payer,
        )

    def _address(self, verb: str, query: dict[str, Any]) -> str:
        of = f"/snapshots/{self.snapshot}" if self.snapshot else ""
        return f"/v1/environments/{self.environment.pk}{of}/{verb}?{urlencode(query)}"

    async def _ask(
        self,
        method: str,
        verb: str,
        query: dict[str, Any],
        what: str,
        data: bytes = b"",
        *,
        writes: bool = False,
        timeout_s: float = _LONG_S,
    ) -> dict[str, Any]:
        agent, at = Agent(self.environment.node), self._address(verb, query)
        try:
            return await agent.ask(method, at, self._ticket(writes=writes), data, timeout_s=timeout_s)
        except Refused as refusal:
            raise missing(refusal, what) from refusal

    async def _stream(self, verb: str, path: bytes, what: str, **more: int) -> AsyncIterator[bytes]:
        agent, at = Agent(self.environment.node), self._address(verb, {"path": b64encode(path), **more})
        try:
            return await agent.stream(at, self._ticket(writes=False), timeout_s=_LONG_S)
        except Refused as refusal:
            raise missing(refusal, what) from refusal


def missing(refusal: Refused, what: str) -> Refused:
    return NotFound(what) if refusal.code == "not_found" else refusal
