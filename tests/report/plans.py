"""Plans to show, over checkpoints in the current folder."""

from __future__ import annotations

from pathlib import Path

from tests import samples
from tests.builders import write_recipe
from xttsrecipe import load_recipe, make_plan
from xttsrecipe.plan import Plan

RULES = """\
name: voices
description: >-
  Over two lines, which are
  one in the plan.
weights: {news: 0.6, audiobook: 0.4}
overrides:
  "*encoder*": from news
  "gpt.gpt.h.*":
    weights: {news: -0.25, audiobook: 1.25}
  mel_stats: from audiobook
"""


def planned(text: str) -> Plan:
    """The plan of a recipe."""
    return make_plan(load_recipe(write_recipe(Path(), text)))


def of_a_pair(extra: str = "", output: str = "{path: merged.pth}") -> Plan:
    """The plan of a recipe over news.pth and audiobook.pth, which it makes."""
    samples.pair(Path())
    return planned(f"checkpoints: {{news: news.pth, audiobook: audiobook.pth}}\noutput: {output}\n{extra}")
