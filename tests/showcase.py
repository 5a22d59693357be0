"""A repository in which recipes change in every way that there is, without a checkpoint: for what reports look like."""

from __future__ import annotations

from pathlib import Path

from tests.commands import PROJECT
from tests.repositories import Scratch

BLEND = (PROJECT / "recipes" / "layer_blend.yaml").read_text("utf-8")

# What the page shows that explains comments on pull requests: the shipped recipe, changed in a pull request.
CHANGED_BLEND = BLEND.replace("{news: 0.8, audiobook: 0.2}", "{news: 0.6, audiobook: 0.4}").replace(
    '  "gpt.gpt.h.*.ln_{1,2}.*": from news\n',
    '  "gpt.gpt.h.*.ln_{1,2}.*": from news\n  "@vocoder": from audiobook\n',
)

TWO = """\
checkpoints:
  news: ../voices/news.pth
  audiobook: ../voices/audiobook.pth
weights: {news: 0.6, audiobook: 0.4}
output: {path: ../merged/two.pth}
"""

# That knows no source.
LOCK = f'lock: 1\nplan_sha256: "{"0" * 64}"\nsources: {{}}\n'

BEFORE = {
    "recipes/layer_blend.yaml": BLEND,
    "recipes/sources.yaml": TWO,
    "recipes/renamed.yaml": TWO,
    "recipes/text.yaml": TWO,
    "recipes/lock.yaml": TWO,
    "recipes/lock.lock.yaml": LOCK,
    "recipes/gone.yaml": TWO,
    "recipes/broken.yaml": TWO,
    "recipes/same.yaml": TWO,
    ".github/workflows/ci.yaml": "on: push\n",
}
AFTER = {
    "recipes/layer_blend.yaml": CHANGED_BLEND,
    "recipes/sources.yaml": TWO.replace(
        "news: ../voices/news.pth", "news: ../voices/news_v2.pth\n  base: ../voices/base.pth"
    )
    .replace("{news: 0.6, audiobook: 0.4}", "{news: 0.6, audiobook: 0.4, base: 0}")
    .replace("two.pth}", "two.safetensors, dtype: float16}")
    + "overrides: {mel_stats: from base}\nmetadata: {from: audiobook}\n",
    "recipes/renamed.yaml": TWO.replace("news:", "clear:"),
    "recipes/text.yaml": "# The two voices.\n" + TWO,
    "recipes/lock.yaml": TWO,
    "recipes/lock.lock.yaml": LOCK.replace("00", "11"),
    "recipes/broken.yaml": TWO.replace("audiobook: 0.4", "audiobok: 0.4"),
    "recipes/new.yaml": TWO.replace("two.pth", "new.pth") + 'overrides: {"*encoder*": from news}\n',
    "recipes/same.yaml": TWO,
    ".github/workflows/ci.yaml": "on: pull_request\n",
}


def showcase(root: Path, before: dict[str, str] = BEFORE, after: dict[str, str] = AFTER) -> Scratch:
    """``before`` committed on the branch main, ``after`` in the work tree."""
    scratch = Scratch.made(root)
    scratch.commit(*before.items())
    for name in before.keys() - after.keys():
        (root / name).unlink()
    for name, text in after.items():
        scratch.put(name, text)
    return scratch
