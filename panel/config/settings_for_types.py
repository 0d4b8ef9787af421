"""The settings as mypy's Django plugin reads them: on a checkout alone, without an installation's secrets."""

import os
import tempfile
from pathlib import Path

from panel.config.secrets import Secrets

with tempfile.TemporaryDirectory(prefix="wadah-types-") as _home:
    os.environ["WADAH_HOME"] = _home
    Secrets.ensure(Path(_home))
    from panel.config.settings import *  # noqa: F403
