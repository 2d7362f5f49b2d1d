"""Forgetting a connection that has ended, of which only its id is told."""

from django.db import migrations

from tenants.lookups import create_lookup


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [
        create_lookup(
            "forget_listener(connection text)",
            returns="void",
            body="DELETE FROM public.messaging_listener WHERE connection_id = $1",
        ),
    ]
