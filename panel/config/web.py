"""Pages and API, as the web process serves them: `granian --interface asginl panel.config.web:application`."""

import sys

from panel.config.wsgi import application as _pages
from panel.serving import gc_freeze
from panel.serving.server import Server

#: Seconds after which a thread that computes lets another one in; 5 ms by default, a third of a page.
_SWITCH_S = 0.001

sys.setswitchinterval(_SWITCH_S)
application = Server(_pages)
gc_freeze.begin()
