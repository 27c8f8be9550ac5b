"""A process that is asked to end does so, whatever it does when the signal comes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.telemetry.stopping import stop_on_signals

ROOT = Path(__file__).resolve().parents[2]
WITHIN_S = 60.0

WAITS = """
from pipeline.telemetry.stopping import stop_on_signals

stop = stop_on_signals()
print("waits", flush=True)
stop.wait()
print("asked", flush=True)
"""

# Signals come while the main thread begins to wait, waits or comes back, as chance has it.
WAITS_AGAIN_AND_AGAIN = """
import os, random, signal, threading, time
from pipeline.telemetry.stopping import call_on_signals

asked = [threading.Event()]
call_on_signals(lambda: asked[-1].set())
rounds = 3_000
begun = threading.Semaphore(0)

def ask():
    for _ in range(rounds):
        begun.acquire()
        until = time.perf_counter() + random.uniform(0, 100e-6)
        while time.perf_counter() < until:
            pass
        os.kill(os.getpid(), signal.SIGTERM)

threading.Thread(target=ask, daemon=True).start()
for _ in range(rounds):
    begun.release()
    asked[-1].wait()
    asked.append(threading.Event())
"""

# As the kernel may choose: the thread that is given the signal does not wake the one that waits.
ANOTHER_THREAD_IS_TOLD = """
import signal, sys, threading, time
from pipeline.telemetry.stopping import stop_on_signals

stop = stop_on_signals()
begun = threading.Event()

def tell_myself():
    begun.wait()
    while sys._current_frames()[threading.main_thread().ident].f_code.co_name != "wait":
        time.sleep(0.001)
    # From here on the main thread only has to let go of the interpreter and to wait.
    time.sleep(0.01)
    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
    threading.Event().wait()

threading.Thread(target=tell_myself, daemon=True).start()
begun.set()
stop.wait()
"""

OTHERS_SIGNALS = """
import os, signal
from pipeline.telemetry.stopping import stop_on_signals

heard = []
signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
stop = stop_on_signals()
# More of them than a pipe holds.
for _ in range(100_000):
    os.kill(os.getpid(), signal.SIGUSR1)
print(bool(heard), stop.is_set(), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
stop.wait()
"""

FORKS = """
import os, signal
from pipeline.telemetry.stopping import stop_on_signals

stop = stop_on_signals()
for number in (signal.SIGTERM, signal.SIGINT):
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(tell, b"up")
            while True:
                signal.pause()
        except KeyboardInterrupt:
            os._exit(7)
    os.read(told, 2)
    os.kill(child, number)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), stop.is_set(), flush=True)
os.kill(os.getpid(), signal.SIGTERM)
stop.wait()
"""


def run(code: str) -> str:
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, cwd=ROOT, timeout=WITHIN_S, stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_waits_for_the_event_ends_by_either_signal(number: signal.Signals) -> None:
    words = [sys.executable, "-c", WAITS]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "waits\n"
            process.send_signal(number)
            assert process.wait(WITHIN_S) == 0
        finally:
            process.kill()
        assert process.stdout.read() == "asked\n"


def test_a_signal_at_any_moment_is_heard() -> None:
    run(WAITS_AGAIN_AND_AGAIN)


def test_a_signal_that_another_thread_is_given_is_heard() -> None:
    run(ANOTHER_THREAD_IS_TOLD)


def test_other_signals_go_to_those_who_handle_them() -> None:
    assert run(OTHERS_SIGNALS).split() == ["True", "False"]


def test_a_child_ends_by_its_own_signals_and_its_parent_goes_on() -> None:
    assert run(FORKS).split() == [str(-signal.SIGTERM), "False", "7", "False"]


@pytest.mark.usefixtures("signals_as_before")
def test_the_one_who_asked_last_is_told() -> None:
    first, second = stop_on_signals(), stop_on_signals()
    signal.raise_signal(signal.SIGTERM)
    assert second.wait(WITHIN_S)
    assert not first.is_set()


def test_only_the_main_thread_may_ask() -> None:
    refused: list[BaseException] = []

    def ask() -> None:
        try:
            stop_on_signals()
        except ValueError as error:
            refused.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert len(refused) == 1
