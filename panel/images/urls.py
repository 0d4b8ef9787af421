from django.urls import path

from panel.images import views

urlpatterns = [
    path("images/", views.images, name="images"),
    path("images/import", views.import_, name="image-import"),
    path("images/<uuid:image_id>/build", views.build, name="image-build"),
    path("images/<uuid:image_id>/delete", views.delete, name="image-delete"),
]
