"""Signing out everywhere: a number that every session of a person carries the hash of."""

from django.db import migrations, models

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_functions")]

    operations = [
        migrations.AddField(
            model_name="user", name="session_epoch", field=models.PositiveIntegerField(db_default=0, default=0)
        ),
        # app_tenant may not change people; this it may.
        create_lookup(
            "raise_session_epoch(wanted uuid)",
            returns="void",
            body="UPDATE public.tenants_user SET session_epoch = session_epoch + 1 WHERE id = wanted",
        ),
    ]
