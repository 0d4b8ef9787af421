#!/usr/bin/env python3
"""Django's command line for the panel. Nothing here needs root."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
    if sys.argv[1:2] == ["prepare"]:
        # The settings can't be read before the secrets exist, so this comes before Django starts.
        from panel.config.env import PanelEnv  # noqa: PLC0415
        from panel.config.secrets import Secrets  # noqa: PLC0415

        Secrets.ensure(PanelEnv().home)
    from django.core.management import execute_from_command_line  # noqa: PLC0415

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
