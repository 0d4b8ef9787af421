from django.urls import path

from panel.console import views

_ONE = "environments/<uuid:environment_id>"

urlpatterns = [
    path(f"{_ONE}/console", views.console, name="environment-console"),
    path(f"{_ONE}/console/window", views.window, name="environment-console-window"),
    path(f"{_ONE}/console/log", views.log, name="environment-console-log"),
    path(f"{_ONE}/log", views.lines, name="environment-log"),
    path(f"{_ONE}/console/replay", views.replay, name="environment-console-replay"),
    path(f"{_ONE}/terminals", views.terminals, name="environment-terminals"),
    path(f"{_ONE}/terminals/<slug:name>/close", views.close, name="environment-terminal-close"),
]
