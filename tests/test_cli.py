"""The command as people meet it: verbs, options, streams, exit codes, signals, odd names and places."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import xttsrecipe as package
from tests import samples
from tests.builders import save, write_recipe
from tests.commands import COMMAND, PROJECT, Outcome, environment, invoke, xttsrecipe
from tests.golden import check_golden
from tests.merging import folder_bytes
from tests.strict_json import strictly
from tests.voices import two_voices, voice
from xttsrecipe import api
from xttsrecipe.digests.sources import SourceDigests
from xttsrecipe.report import inspection
from xttsrecipe.report.components import components_json, components_text
from xttsrecipe.report.plan import plan_keys_text, plan_text
from xttsrecipe.report.plan_json import plan_json
from xttsrecipe.specs import FileStamp

VERBS = ("run", "plan", "validate", "diff", "inspect", "components", "methods", "init", "schema")
LATIN_1 = os.fsdecode(b"caf\xe9.pth")
ODD_NAMES = {
    "space": "news voice.pth",
    "line break": "news\nvoice.pth",
    "not UTF-8": LATIN_1,
    "quotes": 'it\'s "new".pth',
    "colon": "a: b.pth",
    "hash": "#1.pth",
    "brackets": "[{x}].pth",
    "backslash": "a\\nb.pth",
    "accent": "café.pth",
    "digits": "2024.pth",
    "dash": "-v.pth",
    "star": "*v.pth",
    "suffix in capitals": "NEWS.PTH",
    "percent": "100%.pth",
    "model": "model.pth",
    "tilde": "~news.pth",
    "variable": "${HOME}.pth",
    "emoji": "😀.pth",
    "true": "true.pth",
    "null": "null.pth",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with news.pth, audiobook.pth and recipe.yaml in it."""
    monkeypatch.chdir(tmp_path)
    samples.pair(tmp_path)
    return tmp_path


def without_traceback(text: str) -> bool:
    return "Traceback" not in text and 'File "' not in text


# --- help -----------------------------------------------------------------------------------------------------------


def without_margin(text: str) -> str:
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_looks_as_agreed(verb: str) -> None:
    shown = invoke(verb, "--help")
    assert (shown.code, shown.err) == (0, "")
    check_golden(f"cli/help_{verb}.txt", without_margin(shown.out))


def test_the_help_looks_as_agreed() -> None:
    shown = xttsrecipe("--help")
    assert (shown.code, shown.err) == (0, "")
    check_golden("cli/help.txt", without_margin(shown.out))


@pytest.mark.parametrize("verb", [(), *((verb,) for verb in VERBS)], ids=lambda verb: " ".join(verb) or "none")
def test_no_markup_leaks_into_help(verb: tuple[str, ...]) -> None:
    shown = invoke(*verb, "--help").out
    assert not re.search(r"\[/?(bold|italic|green|red|cyan|dim|yellow|/)\]", shown)
    assert "\x1b" not in shown
    assert "``" not in shown


def test_the_help_names_every_verb_and_every_exit_code() -> None:
    shown = invoke("--help").out
    assert [verb for verb in VERBS if not re.search(rf"│ {verb} ", shown)] == []
    for code in ("0 yes", "1 no", "2 wrong usage", "3 a bug", "130"):
        assert code in shown


def test_without_arguments_the_help_is_shown_as_wrong_usage() -> None:
    shown = xttsrecipe()
    assert shown.code == 2
    assert (shown.out + shown.err).strip() == invoke("--help").out.strip()


@pytest.mark.parametrize("verb", ["validate", "init"])
def test_a_usage_line_has_one_ellipsis(verb: str) -> None:
    usage = next(line for line in invoke(verb, "--help").out.splitlines() if "Usage" in line)
    assert len(re.findall(r"…|\.\.\.", usage.replace("[OPTIONS]", ""))) == 1


def test_the_version_is_the_packages() -> None:
    shown = xttsrecipe("--version")
    assert (shown.code, shown.out, shown.err) == (0, f"xttsrecipe {package.__version__}\n", "")


def test_the_installed_command_is_the_same() -> None:
    command = Path(sys.executable).with_name("xttsrecipe")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, timeout=60, env=environment())
    assert (done.returncode, done.stdout) == (0, f"xttsrecipe {package.__version__}\n")


# --- exit codes and streams -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["frobnicate"],
        ["plan"],
        ["plan", "a.yaml", "b.yaml"],
        ["plan", "recipe.yaml", "--frobnicate"],
        ["plan", "recipe.yaml", "--set"],
        ["plan", "recipe.yaml", "--set", "weights"],
        ["plan", "recipe.yaml", "--set", "=x"],
        ["run", "recipe.yaml", "--set", ".a=x"],
        ["inspect"],
        ["inspect", "news.pth", "--keys"],
        ["inspect", "news.pth", "--keys", "@atention"],
        ["inspect", "news.pth", "--keys", "{0..99999}"],
        ["components", "news.pth", "audiobook.pth"],
        ["methods", "slrep"],
        ["methods", "ties", "slerp"],
        ["validate"],
        ["init"],
        ["schema", "x"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    shown = invoke(*arguments)
    assert shown.code == 2
    assert shown.out == ""
    assert "Error" in shown.err
    assert without_traceback(shown.err)


@pytest.mark.usefixtures("folder")
def test_a_mistyped_component_is_told_what_it_might_be() -> None:
    assert "did you mean '@attention'" in " ".join(invoke("inspect", "news.pth", "--keys", "@atention").err.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "absent.yaml"],
        ["run", "absent.yaml"],
        ["run", "news.pth"],
        ["validate", "absent.yaml"],
        ["inspect", "absent.pth"],
        ["inspect", "recipe.yaml"],
        ["inspect", "."],
        ["inspect", ""],
        ["inspect", "news.pth", "--keys", "nothing*"],
        ["components", "absent.pth"],
        ["components", "recipe.yaml"],
        ["components", ""],
        ["init", "absent.pth"],
        ["init", "recipe.yaml"],
        ["plan", "recipe.yaml", "--set", "checkpoints.news=absent.pth"],
        ["plan", "recipe.yaml", "--set", "wieghts.news=1"],
        ["plan", "recipe.yaml", "--set", "weights.news=2"],
        ["plan", "recipe.yaml", "--set", "weights={"],
        ["plan", "recipe.yaml", "--set", "name.x=1"],
        ["plan", "recipe.yaml", "-o", "merged.txt"],
        ["run", "recipe.yaml", "-o", "news.pth"],
        ["run", "recipe.yaml", "-o", "."],
        ["run", "recipe.yaml", "-o", "recipe.yaml/merged.pth"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_what_cannot_be_done_exits_with_1_and_says_why_on_stderr(arguments: list[str]) -> None:
    shown = invoke(*arguments)
    assert shown.code == 1
    assert shown.out == ""
    assert shown.err.strip()
    assert without_traceback(shown.err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "recipe.yaml"],
        ["validate", "recipe.yaml"],
        ["inspect", "news.pth"],
        ["components"],
        ["components", "news.pth"],
        ["init", "news.pth"],
        ["schema"],
    ],
    ids=" ".join,
)
@pytest.mark.usefixtures("folder")
def test_results_go_to_stdout(arguments: list[str]) -> None:
    command = xttsrecipe if arguments == ["plan", "recipe.yaml"] else invoke  # a pipe is a pipe for all
    shown = command(*arguments)
    assert shown.code == 0
    assert shown.out
    assert shown.err == ""


