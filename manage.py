#!/usr/bin/env python3
"""Django's command line. Without DATABASE_URL it runs on an embedded PostgreSQL in .data/."""

import contextlib
import os
import sys


def main() -> None:
    """Start the embedded database where the command needs one and none is given, then run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
    from fatfire.local import DATA_DIR, throw_away_dir, use_local_services

    # A run of the demo that ends by itself begins from nothing, and leaves a running demo's data alone.
    once = sys.argv[1:2] == ["demo"] and "--once" in sys.argv
    with throw_away_dir() if once else contextlib.nullcontext(DATA_DIR) as data_dir, use_local_services(sys.argv[1:], data_dir):
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
