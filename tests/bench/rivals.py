"""What is needed beside jobclone, and how to get it."""
import os
import shutil
import subprocess

from harness import BIN
from yardstick import PLACE

COMPARE = PLACE / "compare.sh"
PEERS = PLACE / "peers"
BARE_PROGRAM = BIN / "bare"


def missing_for_yardstick():
    """Why the yardstick cannot be used, or nothing."""
    if not COMPARE.exists():
        return f"no yardstick in {PLACE}: name its folder in JOBCLONE_BENCH"
    if not shutil.which("nginx"):
        return "nginx is not installed: apt-get install nginx-light libnginx-mod-http-lua"
    return ""


def missing_for_undici():
    """Why there is no rival, or nothing."""
    if not (PEERS / "undici-clone.js").exists():
        return f"no rivals in {PEERS}: name the yardstick's folder in JOBCLONE_BENCH"
    if not shutil.which("node"):
        return "node is not installed: apt-get install nodejs"
    probe = subprocess.run(["node", "-e", "require('undici')"], stdin=subprocess.DEVNULL, capture_output=True,
                           env=os.environ, timeout=60, check=False)
    if probe.returncode != 0:
        return "node does not find undici: npm install --prefix DIR undici@6, then NODE_PATH=DIR/node_modules"
    return ""
