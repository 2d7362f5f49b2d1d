"""The console's URLs. Importing them registers what the services show: only a process that serves it pays for that."""

from django.contrib import admin
from django.contrib.auth.models import Group
from django.urls import path
from django.views.generic import RedirectView

admin.autodiscover()
admin.site.unregister(Group)  # Django's own; nobody is in one

urlpatterns = [
    path("admin/", admin.site.urls),
    path("admin", admin.site.admin_view(RedirectView.as_view(pattern_name="admin:index"))),
]
