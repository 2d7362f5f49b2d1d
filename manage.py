#!/usr/bin/env python3
"""Django's command line. Without DATABASE_URL it runs on an embedded PostgreSQL in .data/."""

import os
import sys


def main() -> None:
    """Start the embedded database where the command needs one and none is given, then run the command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fatfire.settings")
    from fatfire.local import choose_data_dir, use_local_services

    with choose_data_dir(sys.argv[1:]) as data_dir, use_local_services(sys.argv[1:], data_dir):
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
