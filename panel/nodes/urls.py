from django.urls import path

from panel.nodes import views

urlpatterns = [
    path("nodes/", views.nodes, name="nodes"),
    path("nodes/<uuid:node_id>/", views.node, name="node"),
    path("nodes/<uuid:node_id>/state", views.state, name="node-state"),
]
