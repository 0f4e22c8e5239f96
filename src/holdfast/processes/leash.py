"""Becomes the command it is given, after asking Linux to kill it when its parent dies.

Run as a script: `python -I -S leash.py PARENT_PID COMMAND [ARGUMENT ...]`. It is a program of its own and no
`preexec_fn`, because code between fork and exec may deadlock in a process that has threads.
Source: prctl(2), PR_SET_PDEATHSIG; the signal survives an exec of an ordinary binary.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(parent_pid: int, command: list[str]) -> None:
    """Replace this process by `command`, looked up on PATH. Exits with 127 when it cannot be run."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that died before the line above sends no signal any more.
    if os.getppid() != parent_pid:
        sys.exit(127)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
