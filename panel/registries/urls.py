from django.urls import path

from panel.registries import views

urlpatterns = [
    path("registries/", views.registries, name="registries"),
    path("registries/<uuid:registry_id>/remove", views.remove, name="registry-remove"),
]
