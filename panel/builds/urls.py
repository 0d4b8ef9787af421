from django.urls import path

from panel.builds import hooks, views

_ONE = "builds/<uuid:source_id>"

urlpatterns = [
    path("builds/", views.sources, name="builds"),
    path(_ONE, views.source, name="build"),
    path(f"{_ONE}/run", views.run, name="build-start"),
    path(f"{_ONE}/webhook", views.hook, name="build-webhook"),
    path(f"{_ONE}/remove", views.remove, name="build-remove"),
    path(f"{_ONE}/runs/<int:number>", views.build, name="build-run"),
    path(f"{_ONE}/runs/<int:number>/log", views.build_log, name="build-log"),
    path("hooks/builds/<uuid:source_id>", hooks.hook, name="build-hook"),
]
