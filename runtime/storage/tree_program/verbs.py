"""What may be asked of it, and its one answer."""

import errno
import json
import os
import sys

from runtime.storage.tree_program.comparing import compare
from runtime.storage.tree_program.ground import Refused
from runtime.storage.tree_program.packing import pack
from runtime.storage.tree_program.unpacking import unpack
from runtime.storage.tree_program.writing import delete, put, put_back

#: What is worth telling of a refusal, by errno.
_CODES = {
    **dict.fromkeys((errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG), "not_found"),
    **dict.fromkeys((errno.EDQUOT, errno.ENOSPC), "no_space"),
    **dict.fromkeys((errno.EISDIR, errno.EEXIST), "in_the_way"),
    **dict.fromkeys((errno.EPERM, errno.EACCES, errno.EROFS), "not_allowed"),
    errno.ENOTEMPTY: "not_empty",
    errno.EMFILE: "too_long",
}


VERBS = {
    "compare": compare,
    "put_back": put_back,
    "put": put,
    "delete": delete,
    "pack": pack,
    "unpack": unpack,
}


def main() -> None:
    asked = json.loads(sys.argv[1])
    os.umask(0)
    try:
        answer = VERBS[asked["verb"]](asked)
    except Refused as refused:
        code = str(refused)
    except OSError as error:
        code = _CODES.get(error.errno or 0, "failed")
    except RecursionError:
        code = "too_long"
    else:
        if answer is not None:
            sys.stdout.write(json.dumps(answer))
        return
    sys.stderr.write(json.dumps({"refused": code}))
    sys.exit(3)


if __name__ == "__main__":
    main()
