#!/usr/bin/env python3
"""What a disk that hangs does to a drill: nothing stays broken, and how it ended is said all the same.

    cargo build --release && sudo python3 benches/hung_disk.py

A small file system holds the run directory. When the fault bites, the file system is frozen (`fsfreeze`), so that whoever writes there hangs beyond
SIGKILL; twenty seconds after the fault should be over it is thawed. The world is looked at meanwhile: is the process still stopped, is the proxy still slow?
Needs root, a loop device and e2fsprogs; without them it says SKIPPED. No test of `cargo test`: should it be killed in the middle, a frozen file system stays
until somebody says `fsfreeze --unfreeze`; a process of its own does so after a minute, whatever happens.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

from service import Server

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOLD_S = 2
FROZEN_S = 22

SCENARIO = """firedrill: 1
title: The disk hangs while a fault bites
environment: test
{sections}
probes: {{ up: {{ http: {{ url: "http://127.0.0.1:{port}/up" }}, rate: 20/s, expect: {{ status: {{ equals: 200 }} }} }} }}
steady_state: {{ over: 500ms, probes: {{ up: {{ success: {{ min: 50% }} }} }} }}
faults: {{ broken: {{ {fault}, for: {hold}s }} }}
recovery: {{ within: 30s, stable_for: 500ms }}
"""


def mount(place):
    image, there = place / "image", place / "disk"
    there.mkdir()
    with open(image, "wb") as file:
        file.truncate(32 << 20)
    for words in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(there)]):
        if not shutil.which(words[0]) or subprocess.run(words, stderr=subprocess.DEVNULL).returncode != 0:
            return None
    return there


def stopped(pid):
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def slow(port):
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /up HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        client.recv(1000)
    return time.monotonic() - began > 0.15


def trial(binary, there, name, sections, fault, port, bites):
    work = there / name
    work.mkdir()
    (work / "s.yaml").write_text(SCENARIO.format(sections=sections, fault=fault, port=port, hold=HOLD_S))
    env = dict(os.environ, FIREDRILL_REGISTRY=str(there.parent / "registry"), NO_COLOR="1")
    out = open(there.parent / f"{name}.txt", "w+b")
    runner = subprocess.Popen([binary, "run", "s.yaml", "--yes"], cwd=work, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    end = time.monotonic() + 30
    while not bites():
        if time.monotonic() > end or runner.poll() is not None:
            sys.exit(f"{name}: the fault does not bite\n{(there.parent / f'{name}.txt').read_text()}")
        time.sleep(0.02)
    began = time.monotonic()
    # Whatever becomes of us, the disk is thawed.
    subprocess.Popen(["sh", "-c", f"sleep 60; fsfreeze -u {there}"], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["fsfreeze", "-f", str(there)], check=True)
    undone = None
    while time.monotonic() - began < FROZEN_S:
        if undone is None and not bites():
            undone = time.monotonic() - began
        time.sleep(0.02)
    said = (there.parent / f"{name}.txt").read_text(errors="replace")
    subprocess.run(["fsfreeze", "-u", str(there)], check=True)
    runner.wait(timeout=60)
    later = subprocess.run([binary, "undo"], cwd=work, env=env, capture_output=True, text=True)
    left = bites()
    good = undone is not None and undone < HOLD_S + 3 and not left and later.returncode == 0
    when = "never" if undone is None else f"{undone:.1f} s after the disk hung"
    heard = "said" if "SYSTEM" in said or "exit " in said else "not said"
    print(f"{name:16} held {HOLD_S} s, undone {when}; verdict {heard} while it hung; exit {runner.returncode}; undo afterwards {later.returncode}  {'PASS' if good else 'FAIL'}", flush=True)
    return good


def main():
    binary = pathlib.Path(os.environ.get("FIREDRILL_BIN", ROOT / "target" / "release" / "firedrill")).absolute()
    if not binary.exists():
        sys.exit(f"{binary} is not there: cargo build --release")
    place = pathlib.Path(tempfile.mkdtemp(prefix="firedrill-disk-"))
    there = mount(place) if os.geteuid() == 0 and shutil.which("fsfreeze") else None
    if there is None:
        print("SKIPPED: it takes root, a loop device, fsfreeze and mkfs.ext4")
        return 0
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    victim = subprocess.Popen(["sleep", "1000"])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        front = listener.getsockname()[1]

    def is_slow():
        try:
            return slow(front)
        except OSError:
            return False

    try:
        (place / "victim.pid").write_text(str(victim.pid))
        pause = f"process.pause: {{ pid_file: {place / 'victim.pid'} }}"
        proxy = f'proxies: {{ edge: {{ listen: "127.0.0.1:{front}", upstream: "127.0.0.1:{port}" }} }}'
        results = [
            trial(binary, there, "process.pause", "", pause, port, lambda: stopped(victim.pid)),
            trial(binary, there, "proxy.latency", proxy, "proxy.latency: { proxy: edge, delay: 200ms }", port, is_slow),
        ]
    finally:
        victim.kill()
        subprocess.run(["umount", "-l", str(there)])
        shutil.rmtree(place, ignore_errors=True)
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
