from django.urls import path

from panel.repositories import tokens, views

urlpatterns = [
    path("registry/token", tokens.token, name="registry-token"),
    path("repositories/", views.repositories, name="repositories"),
    path("repositories/remove", views.remove, name="repository-remove"),
]
