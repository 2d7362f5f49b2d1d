"""The URLs of the pages."""

from django.urls import path

from fatfire.web import accounts, dashboard, linking, net_worth, shell, sign_in

urlpatterns = [
    path("", dashboard.show, name="dashboard"),
    path("accounts", accounts.show, name="accounts"),
    path("accounts/<uuid:asset_id>/rename", accounts.rename, name="rename-account"),
    path("jobs/<uuid:job_id>/toast", accounts.toast, name="job-toast"),
    path("link-to-bank", linking.start, name="link-to-bank"),
    path("links/<uuid:link_id>/return", linking.finish, name="finish-link"),
    path("links/<uuid:link_id>/refresh", linking.refresh, name="refresh-link"),
    path("links/<uuid:link_id>/remove", linking.remove, name="remove-link"),
    path("net-worth", net_worth.show, name="net-worth"),
    path("switch-portfolio", shell.switch_portfolio, name="switch-portfolio"),
    path("sign-in", sign_in.ask_for_link, name="sign-in"),
    path("sign-in/<str:secret>", sign_in.use_link, name="use-link"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("switch-tenant", sign_in.switch_tenant, name="switch-tenant"),
]