@pytest.mark.parametrize("verb", ["plan", "run"])
def test_a_bug_exits_with_3_and_says_how_to_report_it(folder: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the flux capacitor is empty")

    monkeypatch.setattr(api, "make_plan", broken)
    shown = invoke(verb, "recipe.yaml")
    assert shown.code == 3
    assert shown.out == ""
    assert "RuntimeError: the flux capacitor is empty" in shown.err
    assert "Traceback" in shown.err
    assert "This is a bug in xttsrecipe, not a mistake of yours. Please report it" in shown.err
    assert f"xttsrecipe {package.__version__}, Python {sys.version.split()[0]}" in shown.err
    assert sorted(path.name for path in folder.iterdir()) == ["audiobook.pth", "news.pth", "recipe.yaml"]


def test_a_bug_in_the_middle_of_a_run_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the flux capacitor is empty")

    monkeypatch.setattr("xttsrecipe.lanes.Lane.pieces", broken)
    shown = invoke("run", "recipe.yaml")
    assert (shown.code, shown.out) == (3, "")
    assert "RuntimeError: the flux capacitor is empty" in shown.err
    assert sorted(path.name for path in folder.iterdir()) == ["audiobook.pth", "news.pth", "recipe.yaml"]


def test_every_problem_is_reported_at_once(folder: Path) -> None:
    write_recipe(
        folder,
        """\
checkpoints: {news: news.pth, audiobook: audiobook.pth}
weights: {news: 0.6, audiobok: 0.4}
overrides:
  "*encoder*": from nwes
output: {path: merged.pth}
""",
    )
    shown = invoke("plan", "recipe.yaml")
    assert shown.code == 1
    assert "recipe.yaml:2:22: " in shown.err
    assert "did you mean 'audiobook'?" in shown.err
    assert "recipe.yaml:4:" in shown.err
    assert "did you mean 'news'?" in shown.err
    assert "^^^^^^^^" in shown.err


def test_all_checkpoints_that_cannot_be_read_are_reported_at_once(folder: Path) -> None:
    (folder / "news.pth").unlink()
    (folder / "audiobook.pth").write_bytes(b"")
    shown = invoke("plan", "recipe.yaml")
    assert shown.code == 1
    assert "news.pth: source 'news' cannot be read: No such file or directory" in shown.err
    assert "audiobook.pth: source 'audiobook' is empty (0 bytes)" in shown.err


# --- plan -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_plan_prints_the_plan_for_people_by_key_and_for_machines() -> None:
    plan = package.make_plan(package.load_recipe("recipe.yaml"))
    assert invoke("plan", "recipe.yaml").out == plan_text(plan)
    assert invoke("plan", "recipe.yaml", "--keys").out == plan_keys_text(plan)
    assert invoke("plan", "recipe.yaml", "--json").out == plan_json(plan)


def test_plan_writes_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    invoke("plan", "recipe.yaml", "-o", "below/merged.pth")
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_json_is_valid_whatever_losses_a_checkpoint_has(folder: Path, value: float) -> None:
    losses = {"train_loss": value, "eval_loss": 1.0}
    save(folder / "news.pth", samples.small_state(1), step=value, model_loss=losses)
    strictly(invoke("inspect", "news.pth", "--json").out)
    strictly(invoke("inspect", "news.pth", "--json", "--keys", "*").out)
    plan = strictly(invoke("plan", "recipe.yaml", "--json").out)
    assert plan["output"]["metadata"]["step"] == 300
    strictly(invoke("plan", "recipe.yaml", "--json", "--keys").out)


@pytest.mark.usefixtures("folder")
def test_plan_says_beforehand_that_run_would_be_refused() -> None:
    shown = invoke("plan", "recipe.yaml", "-o", "news.pth")
    assert shown.code == 0
    assert shown.err.startswith("run would be refused: ")
    assert "is also the source 'news'" in shown.err


# --- settings -------------------------------------------------------------------------------------------------------


def test_set_and_output_are_relative_to_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "recipes").mkdir()
    shutil.move("recipe.yaml", "recipes/recipe.yaml")
    (folder / "elsewhere").mkdir()
    shutil.move("news.pth", "elsewhere/mine.pth")
    monkeypatch.chdir(folder / "elsewhere")
    sources = ["--set", "checkpoints.news=mine.pth", "--set", "checkpoints.audiobook=../audiobook.pth"]
    shown = invoke("run", "../recipes/recipe.yaml", *sources, "-o", "out/merged.pth")
    assert (shown.code, shown.out[:18]) == (0, "out/merged.pth: 9 ")
    assert (folder / "elsewhere" / "out" / "merged.pth").is_file()


def test_paths_in_a_recipe_are_relative_to_its_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert invoke("run", "../recipe.yaml").code == 0
    assert (folder / "merged.pth").is_file()


@pytest.mark.usefixtures("folder")
def test_output_wins_over_the_recipe_and_over_set() -> None:
    shown = invoke("plan", "recipe.yaml", "--set", "output.path=one.pth", "--output", "two.safetensors", "--json")
    output = strictly(shown.out)["output"]
    assert (Path(output["path"]).name, output["format"]) == ("two.safetensors", "safetensors")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["weights.news=0.25", "weights.audiobook=0.75"], {"news": 0.25, "audiobook": 0.75}),
        (["weights={news: 0.1, audiobook: 0.9}"], {"news": 0.1, "audiobook": 0.9}),
        (["weights.news=3", "weights.audiobook=1", "normalize=true"], {"news": 0.75, "audiobook": 0.25}),
        (["weights.news=1e0", "weights.audiobook=0"], {"news": 1.0}),
    ],
    ids=["single", "mapping", "normalize", "exponent"],
)
def test_set_changes_weights(settings: list[str], expected: dict[str, float]) -> None:
    options = [part for setting in settings for part in ("--set", setting)]
    keys = {key["key"]: key for key in strictly(invoke("plan", "recipe.yaml", *options, "--json").out)["keys"]}
    assert keys["gpt.text_head.bias"]["weights"] == pytest.approx(expected)


