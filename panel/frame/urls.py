from django.urls import path

from panel.frame import views

urlpatterns = [
    path("", views.home, name="home"),
    path("ui/", views.components, name="components"),
    path("ui/palette", views.palette, name="palette"),
    path("ui/outages", views.outages, name="outages"),
    path("ui/tray", views.tray, name="tray"),
]
