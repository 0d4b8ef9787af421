"""What the program is asked for by name, and its answer."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from runtime.backups.inside.changing import (
    about,
    back_up,
    check,
    forget,
    list_,
    look,
    restore,
    take_back,
    unlock_alone,
)
from runtime.backups.inside.ground import MOST_SAID, Refused, lay_out, say
from runtime.backups.inside.looking import dump, files, restore_path

TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "back_up": back_up,
    "forget": forget,
    "take_back": take_back,
    "restore": restore,
    "list": list_,
    "about": about,
    "check": check,
    "files": files,
    "dump": dump,
    "restore_path": restore_path,
    "look": look,
    "unlock": unlock_alone,
}


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    os.umask(0o077)
    lay_out(asked)
    try:
        say(done=TASKS[asked["task"]](asked))
    except Refused as refused:
        if asked["task"] == "dump":
            sys.exit(json.dumps(refused.told))
        say(refused=refused.told)
    except (OSError, ValueError, KeyError) as odd:
        say(refused=("tool_refused", f"{type(odd).__name__}: {odd}"[-MOST_SAID:]))


if __name__ == "__main__":
    main()
