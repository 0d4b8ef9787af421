from django.urls import path

from panel.inside import views

_ONE = "environments/<uuid:environment_id>/processes"

urlpatterns = [
    path(_ONE, views.processes, name="environment-processes"),
    path(f"{_ONE}/top", views.top, name="environment-top"),
    path(f"{_ONE}/diff", views.diff, name="environment-diff"),
]
