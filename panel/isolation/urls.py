from django.urls import path

from panel.isolation import views

_ONE = "environments/<uuid:environment_id>/isolation"

urlpatterns = [
    path(_ONE, views.isolation, name="environment-isolation"),
    path(f"{_ONE}/kernel", views.kernel, name="environment-isolation-kernel"),
]
