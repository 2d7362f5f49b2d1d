"""The URLs of the pages."""

from django.urls import path

from fatfire.web import dashboard, net_worth, shell, sign_in

urlpatterns = [
    path("", dashboard.show, name="dashboard"),
    path("net-worth", net_worth.show, name="net-worth"),
    path("switch-portfolio", shell.switch_portfolio, name="switch-portfolio"),
    path("sign-in", sign_in.ask_for_link, name="sign-in"),
    path("sign-in/<str:secret>", sign_in.use_link, name="use-link"),
    path("sign-out", sign_in.sign_out, name="sign-out"),
    path("switch-tenant", sign_in.switch_tenant, name="switch-tenant"),
]