@pytest.mark.usefixtures("folder")
def test_set_reaches_rules_by_their_quoted_pattern() -> None:
    shown = invoke("plan", "recipe.yaml", "--set", 'overrides."gpt.text_head.*"=from audiobook')
    assert re.search(r'"gpt\.text_head\.\*" +1 .*from audiobook', shown.out)


@pytest.mark.usefixtures("folder")
def test_a_mistyped_field_of_set_is_told_what_it_might_be() -> None:
    shown = invoke("plan", "recipe.yaml", "--set", "chekpoints.news=a.pth")
    assert "--set chekpoints.news=a.pth: no field named 'chekpoints'; did you mean 'checkpoints'?" in shown.err


def test_a_mistyped_source_of_set_is_refused(folder: Path) -> None:
    write_recipe(folder, "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: merged.pth}\n")
    shown = invoke("plan", "recipe.yaml", "--set", "checkpoints.nwes=audiobook.pth")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err == (
        "--set checkpoints.nwes=audiobook.pth: no source named 'nwes'; did you mean 'news'? [XR101]\n"
        "  expected: one of news, audiobook\n"
    )


@pytest.mark.usefixtures("folder")
def test_a_home_of_nobody_is_an_error_of_the_path_not_a_bug() -> None:
    assert invoke("plan", "recipe.yaml", "--set", "checkpoints.news=~nobody-has-this-name/news.pth").code == 1


@pytest.mark.usefixtures("folder")
def test_an_error_in_the_output_option_names_that_option() -> None:
    shown = invoke("plan", "recipe.yaml", "-o", "merged.txt")
    assert shown.err.startswith("-o merged.txt: output.path: ")


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_merges_and_sums_up_in_plain_lines_where_there_is_no_terminal(folder: Path) -> None:
    shown = xttsrecipe("run", "recipe.yaml", TERM="xterm-256color")
    assert shown.code == 0
    assert re.fullmatch(r"merged\.pth: 9 tensors, 57\.6 KB in \d+\.\d s \(\S+ [KMG]?B/s\)\n", shown.out)
    warning, merging = shown.err.splitlines()
    assert warning.startswith("warning: step, epoch and model_loss stay at top level of a release-layout file")
    assert merging == "merging: 57.6 KB to write"
    merged = torch.load(folder / "merged.pth", weights_only=True)
    one, other = samples.small_state(1), samples.small_state(2)
    for key, tensor in merged["model"].items():
        if "encoder" in key:
            assert torch.equal(tensor, one[key])
        else:
            exact = 0.6 * one[key].double() + 0.4 * other[key].double()
            bound = 3e-7 * (0.6 * one[key].double().abs() + 0.4 * other[key].double().abs())
            assert bool(((tensor.double() - exact).abs() <= bound).all())
    assert (merged["step"], merged["epoch"]) == (300, 2)
    assert merged["model_loss"] == pytest.approx(0.6 * 2.5 + 0.4 * 1.5)


def test_notes_go_to_stderr_before_the_run(folder: Path) -> None:
    save(folder / "news.pth", {f"xtts.{key}": tensor for key, tensor in samples.small_state().items()})
    shown = invoke("run", "recipe.yaml")
    assert shown.code == 0
    assert "note: layouts differ (news shrunk, audiobook release): the output is release\n" in shown.err
    assert shown.err.index("note: ") < shown.err.index("merging: ")
    assert "note" not in shown.out


def test_a_second_run_replaces_the_first_ones_output_and_gives_the_same_bytes(folder: Path) -> None:
    digests = []
    for _ in range(2):
        assert invoke("run", "recipe.yaml").code == 0
        digests.append(hashlib.sha256((folder / "merged.pth").read_bytes()).hexdigest())
    assert digests[0] == digests[1]


@pytest.mark.parametrize("name", ["merged.pth", "merged.safetensors"])
def test_an_output_that_someone_else_made_is_refused_but_for_force(folder: Path, name: str) -> None:
    old = save(folder / name, samples.small_state()).read_bytes()
    refused = invoke("run", "recipe.yaml", "-o", name)
    assert (refused.code, refused.out) == (1, "")
    assert "exists and was not made by xttsrecipe" in refused.err
    assert "--force" in refused.err
    assert (folder / name).read_bytes() == old
    assert invoke("run", "recipe.yaml", "-o", name, "--force").code == 0
    assert (folder / name).read_bytes() != old
    assert invoke("run", "recipe.yaml", "-o", name).code == 0


@pytest.mark.parametrize("link", ["same", "symbolic", "hard", "around"])
def test_an_output_that_is_an_input_is_refused_even_with_force(folder: Path, link: str) -> None:
    output = folder / "out.pth"
    match link:
        case "same":
            output = folder / "news.pth"
        case "symbolic":
            output.symlink_to("news.pth")
        case "hard":
            output.hardlink_to(folder / "news.pth")
        case "around":
            (folder / "below").mkdir()
            output = folder / "below" / ".." / "news.pth"
    old = (folder / "news.pth").read_bytes()
    for options in ([], ["--force"]):
        shown = invoke("run", "recipe.yaml", "-o", output, *options)
        assert shown.code == 1
        assert "is also the source 'news'" in shown.err
    assert (folder / "news.pth").read_bytes() == old


def test_a_file_of_another_digest_is_refused(folder: Path) -> None:
    digest = hashlib.sha256((folder / "news.pth").read_bytes()).hexdigest()
    text = "checkpoints: {{news: {{path: news.pth, sha256: {}}}, audiobook: audiobook.pth}}\noutput: {{path: m.pth}}\n"
    write_recipe(folder, text.format("f" * 64))
    shown = invoke("run", "recipe.yaml")
    assert (shown.code, shown.out) == (1, "")
    assert f"found: sha256 {digest}" in shown.err
    assert not (folder / "m.pth").exists()
    write_recipe(folder, text.format(digest))
    assert invoke("run", "recipe.yaml").code == 0


def test_a_source_is_hashed_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256((folder / "news.pth").read_bytes()).hexdigest()
    write_recipe(folder, f"checkpoints: {{news: {{path: news.pth, sha256: {digest}}}}}\noutput: {{path: m.pth}}\n")
    hashed: list[Path] = []
    original = SourceDigests._read

    def counted(digests: SourceDigests, path: Path, stamp: FileStamp) -> str:
        hashed.append(path)
        return original(digests, path, stamp)

    monkeypatch.setattr(SourceDigests, "_read", counted)
    assert invoke("run", "recipe.yaml").code == 0
    assert hashed == [Path("news.pth")]


# --- interruptions --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recipe over two checkpoints of 200 MB, which are zeros that take no room on the disk."""
    return hollow(tmp_path_factory.mktemp("big"), layers=25)


