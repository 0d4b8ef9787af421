"""A program in parts, run by `runtime.backups.repository` inside a confined container, with Python's own
library alone: has restic work on a repository, and says in lines of JSON how far it is and what came of it.

What opens the repository comes on standard input, and goes to restic by its environment: it is on no command
line and in no file. Whatever this reads may be hostile. What comes out is looked at again outside.

    python3 -I -S -c SOURCE < '{"task": "back_up", …}'
"""

from pathlib import Path

from runtime.program import joined


def source() -> str:
    return joined(Path(__file__).parent, ("ground", "changing", "looking", "verbs"))
