from django.urls import path

from panel.jails import views

urlpatterns = [path("jails/", views.everywhere, name="jails")]
