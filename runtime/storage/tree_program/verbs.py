"""What may be asked of it, and its one answer."""

import json
import os
import signal
import sys

from runtime.storage.tree_program.archiving import archive, extract
from runtime.storage.tree_program.arranging import copy, delete_many, move
from runtime.storage.tree_program.comparing import compare
from runtime.storage.tree_program.finding import search
from runtime.storage.tree_program.ground import GaveWay, Refused, code_of
from runtime.storage.tree_program.owning import change_mode
from runtime.storage.tree_program.packing import pack
from runtime.storage.tree_program.trash import empty_trash, list_trash, restore_trash
from runtime.storage.tree_program.unpacking import unpack
from runtime.storage.tree_program.uploading import discard_upload, list_uploads, upload
from runtime.storage.tree_program.writing import delete, put, put_back

VERBS = {
    "compare": compare,
    "put_back": put_back,
    "put": put,
    "delete": delete,
    "pack": pack,
    "unpack": unpack,
    "move": move,
    "copy": copy,
    "delete_many": delete_many,
    "change_mode": change_mode,
    "search": search,
    "archive": archive,
    "extract": extract,
    "list_trash": list_trash,
    "restore_trash": restore_trash,
    "empty_trash": empty_trash,
    "upload": upload,
    "list_uploads": list_uploads,
    "discard_upload": discard_upload,
}


def _give_way(*_: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one would cut off the way out
    raise GaveWay


def main() -> None:
    asked = json.loads(sys.argv[1])
    os.umask(0)
    signal.signal(signal.SIGTERM, _give_way)
    try:
        answer = VERBS[asked["verb"]](asked)
    except (Refused, GaveWay, OSError, RecursionError) as error:
        code = code_of(error)
    else:
        if answer is not None:
            sys.stdout.write(json.dumps(answer))
        return
    sys.stderr.write(json.dumps({"refused": code}))
    sys.exit(3)


if __name__ == "__main__":
    main()
