"""However `up` is ended, what it began is undone."""

import signal
import subprocess
import sys

import pytest

_UP = """
import os, signal, time
from pathlib import Path
# as at a terminal: whoever runs the tests in the background may have had them ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from runtime.install import home_check
from runtime.install.layout import Layout
from runtime.install.up import up

def begin(_):
    try:
        print("begun", flush=True)
        time.sleep(30)
        os._exit(1)  # not ended: `up` itself must never go on here
    finally:
        print("undone", flush=True)

os.geteuid = lambda: 0
home_check.check = begin
up(Layout(Path("/nowhere")))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_was_begun_is_undone(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _UP], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == b"begun\n"
        ours.send_signal(number)
        assert ours.stdout.read() == b"undone\n"
