"""The yardstick: a server by nginx and the rivals, kept beside the project.

It is looked for in $JOBCLONE_BENCH, else in ../shared/bench beside the checkout.
"""
import os
import pathlib
import socket

from harness import ROOT

PLACE = pathlib.Path(os.environ.get("JOBCLONE_BENCH", ROOT.parent / "shared" / "bench"))


def free_ports():
    """The first of four neighbouring ports that nobody uses."""
    for first in range(21000, 31000, 7):
        sockets = []
        try:
            for port in range(first, first + 4):
                sockets.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in sockets:
                one.close()
    raise AssertionError("no free ports")
