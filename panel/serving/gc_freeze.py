"""What a process has once it has served for a while stays until it ends: Python needn't look through it again.

The collector's look at everything, a few hundred thousand objects of libraries and of what is kept, holds
Python's lock for as long as it takes: 0.2 s, and a second beside somebody who has the processors. Nobody is
answered meanwhile, whoever's request began it.
"""

import gc

#: After so many requests what is there by then counts as standing. The first ones load most.
_AFTER = frozenset({1, 50, 500, 5_000})
#: Objects made and not yet freed before the youngest are looked through; Python's own 700 is one page.
_YOUNG = 10_000


def begin() -> None:
    """Once, when the application has been loaded."""
    gc.set_threshold(_YOUNG, 10, 10)
    gc.freeze()


def asked(count: int) -> None:
    """That the process has been asked so often. What isn't needed any more is freed all the same, but for
    circles of objects that were left at just that moment."""
    if count in _AFTER:
        gc.freeze()
