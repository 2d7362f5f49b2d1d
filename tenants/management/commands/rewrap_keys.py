"""`manage.py rewrap_keys`: have the tenants' data keys wrapped by KMS instead of the file, or the other way."""

from argparse import ArgumentParser
from collections import defaultdict
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from tenants import keys
from tenants.isolation import operator
from tenants.keys import Way
from tenants.models import TenantKey
from tenants.seal import SealBroken

_WAYS = {"kms": Way.KMS, "file": Way.FILE}


class Command(BaseCommand):
    """Wrap each key anew that is wrapped in another way. What the keys encrypt stays as it is. Repeatable."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the argument."""
        parser.add_argument("by", choices=sorted(_WAYS), help="what shall wrap them; both must be set up")

    def handle(self, *args: Any, **options: Any) -> None:
        """Wrap them one by one: servers go on, and each key is there at any time."""
        way = _WAYS[options["by"]]
        with operator():
            stored = dict(TenantKey.objects.order_by("id").values_list("tenant_id", "wrapped"))
        others = {tenant_id: bytes(wrapped) for tenant_id, wrapped in stored.items() if bytes(wrapped[:1]) != way.value}
        failed: dict[str, list[UUID]] = defaultdict(list)
        count = 0
        for tenant_id, old in others.items():
            try:
                new = keys.wrap(keys.unwrap(old, tenant_id=tenant_id), tenant_id=tenant_id, by=way)
            except (SealBroken, ValueError) as error:  # of this key; what is of all ends the command
                failed[type(error).__name__].append(tenant_id)
                continue
            with operator():
                count += TenantKey.objects.filter(tenant_id=tenant_id, wrapped=old).update(wrapped=new)
        self.stdout.write(f"{count} {'key' if count == 1 else 'keys'} wrapped anew, by {options['by']}.")
        if failed:
            whose = "; ".join(f"{', '.join(map(str, ids))}: {why}" for why, ids in failed.items())
            msg = f"These don't unwrap and were left as they are, the keys of the tenants {whose}"
            raise CommandError(msg)
