from django.urls import path

from panel.volumes import views

_ONE = "environments/<uuid:environment_id>/volumes"

urlpatterns = [
    path(_ONE, views.of_environment, name="environment-volumes"),
    path(f"{_ONE}/attach", views.attach, name="volume-attach"),
    path(f"{_ONE}/<uuid:volume_id>/detach", views.detach, name="volume-detach"),
    path("volumes/", views.everywhere, name="volumes"),
    path("volumes/<uuid:volume_id>/resize", views.resize, name="volume-resize"),
    path("volumes/<uuid:volume_id>/delete", views.delete, name="volume-delete"),
]
