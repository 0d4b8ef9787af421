from django.urls import path

from panel.inside import views

_ONE = "environments/<uuid:environment_id>/processes"

urlpatterns = [
    path(_ONE, views.processes, name="environment-processes"),
    path(f"{_ONE}/top", views.top, name="environment-top"),
    path("environments/<uuid:environment_id>/ways-in", views.ways_in, name="environment-ways-in"),
    path(f"{_ONE}/diff", views.diff, name="environment-diff"),
]
