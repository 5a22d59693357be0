from __future__ import annotations

import re

import pytest

from xttsrecipe.report.fences import block, span


@pytest.mark.parametrize("inside", ["a", "a`b", "a``b", "a`b``c", "a" + "`" * 9 + "b"])
def test_nothing_within_ends_it(inside: str) -> None:
    runs = set(re.findall("`+", inside))
    (fence,) = {span(inside).partition(inside)[0], span(inside).partition(inside)[2]}
    assert fence not in runs
    assert span(inside) == f"{fence}{inside}{fence}"
    opening, *lines, closing = block(f"{inside}\nmore\n", "yaml").splitlines()
    assert (opening, lines) == (f"{closing}yaml", [inside, "more"])
    assert len(closing) >= 3
    assert all(len(run) < len(closing) for run in runs)
