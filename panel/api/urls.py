from django.urls import path

from panel.api import views

urlpatterns = [
    path("api/", views.reference, name="api-reference"),
    path("api/about/<slug:group>", views.reference, name="api-reference-group"),
]
