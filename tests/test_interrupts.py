from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands import environment

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals"),
    pytest.mark.usefixtures("usual_signals"),
]

SEND = "import os, signal, sys; send = lambda name: os.kill(os.getpid(), getattr(signal, name))\n"
HEED = SEND + "from xttsrecipe import interrupts; interrupts.heed()\n"
NAMES = ["SIGINT", "SIGTERM", "SIGHUP"]


def python(script: str) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a script in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment(), timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_before_the_work_the_process_ends(name: str) -> None:
    assert python(f"{HEED}send({name!r}); print('not reached')") == (130, "", "interrupted\n")


def test_nobody_need_read_what_it_says() -> None:
    assert python(f"{HEED}os.close(2); send('SIGTERM'); print('not reached')") == (130, "", "")


@pytest.mark.parametrize("module", ["xttsrecipe.cli", "jsonschema", "typer", "xttsrecipe.plan"])
def test_while_the_command_line_is_read_too(module: str) -> None:
    script = f"""{SEND}sys.argv = ["xttsrecipe", "--version"]
sys.addaudithook(lambda event, given: event == "import" and given[0] == {module!r} and send("SIGTERM"))
from xttsrecipe.__main__ import main
main()
"""
    assert python(script) == (130, "", "interrupted\n")


@pytest.mark.parametrize("name", NAMES)
def test_in_the_work_the_first_raises_and_the_others_do_nothing(name: str) -> None:
    script = f"""{HEED}interrupts.raise_once()
try:
    send({name!r})
    print("not reached")
except KeyboardInterrupt:
    for other in {NAMES}:
        send(other)
    print("tidied up")
"""
    assert python(script) == (0, "tidied up\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_two_that_come_together_raise_once(name: str) -> None:
    script = f"""{HEED}interrupts.raise_once()
try:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.{name}])
    send("SIGINT"), send({name!r})
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT, signal.{name}])
    print("not reached")
except KeyboardInterrupt:
    print("tidied up")
"""
    assert python(script) == (0, "tidied up\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_after_the_work_nothing_happens(name: str) -> None:
    assert python(f"{HEED}interrupts.ignore(); send({name!r}); print('done')") == (0, "done\n", "")


@pytest.mark.parametrize("name", NAMES)
def test_what_was_ignored_stays_ignored(name: str) -> None:
    """Under nohup, and for what a script started in the background."""
    ignored = f"import signal; signal.signal(signal.{name}, signal.SIG_IGN)\n"
    assert python(f"{ignored}{HEED}send({name!r}); interrupts.raise_once(); send({name!r}); print('done')")[0] == 0


def test_a_program_that_uses_the_functions_keeps_its_own_ways() -> None:
    script = f"""{SEND}signal.signal(signal.SIGTERM, lambda *_: print("its own"))
from xttsrecipe import api, interrupts
interrupts.raise_once()
interrupts.ignore()
send("SIGTERM")
"""
    assert python(script) == (0, "its own\n", "")
