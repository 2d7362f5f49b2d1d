"""Run the bank simulator as a process of its own."""

import argparse
import sys
from pathlib import Path

from fatfire.kit.serving import PortTaken
from services.integration.sandbox.server import serve


def main() -> None:
    """Serve until interrupted."""
    arguments = argparse.ArgumentParser(prog="python -m services.integration.sandbox", description=__doc__)
    arguments.add_argument("--port", type=int, default=4911, help="on the loopback interface; 0 takes a free one")
    arguments.add_argument("--store", type=Path, required=True, help="the simulator's own file")
    given = arguments.parse_args()
    try:
        simulator = serve(given.store, given.port)
    except PortTaken as error:
        sys.exit(str(error))
    with simulator:
        sys.stdout.write(f"The bank simulator listens on {simulator.url}\n")
        sys.stdout.flush()
        try:
            simulator.wait()
        except KeyboardInterrupt:
            sys.stdout.write("Stopped.\n")


if __name__ == "__main__":
    main()
