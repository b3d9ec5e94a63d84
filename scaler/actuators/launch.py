"""The first moments of a local instance: a wait for the word to go, then the command.

Run as a script, importing nothing that costs time. Standard input is a pipe from the scaler, which first writes the
process file and then one byte. A scaler that dies in between closes the pipe, and nothing was started.
"""

from __future__ import annotations

import os
import signal
import sys

GO = b"g"
NOT_RUN = 127


def main(command: list[str]) -> int:
    """Become the command. Returns only where that is not to be, or cannot be."""
    if os.read(0, 1) != GO:
        return 0
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and an ignored signal survives exec
    try:
        os.execvp(command[0], command)  # noqa: S606  # a list, no shell
    except OSError as error:
        os.write(2, f"{command[0]} cannot be run: {error.strerror}\n".encode())
    return NOT_RUN


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
