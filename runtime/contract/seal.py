"""The seal on what a node tells the panel: who says so, of what kind, and that nobody changed it.

A key is shared by the panel and one node, so that whoever takes a node speaks for it alone. The seal is an
HMAC-SHA256 (RFC 2104) over the task's name, the node's and the text itself. Against saying the same again
stands what is said: reports are counted, and nobody but the panel can read them on their way.
"""

import hashlib
import hmac
import json
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from runtime.contract.base import Message, Name

#: A report of 10,000 environments has about 5 MB.
_MOST = 32 * 2**20


class Sealed(Message):
    node: Name
    text: Annotated[str, Field(max_length=_MOST)]
    """The document, as JSON."""
    seal: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

    @classmethod
    def of(cls, document: dict[str, Any], *, task: str, node: str, key: bytes) -> "Sealed":
        text = json.dumps(document, separators=(",", ":"))
        return cls(node=node, text=text, seal=_seal(text, task, node, key))

    def opened(self, *, task: str, key: bytes) -> dict[str, Any]:
        """The document. Raises `ValueError` for a seal of another or on something else, or an empty key."""
        if not key or not hmac.compare_digest(self.seal, _seal(self.text, task, self.node, key)):
            raise ValueError("the seal is broken")
        document = json.loads(self.text)
        if not isinstance(document, dict):
            raise ValueError("not a document")
        return document


def _seal(text: str, task: str, node: str, key: bytes) -> str:
    # neither a task's name nor a node's has a line break
    return hmac.new(key, f"{task}\n{node}\n{text}".encode(), hashlib.sha256).hexdigest()
