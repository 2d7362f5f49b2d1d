"""The first breath of a server process: drop root, tie its life to the parent's, become the program.

Run by path with `python -I -S`, by `fatfire.kit.postgres` only. A program of its own because the alternative,
`preexec_fn`, runs Python between fork and exec, where another thread's lock may be held for ever.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent: int, uid: int, gid: int, program: str, arguments: list[str]) -> None:
    """Replace this process by `program`, as `uid` and `gid`, interrupted when the `parent` process dies (Linux).

    The order matters: a change of user clears the signal asked for, and a parent that died before it was asked for
    sends none.
    """
    if os.geteuid() != uid:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux" and ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0):
        sys.exit("prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        sys.exit("the supervising process has gone")
    os.execv(program, [program, *arguments])  # noqa: S606 - becoming another program is all this one does


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5:])
