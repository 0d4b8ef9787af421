"""How long the front holds a request for a copy that is being replaced.

The installer reads it too, on a machine that has Python alone: nothing is imported here.
"""

#: Seconds.
HELD_S = 20.0
