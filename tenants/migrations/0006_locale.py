"""A person's language and region, and the narrow ways by which app_tenant, who may not change people, sets them."""

from django.db import migrations, models

from tenants.constraints import CURRENT_TENANT
from tenants.lookups import create_lookup

_IN_THIS_TENANT = f"""
    EXISTS (SELECT FROM public.tenants_membership m WHERE m.user_id = wanted AND m.tenant_id = {CURRENT_TENANT})
"""


class Migration(migrations.Migration):
    safe_because = "the check reads a table of people, and each row has just been given the value that it asks for"

    dependencies = [
        ("tenants", "0005_user_isolation"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="locale",
            field=models.CharField(db_default="en-AU", default="en-AU", max_length=16),
        ),
        migrations.AddConstraint(
            model_name="user",
            constraint=models.CheckConstraint(
                condition=models.Q(("locale__regex", "^[a-z]{2,3}-[A-Z]{2}$")), name="tenants_locale_is_a_tag"
            ),
        ),
        # Name and locale of a member of the open tenant. Who chose a locale isn't asked again at the next sign-in.
        create_lookup(
            "change_profile(wanted uuid, new_name text, new_locale text)",
            returns="void",
            body=f"""
                UPDATE public.tenants_user
                SET name = new_name, locale = new_locale, last_login = coalesce(last_login, now())
                WHERE id = wanted AND {_IN_THIS_TENANT}
            """,  # noqa: S608  # of constants only
        ),
        # The first time, the locale is what the person's browser asks for.
        create_lookup(
            "note_sign_in(wanted uuid, moment timestamptz, first_locale text)",
            returns="void",
            body=f"""
                UPDATE public.tenants_user
                SET last_login = moment, locale = CASE WHEN last_login IS NULL THEN first_locale ELSE locale END
                WHERE id = wanted AND {_IN_THIS_TENANT}
            """,  # noqa: S608  # of constants only
        ),
    ]
