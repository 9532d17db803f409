#!/usr/bin/env python3
"""The service manager hears of the start, of reloads, of the end, and that we are alive.

usage: service.py NARTHEX WORK_FOLDER
"""
import os
import re
import signal
import socket
import sys

import harness

CONFIG = "global: {scrape_interval: 1h}\n"
WATCHDOG_USEC = 400000


class Manager:
    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(30 * harness.PATIENCE)
        self.socket.bind("\0" + address[1:] if address[0] == "@" else address)
        self.environment = dict(os.environ, NOTIFY_SOCKET=address,
                                WATCHDOG_USEC=str(WATCHDOG_USEC))

    def hears(self):
        return self.socket.recv(4096).decode()

    def hears_besides_life(self):
        while True:
            text = self.hears()
            if text != "WATCHDOG=1":
                return text


def expect_reload(manager):
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", manager.hears_besides_life())
    assert manager.hears_besides_life() == "READY=1"


def check_life_of(program, work, address):
    manager = Manager(address)
    server = harness.start_narthex(program, work, CONFIG, "--web.enable-lifecycle",
                                   environment=manager.environment)
    try:
        assert manager.hears() == "READY=1"
        assert harness.http_get(server.url + "/-/ready")[0] == 200
        for _ in range(3):
            assert manager.hears() == "WATCHDOG=1"
        server.process.send_signal(signal.SIGHUP)
        expect_reload(manager)
        with open(os.path.join(work, "narthex.yml"), "a") as config:
            config.write("unknown: 1\n")
        server.process.send_signal(signal.SIGHUP)
        expect_reload(manager)  # a failed one is over too
        server.process.send_signal(signal.SIGTERM)
        assert manager.hears_besides_life() == "STOPPING=1"
        assert server.stop()[0] == 0
    except BaseException:
        server.kill()
        raise


def main():
    program, folder = sys.argv[1:3]
    with harness.WorkFolder(folder) as work:
        # A socket's path has 107 bytes at most.
        os.chdir(work)
        path = os.path.realpath(os.path.join(work, "n"))
        if len(path) < 100:
            check_life_of(program, work, path)
        check_life_of(program, work, f"@narthex-test-{os.getpid()}")
        nobody = dict(os.environ, NOTIFY_SOCKET="/nonexistent/socket", WATCHDOG_USEC="1000000")
        server = harness.start_narthex(program, work, CONFIG, environment=nobody)
        try:
            server.wait_ready()
        finally:
            server.stop()
    print("service: started, alive, reloaded, stopped")


main()
