"""Brings database and administrator of `./wadah dev` about, in one process. Prints what `bootstrap` says."""

import os

import django
from django.core.management import call_command

from panel.config.env import PanelEnv
from panel.config.secrets import Secrets

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "panel.config.settings")
    Secrets.ensure(PanelEnv().home)
    django.setup()
    call_command("prepare", keep_static=True)
    call_command("bootstrap")