def hollow(folder: Path, layers: int) -> Path:
    """Fills the folder; 8.4 MB for each layer."""
    for name in ("news", "audiobook"):
        state = {f"gpt.gpt.h.{layer}.mlp.c_fc.weight": torch.empty(1024, 2048) for layer in range(layers)}
        with torch.serialization.skip_data():
            torch.save({"model": state}, folder / f"{name}.pth")
    write_recipe(folder, "checkpoints: {news: news.pth, audiobook: audiobook.pth}\noutput: {path: out/merged.pth}\n")
    return folder


def interruptible() -> None:
    """What a shell gives its foreground commands: a test run in the background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def wait_for(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "old"),
    [(signal.SIGINT, True), (signal.SIGTERM, False)],
    ids=["Ctrl-C over an old output", "SIGTERM into a new folder"],
)
def test_an_interrupted_run_leaves_everything_as_it_was(big: Path, number: signal.Signals, old: bool) -> None:
    out = big / "out"
    shutil.rmtree(out, ignore_errors=True)
    if old:
        out.mkdir()
        save(out / "merged.pth", samples.small_state(), xttsrecipe={"version": "0"})
    before = {path: path.read_bytes() for path in out.glob("*")}
    with subprocess.Popen(
        [*COMMAND, "run", "recipe.yaml"],
        cwd=big,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=interruptible,
    ) as process:
        wait_for(lambda: process.poll() is not None or any(file.stat().st_size > 0 for file in temporary(out)))
        process.send_signal(number)
        shown, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert shown == ""
    assert "interrupted" in errors
    assert without_traceback(errors)
    assert {path: path.read_bytes() for path in out.glob("*")} == before
    assert not list(temporary(out))
    assert out.exists() == old


def temporary(folder: Path) -> Iterator[Path]:
    return folder.glob(".*.xttsrecipe.tmp")


# --- terminals and pipes --------------------------------------------------------------------------------------------


def on_a_terminal(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    """Exit code, stdout and what a terminal that is stderr was shown."""
    ours, theirs = pty.openpty()
    seen = io.BytesIO()

    def read() -> None:
        try:
            while piece := os.read(ours, 1 << 16):
                seen.write(piece)
        except OSError:  # Linux says EIO when the other side closes
            return

    environ = {name: value for name, value in environment().items() if name not in ("NO_COLOR", "TERM")}
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=cwd, env=environ | {"TERM": "xterm-256color"}, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        reader = threading.Thread(target=read)
        reader.start()
        out, _ = process.communicate(timeout=60)
        reader.join(timeout=10)
    os.close(ours)
    return process.returncode, out.decode(), seen.getvalue().decode()


def test_on_a_terminal_a_run_shows_a_bar_with_bytes_rate_and_time_left(tmp_path: Path) -> None:
    code, out, seen = on_a_terminal("run", "recipe.yaml", cwd=hollow(tmp_path, layers=5))
    assert code == 0
    assert out.startswith("out/merged.pth: 5 tensors, 41.9 MB in ")
    assert "merging" in seen
    assert "━" in seen
    assert re.search(r"\d/41\.9 MB", seen)
    assert re.search(r"\d [MG]B/s", seen)
    assert re.search(r"\d:\d\d:\d\d", seen)
    assert "to write" not in seen
    assert "\x1b" not in out


@pytest.mark.parametrize("arguments", [["plan", "--keys", "many.yaml"], ["inspect", "--keys", "*", "many.pth"]])
def test_a_reader_who_has_seen_enough_is_no_error(folder: Path, arguments: list[str]) -> None:
    save(folder / "many.pth", {f"layer.{number}.{'x' * 60}": torch.zeros(1) for number in range(3000)})
    write_recipe(folder, "checkpoints: {many: many.pth}\noutput: {path: out.pth}\n", "many.yaml")
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 0


def test_a_run_whose_messages_nobody_reads_does_not_say_yes_without_having_merged(folder: Path) -> None:
    """``xttsrecipe run recipe.yaml 2>&1 | true``: exit code 0 means that the output is there."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "run", "recipe.yaml"], cwd=folder, env=environment(), stdout=writing, stderr=writing, timeout=60
    )
    os.close(writing)
    assert done.returncode != 0 or (folder / "merged.pth").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plan", "café.yaml"],
        ["plan", "café.yaml", "--json"],
        ["inspect", "café.pth"],
        ["inspect", "café.pth", "--json"],
        ["init", "café.pth"],
        ["validate", "café.yaml"],
        ["run", "café.yaml"],
    ],
    ids=" ".join,
)
def test_a_terminal_that_knows_only_ascii_is_no_error(folder: Path, arguments: list[str]) -> None:
    shutil.copy("news.pth", "café.pth")
    write_recipe(
        folder, "description: für große Ohren\ncheckpoints: {a: café.pth}\noutput: {path: größe.pth}\n", "café.yaml"
    )
    ascii_only = {"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    if arguments in (["--help"], ["plan", "café.yaml"], ["run", "café.yaml"]):
        shown = xttsrecipe(*arguments, cwd=folder, **ascii_only)
    else:
        shown = invoke(*arguments, charset="ascii", **ascii_only)
    assert shown.code == 0, shown.err
    assert shown.out.isascii()
    assert shown.err.isascii()
    if "--json" in arguments:
        strictly(shown.out)


def test_an_error_on_a_terminal_that_knows_only_ascii_is_an_error_not_a_bug(folder: Path) -> None:
    write_recipe(folder, "checkpoints: {ä: ö.pth}\noutput: {path: größe.pth}\n")
    shown = xttsrecipe("plan", "recipe.yaml", cwd=folder, LANG="C", LC_ALL="C", PYTHONIOENCODING="ascii")
    assert shown.code == 1
    assert "recipe.yaml:1:15:" in shown.err


# --- odd names ------------------------------------------------------------------------------------------------------

needs_any_bytes = pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")


@needs_any_bytes
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_odd_names_are_inspected_planned_and_merged(folder: Path, name: str) -> None:
    shutil.move("news.pth", name)
    command = xttsrecipe if name == LATIN_1 else invoke  # the system's own streams, for what no text can hold
    inspected = command("inspect", f"./{name}")
    assert (inspected.code, inspected.err) == (0, "")
    source = f"checkpoints.news={folder}/{name}"
    if name == ODD_NAMES["variable"]:
        return  # ${VAR} expands, as documented
    planned = command("plan", "recipe.yaml", "--set", source, "--json")
    assert planned.code == 0, planned.err
    assert os.fsencode(strictly(planned.out)["sources"][0]["path"]) == os.fsencode(f"{folder}/{name}")
    run = invoke("run", "recipe.yaml", "--set", source, "-o", f"out/{name}")
    assert run.code == 0, run.err
    assert (folder / "out" / name).is_file()


@needs_any_bytes
@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9.yaml"), "new\nline.yaml", "a b.yaml"], ids=ascii)
def test_recipes_may_have_odd_names(folder: Path, name: str) -> None:
    shutil.move("recipe.yaml", name)
    for verb in ("plan", "validate", "run"):
        shown = invoke(verb, name)
        assert shown.code == 0, shown.err
    merged = torch.load(folder / "merged.pth", weights_only=True)
    assert merged["xttsrecipe"]["recipe_name"] == Path(name).stem


@needs_any_bytes
def test_errors_about_odd_names_are_errors_not_bugs(folder: Path) -> None:
    assert xttsrecipe("inspect", LATIN_1, cwd=folder).code == 1
    assert invoke("plan", os.fsdecode(b"caf\xe9.yaml")).code == 1
    assert invoke("run", "recipe.yaml", "--set", f"checkpoints.news={LATIN_1}").code == 1


# --- init -----------------------------------------------------------------------------------------------------------


def several(folder: Path, count: int) -> list[str]:
    names = [f"voice{number}.pth" for number in range(count)]
    for number, name in enumerate(names):
        save(folder / name, samples.small_state(number), config=samples.config("x"), step=number)
    return names


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_what_init_prints_is_a_recipe_of_equal_parts(folder: Path, count: int) -> None:
    shown = invoke("init", *several(folder, count))
    assert (shown.code, shown.err) == (0, "")
    data = yaml.safe_load(shown.out)
    assert list(data["checkpoints"].values()) == [f"voice{number}.pth" for number in range(count)]
    assert sum(data["weights"].values()) == pytest.approx(1, abs=1e-9)
    assert max(data["weights"].values()) - min(data["weights"].values()) < 1e-3
    assert shown.out.count("\n#") > 5


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("option", [True, False], ids=["-o", "stdout"])
def test_what_init_writes_validates_plans_and_runs_unchanged(folder: Path, count: int, option: bool) -> None:
    names = several(folder, count)
    if option:
        shown = invoke("init", *names, "-o", "started.yaml")
        assert (shown.code, shown.out) == (0, "")
        assert "xttsrecipe plan started.yaml" in shown.err
    else:
        (folder / "started.yaml").write_text(invoke("init", *names).out, "utf-8")
    for verb in ("validate", "plan", "run"):
        done = invoke(verb, "started.yaml")
        assert (done.code, "refused" in done.err) == (0, False), done.err


def test_the_recipe_of_init_looks_as_agreed(folder: Path) -> None:
    samples.trainer(folder / "best_model.pth")
    text = invoke("init", "news.pth", "audiobook.pth", "best_model.pth").out
    text = re.sub(r"\d\S* [KM]B", "<size>", text.replace(re.sub(r"[^A-Za-z0-9_-]+", "_", folder.name), "<folder>"))
    check_golden("cli/init.yaml", text)


def test_init_writes_paths_relative_to_the_recipe(folder: Path) -> None:
    (folder / "recipes").mkdir()
    assert invoke("init", "news.pth", "audiobook.pth", "-o", "recipes/both.yaml").code == 0
    assert list(yaml.safe_load(Path("recipes/both.yaml").read_text("utf-8"))["checkpoints"].values()) == [
        "../news.pth",
        "../audiobook.pth",
    ]
    assert invoke("run", "recipes/both.yaml").code == 0
    assert (folder / "recipes" / "news_audiobook_merged.pth").is_file()


def test_init_writes_paths_that_work_from_a_linked_folder(folder: Path) -> None:
    (folder / "deep" / "deeper").mkdir(parents=True)
    (folder / "link").symlink_to("deep/deeper")
    assert invoke("init", "news.pth", "audiobook.pth", "-o", "link/both.yaml").code == 0
    assert invoke("plan", "link/both.yaml").code == 0


@needs_any_bytes
@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_init_works_with_odd_names(folder: Path, name: str) -> None:
    shutil.move("news.pth", name)
    (folder / "recipes").mkdir()
    made = invoke("init", f"./{name}", "-o", "recipes/one.yaml")
    if name == ODD_NAMES["variable"]:
        assert (made.code, made.err) == (
            1,
            f"{name}: has ${{ in its name, which recipes replace [XR112]\n  help: rename it\n",
        )
        assert not (folder / "recipes" / "one.yaml").exists()
        return
    assert made.code == 0, made.err
    shown = invoke("run", "recipes/one.yaml")
    assert shown.code == 0, shown.err


@needs_any_bytes
def test_init_tells_files_of_one_name_apart(folder: Path) -> None:
    for below in ("a", "b"):
        (folder / below).mkdir()
        shutil.copy("news.pth", folder / below / "voice.pth")
        shutil.copy("news.pth", folder / below / "model.pth")
    files = ["a/voice.pth", "b/voice.pth", "a/model.pth", "b/model.pth"]
    data = yaml.safe_load(invoke("init", *files).out)
    assert list(data["checkpoints"]) == ["voice", "voice_2", "a", "b"]


def test_init_is_not_led_astray_by_what_a_checkpoint_says_of_itself(folder: Path) -> None:
    save(folder / "odd.pth", samples.small_state(), step="1\n  evil: /etc/passwd")
    data = yaml.safe_load(invoke("init", "odd.pth").out)
    assert list(data["checkpoints"]) == ["odd"]


def test_init_overwrites_nothing(folder: Path) -> None:
    old = (folder / "recipe.yaml").read_bytes()
    shown = invoke("init", "news.pth", "-o", "recipe.yaml")
    assert (shown.code, shown.out) == (1, "")
    assert "recipe.yaml: exists: it is not overwritten" in shown.err
    assert (folder / "recipe.yaml").read_bytes() == old


@pytest.mark.usefixtures("folder")
def test_init_into_a_folder_that_is_not_there_is_an_error() -> None:
    shown = invoke("init", "news.pth", "-o", "absent/recipe.yaml")
    assert shown.code == 1
    assert "absent/recipe.yaml: cannot be written: No such file or directory" in shown.err


# --- validate -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("folder")
def test_validate_checks_the_headers_of_checkpoints_that_are_there() -> None:
    shown = invoke("validate", "recipe.yaml")
    assert (shown.code, shown.out, shown.err) == (0, "recipe.yaml: valid, its checkpoints' headers too\n", "")


def test_validate_finds_what_only_the_headers_show(folder: Path) -> None:
    save(folder / "audiobook.pth", {"gpt.text_head.bias": torch.zeros(6681)})
    shown = invoke("validate", "recipe.yaml")
    assert (shown.code, shown.out) == (1, "")
    assert "missing in audiobook" in shown.err


@pytest.mark.parametrize("absent", [["news"], ["news", "audiobook"]], ids=" ".join)
def test_validate_says_that_patterns_were_checked_against_the_built_in_table(folder: Path, absent: list[str]) -> None:
    for name in absent:
        (folder / f"{name}.pth").unlink()
    shown = invoke("validate", "recipe.yaml")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == (
        f"recipe.yaml: valid, without its checkpoints ({', '.join(absent)} not here): "
        "patterns were checked against the keys of XTTS-V2\n"
    )


def test_validate_finds_a_mistyped_pattern_without_checkpoints(tmp_path: Path) -> None:
    text = 'checkpoints: {a: a.pth}\noverrides:\n  "gpt.txt_head.*": from a\noutput: {path: m.pth}\n'
    shown = invoke("validate", write_recipe(tmp_path, text))
    assert (shown.code, shown.out) == (1, "")
    assert "recipe.yaml:3:3: rule 'gpt.txt_head.*' matches no key" in shown.err
    assert "did you mean 'gpt.text_head.*'" in shown.err


@pytest.mark.usefixtures("folder")
def test_validate_reports_every_recipe_of_files_and_folders() -> None:
    Path("more/below").mkdir(parents=True)
    Path("more/.hidden").mkdir()
    Path("more/below/good.yml").write_text("checkpoints: {a: a.pth}\noutput: {path: m.pth}\n", "utf-8")
    Path("more/bad.yaml").write_text("checkpoints: 3\noutput: {path: m.pth}\n", "utf-8")
    Path("more/worse.yaml").write_text("checkpoints: {a: *x}\n", "utf-8")
    Path("more/.hidden/bad.yaml").write_text("nonsense", "utf-8")
    Path("more/notes.txt").write_text("nonsense", "utf-8")
    shown = invoke("validate", "more", "recipe.yaml", "absent.yaml")
    assert shown.code == 1
    assert [line.split(":")[0] for line in shown.out.splitlines()] == ["more/below/good.yml", "recipe.yaml"]
    assert "more/bad.yaml:1:14: checkpoints: expected a mapping" in shown.err
    assert "more/worse.yaml:1:" in shown.err
    assert "absent.yaml: the recipe cannot be read" in shown.err
    assert ".hidden" not in shown.err
    assert "notes" not in shown.err


def test_validate_of_a_folder_without_recipes_says_so(tmp_path: Path) -> None:
    shown = invoke("validate", tmp_path)
    assert shown.code == 1
    assert "there is no recipe in this folder" in shown.err


@pytest.mark.usefixtures("folder")
def test_validate_passes_by_a_folder_that_is_called_like_a_recipe() -> None:
    Path("more/folder.yaml").mkdir(parents=True)
    shutil.copy("recipe.yaml", "more/recipe.yaml")
    assert invoke("validate", "more").code == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("form", ["github", "json", "sarif"])
def test_validate_in_a_format_for_machines_says_all_on_stdout(form: str) -> None:
    Path("bad.yaml").write_text("checkpoints: {a: a.pth}\nweights: {b: 1}\noutput: {path: m.pth}\n", "utf-8")
    for arguments, code in ((["recipe.yaml"], 0), (["bad.yaml", "recipe.yaml"], 1), (["absent.yaml"], 1)):
        shown = invoke("validate", *arguments, "--format", form)
        assert (shown.code, shown.err) == (code, "")
        if form != "github":
            strictly(shown.out)
        assert ("XR" in shown.out) == bool(code)


@pytest.mark.usefixtures("folder")
def test_validate_refuses_a_format_that_there_is_not() -> None:
    shown = invoke("validate", "recipe.yaml", "--format", "xml")
    assert (shown.code, shown.out) == (2, "")
    assert "'sarif'" in " ".join(shown.err.split())


def test_validate_adds_to_the_summary_of_a_step_of_github(folder: Path) -> None:
    (folder / "bad.yaml").write_text("weights: {b: 1}\n", "utf-8")
    (folder / "summary.md").write_text("# Checks", "utf-8")
    shown = invoke("validate", "bad.yaml", "--format", "github", GITHUB_STEP_SUMMARY="summary.md")
    assert (shown.code, shown.err) == (1, "")
    assert shown.out.startswith("::error file=bad.yaml,line=1,col=1,endColumn=2,title=XR202 missing-field::'checkp")
    text = (folder / "summary.md").read_text("utf-8")
    assert text.startswith("# Checks\n### xttsrecipe validate: 2 problems in 1 of 1 recipe\n\n```text\nbad.yaml:1:1: ")


# --- inspect, components and schema ----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", samples.LAYOUTS)
def test_inspect_prints_what_a_checkpoint_is(folder: Path, layout: str) -> None:
    path = samples.make(layout, folder)
    header = package.inspect(path)
    assert invoke("inspect", path).out == inspection.inspection_text(header)
    assert invoke("inspect", path, "--json").out == inspection.inspection_json(header, None)
    assert invoke("inspect", path, "--keys", "*").out == inspection.inspection_keys_text(header, "*")
    assert invoke("inspect", path, "--keys", "*", "--json").out == inspection.inspection_json(header, "*")
    strictly(invoke("inspect", path, "--keys", "*", "--json").out)


@pytest.mark.parametrize("output", ["merged.pth", "merged.safetensors"])
@pytest.mark.usefixtures("folder")
def test_inspect_says_of_an_output_how_it_was_made(output: str) -> None:
    assert invoke("run", "recipe.yaml", "-o", output).code == 0
    shown = invoke("inspect", output)
    assert re.search(r"made by +xttsrecipe \S+, recipe recipe, from news, audiobook", shown.out)
    entries = strictly(invoke("inspect", output, "--json").out)["entries"]
    assert entries["xttsrecipe"]["recipe"] == Path("recipe.yaml").read_text("utf-8")
    assert [source["file"] for source in entries["xttsrecipe"]["sources"]] == ["news.pth", "audiobook.pth"]
    assert (entries["step"], entries["epoch"]) == (300, 2)


@pytest.mark.usefixtures("folder")
def test_components_prints_the_table_or_what_a_checkpoint_has_of_each() -> None:
    header = package.inspect("news.pth")
    assert invoke("components").out == components_text(None)
    assert invoke("components", "--json").out == components_json(None)
    assert invoke("components", "news.pth").out == components_text(header)
    assert invoke("components", "news.pth", "--json").out == components_json(header)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_checkpoint_that_is_not_xtts_has_no_components(folder: Path, options: list[str]) -> None:
    shown = invoke("components", samples.make("plain", folder), *options)
    assert (shown.code, shown.out) == (1, "")
    assert "plain.pt: is not XTTS: it has no named components" in shown.err


def test_schema_prints_the_schema_byte_for_byte() -> None:
    done = subprocess.run([*COMMAND, "schema"], capture_output=True, timeout=60, env=environment())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (PROJECT / "schema" / "recipe.schema.json").read_bytes()


# --- imports --------------------------------------------------------------------------------------------------------


# Says after each command, all in one process, which of these modules are there.
IMPORTING = """
import contextlib, io, json, sys
from xttsrecipe.__main__ import main
found = []
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        try:
            main()
        except SystemExit as end:
            assert not end.code, arguments
    found.append([name for name in ("torch", "numpy", "safetensors", "rich", "xttsrecipe.api") if name in sys.modules])
print(json.dumps(found))
"""


def imported(*commands: Sequence[str], cwd: Path) -> list[list[str]]:
    """Which modules are there after each of these commands."""
    command = [sys.executable, "-c", IMPORTING, json.dumps(commands)]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: list[list[str]] = json.loads(done.stdout)
    return found


def test_no_verb_but_run_imports_torch_or_rich(folder: Path) -> None:
    commands = [
        ["--version"],
        ["schema"],
        ["components"],
        ["components", "news.pth"],
        ["inspect", "news.pth"],
        ["validate", "recipe.yaml"],
        ["plan", "recipe.yaml"],
        ["plan", "recipe.yaml", "--json"],
        ["init", "news.pth", "audiobook.pth"],
    ]
    assert imported(*commands, cwd=folder) == [["xttsrecipe.api"]] * len(commands)


def test_run_imports_torch_but_not_rich_without_a_terminal(folder: Path) -> None:
    (modules,) = imported(["run", "recipe.yaml"], cwd=folder)
    assert "torch" in modules
    assert "rich" not in modules


# --- model directories ---------------------------------------------------------------------------------------------


@pytest.fixture
def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with news/, audiobook/ and recipe.yaml, which merges them into merged/, in it."""
    monkeypatch.chdir(tmp_path)
    two_voices(tmp_path)
    write_recipe(tmp_path, "checkpoints: {news: news, audiobook: audiobook}\noutput: {path: merged/}\n")
    return tmp_path


def test_run_into_a_directory_names_it_and_what_is_in_it(voices: Path) -> None:
    shown = invoke("run", "recipe.yaml")
    assert shown.code == 0
    assert re.fullmatch(
        r"merged/: 9 tensors, 276 B in \d+\.\d s \(\S+ [KMG]?B/s\), with config\.json, vocab\.json, "
        r"speakers_xtts\.pth, mel_stats\.pth, dvae\.pth, README\.md\n",
        shown.out,
    )
    first, second, merging = shown.err.splitlines()
    assert first == "warning: the vocab.json of news and audiobook differ: tokens are merged by their text"
    assert second.startswith("warning: the speaker latents in speakers_xtts.pth come from news's encoders")
    assert merging == "merging: 276 B to write"
    assert set(folder_bytes(voices / "merged")) == {
        "model.pth", "config.json", "vocab.json", "speakers_xtts.pth", "mel_stats.pth", "dvae.pth", "README.md",
    }  # fmt: skip


def test_a_second_run_into_a_directory_replaces_it_with_the_same_bytes(voices: Path) -> None:
    assert invoke("run", "recipe.yaml").code == 0
    first = folder_bytes(voices)
    assert invoke("run", "--force", "recipe.yaml").code == 0
    assert folder_bytes(voices) == first
    assert invoke("run", "recipe.yaml", "--set", "weights={news: 1, audiobook: 0}").code == 0
    assert (voices / "merged/vocab.json").read_bytes() == (voices / "news/vocab.json").read_bytes()


def test_a_directory_that_holds_more_is_refused_even_with_force(voices: Path) -> None:
    assert invoke("run", "recipe.yaml").code == 0
    (voices / "merged/reference.wav").write_bytes(b"RIFF")
    before = folder_bytes(voices)
    assert invoke("run", "recipe.yaml").out == "merged/: up to date\n"
    for options in (["--set", "name=other"], ["--force"]):
        shown = invoke("run", "recipe.yaml", *options)
        assert (shown.code, shown.out) == (1, "")
        assert "holds what does not belong to a model directory" in shown.err
        assert "found: reference.wav" in shown.err
        assert folder_bytes(voices) == before
    shown = invoke("plan", "recipe.yaml")
    assert shown.code == 0
    assert "run would be refused: " in shown.err


@pytest.mark.parametrize("output", ["news", "news/", "./audiobook"])
def test_a_source_directory_is_refused_as_output_even_with_force(output: str, voices: Path) -> None:
    before = folder_bytes(voices)
    for options in ([], ["--force"]):
        shown = invoke("run", "recipe.yaml", "-o", output, *options)
        assert (shown.code, shown.out) == (1, "")
        assert "a run never overwrites its input, not even with --force" in shown.err
        assert folder_bytes(voices) == before


def test_a_foreign_directory_is_replaced_with_force(voices: Path) -> None:
    voice(voices / "merged", seed=9)
    assert invoke("run", "recipe.yaml").code == 1
    assert invoke("run", "recipe.yaml", "--force").code == 0
    assert invoke("run", "recipe.yaml").code == 0


@pytest.mark.parametrize("output", ["there", "there/", "new/", "deep/er/new/"])
def test_the_output_option_may_name_a_directory(output: str, voices: Path) -> None:
    (voices / "there").mkdir()
    shown = invoke("run", "recipe.yaml", "-o", output)
    assert shown.code == 0
    assert shown.out.startswith(f"{output.rstrip('/')}/: 9 tensors")
    assert (voices / output / "model.pth").is_file()


def test_a_directory_that_is_not_there_needs_its_slash(voices: Path) -> None:
    shown = invoke("run", "recipe.yaml", "-o", "new")
    assert (shown.code, shown.out) == (1, "")
    assert shown.err.startswith("-o new: output.path: ")
    assert "ends in / is a model directory" in shown.err


def test_run_into_a_file_names_the_vocabulary_beside_it(voices: Path) -> None:
    shown = invoke("run", "recipe.yaml", "-o", "out.pth")
    assert shown.code == 0
    assert shown.out.rstrip().endswith(", with out.vocab.json")
    assert "the model is to be loaded with out.vocab.json, merged from news and audiobook" in shown.err


def test_what_is_missing_for_a_directory_exits_with_1(voices: Path) -> None:
    (voices / "news/vocab.json").unlink()
    (voices / "audiobook/vocab.json").unlink()
    for verb in ("run", "plan", "validate"):
        shown = invoke(verb, "recipe.yaml")
        assert (shown.code, shown.out) == (1, "")
        assert "an output directory needs a vocab.json" in shown.err


def test_a_merged_directory_is_inspected_and_merged_like_any(voices: Path) -> None:
    assert invoke("run", "recipe.yaml").code == 0
    shown = invoke("inspect", "merged")
    assert (shown.code, shown.err) == (0, "")
    assert re.search(r"^directory +merged$", shown.out, flags=re.MULTILINE)
    assert re.search(r"^  made by +xttsrecipe .*, from news, audiobook$", shown.out, flags=re.MULTILINE)
    assert invoke("components", "merged/").code == 0
    assert invoke("run", "recipe.yaml", "--set", "checkpoints.news=merged", "-o", "again/").code == 0


def test_a_plan_of_directories_imports_no_torch(voices: Path) -> None:
    assert imported(["plan", "recipe.yaml"], cwd=voices) == [["xttsrecipe.api"]]


def test_a_verb_that_writes_no_output_says_nothing_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(path: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "inspect", stopped)
    assert invoke("inspect", tmp_path / "a.pth") == Outcome(130, "", "interrupted\n")


def test_an_interrupted_run_into_a_directory_leaves_the_old_one(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert invoke("run", "recipe.yaml").code == 0
    before = folder_bytes(voices)

    def interrupt(plan: package.plan.Plan, on_bytes: Callable[[int], None], *rest: Any) -> Any:
        def stop(count: int) -> None:
            raise KeyboardInterrupt

        return original(plan, stop, *rest)

    original = api.execute_plan
    monkeypatch.setattr(api, "execute_plan", interrupt)
    shown = invoke("run", "recipe.yaml", "--set", "weights={news: 0.9, audiobook: 0.1}")
    assert (shown.code, shown.out) == (130, "")
    assert folder_bytes(voices) == before


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("option", [True, False], ids=["-o", "stdout"])
def test_what_init_writes_for_directories_validates_plans_and_runs(count: int, option: bool, voices: Path) -> None:
    names = ["news/", "audiobook"][:count]
    if option:
        (voices / "recipes").mkdir()
        assert invoke("init", *names, "-o", "recipes/started.yaml").code == 0
        path = "recipes/started.yaml"
    else:
        (voices / "started.yaml").write_text(invoke("init", *names).out, "utf-8")
        path = "started.yaml"
    data = yaml.safe_load(Path(path).read_text("utf-8"))
    above = "../" if option else ""
    assert data["checkpoints"] == {name: f"{above}{name}" for name in ("news", "audiobook")[:count]}
    for verb in ("validate", "plan", "run"):
        done = invoke(verb, path)
        assert (done.code, "refused" in done.err) == (0, False), done.err


@pytest.mark.parametrize("name", ["news voice", LATIN_1, "a\nb", "model", "true", "~news", "-v", "order", "名"])
def test_init_works_with_directories_of_odd_names(name: str, voices: Path) -> None:
    (voices / "news").rename(voices / name)
    shown = invoke("init", "-o", "started.yaml", "--", f"./{name}", "audiobook")
    assert shown.code == 0, shown.err
    done = invoke("run", "started.yaml", "-o", "out/")
    assert done.code == 0, done.err
    assert (voices / "out/vocab.json").is_file()


def test_init_in_the_directory_itself_calls_it_by_its_name(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(voices / "news")
    data = yaml.safe_load(invoke("init", ".", "../audiobook").out)
    assert data["checkpoints"] == {"news": ".", "audiobook": "../audiobook"}


# --- what is written ------------------------------------------------------------------------------------------------


@pytest.fixture
def spoiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a recipe over two checkpoints that hold NaN, infinity and numbers beyond float16."""
    monkeypatch.chdir(tmp_path)
    nan, inf = float("nan"), float("inf")
    save(tmp_path / "a.pth", {"x": torch.tensor([1.0, nan, nan]), "y": torch.tensor([9e4, 1.0]), "z": torch.ones(2)})
    save(tmp_path / "b.pth", {"x": torch.tensor([1.0, nan, inf]), "y": torch.tensor([9e4, 1.0]), "z": torch.ones(2)})
    write_recipe(tmp_path, "checkpoints: {a: a.pth, b: b.pth}\noutput: {path: out.pth}\n")
    return tmp_path


def test_a_run_names_what_is_not_finite_and_whose_it_is(spoiled: Path) -> None:
    shown = invoke("run", "recipe.yaml")
    assert shown.code == 0
    assert "warning: 1 tensor holds values that are NaN or infinite [XR607]\n    x: 2 from a, 2 from b\n" in shown.err
    assert shown.out.startswith("out.pth: 3 tensors")


def test_without_check_only_what_is_computed_is_looked_at(spoiled: Path) -> None:
    taken = ("--set", "overrides={x: from a}")
    assert "x: 2 from a\n" in invoke("run", "recipe.yaml", *taken).err
    shown = invoke("run", "recipe.yaml", *taken, "--no-check")
    assert (shown.code, "warning" in shown.err) == (0, False)


def test_a_run_refuses_values_too_large_for_the_outputs_type(spoiled: Path) -> None:
    before = folder_bytes(spoiled)
    shown = invoke("run", "recipe.yaml", "--set", "output.dtype=float16", "--no-check")
    assert (shown.code, shown.out) == (1, "")
    assert "1 tensor has values that are too large for float16" in shown.err
    assert "    y: 1 of its values\n" in shown.err
    assert "help: write a type with more range (output.dtype: bfloat16 or float32), or run again with" in shown.err
    assert folder_bytes(spoiled) == before


def test_a_run_writes_infinity_where_that_is_allowed(spoiled: Path) -> None:
    shown = invoke("run", "recipe.yaml", "--set", "output.dtype=float16", "--allow-overflow")
    assert shown.code == 0
    assert "    y: 1 too large for float16\n" in shown.err
    assert torch.load("out.pth", weights_only=True)["model"]["y"].tolist() == [float("inf"), 1.0]


@pytest.mark.parametrize("threads", ["1", "2", "8"])
def test_the_number_of_threads_changes_no_byte(threads: str, folder: Path) -> None:
    assert invoke("run", "recipe.yaml").code == 0
    (made,) = set(folder.glob("*.pth")) - {folder / "news.pth", folder / "audiobook.pth"}
    expected = made.read_bytes()
    assert invoke("run", "recipe.yaml", "--threads", threads).code == 0
    assert made.read_bytes() == expected


@pytest.mark.parametrize("threads", ["0", "-1", "65", "two"])
def test_no_such_number_of_threads_is_wrong_usage(threads: str, folder: Path) -> None:
    shown = invoke("run", "recipe.yaml", "--threads", threads)
    assert (shown.code, shown.out) == (2, "")
    assert "--threads" in shown.err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_refused_before_anything_is_written(folder: Path) -> None:
    before = folder_bytes(folder)
    shown = invoke("run", "recipe.yaml", "--device", "cuda")
    assert (shown.code, shown.out) == (1, "")
    assert "the device 'cuda' cannot be used" in shown.err
    assert "help: leave --device out to compute on the processor" in shown.err
    assert without_traceback(shown.err)
    assert folder_bytes(folder) == before
