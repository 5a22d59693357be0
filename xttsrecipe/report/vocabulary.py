"""How the vocabulary of an output looks: what its parents share, what only one knows, and where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import listed
from ..text_rows import OutputVocabulary
from ..vocabulary import Conflict
from .layout import counted, printable

_MAX_CONFLICTS = 20


def vocabulary_text(vocabulary: OutputVocabulary, names: Sequence[str]) -> str:
    """The section of a plan; ``names``: of all sources of the recipe."""
    merged = vocabulary.merged
    known = [names[index] for index in vocabulary.known]
    count = f"{len(merged.tokens):,} tokens"
    if not vocabulary.by_token:
        lines = [f"{count}, the same in {listed(known)}" if len(known) > 1 else f"{count}, of {known[0]}"]
    else:
        alone = ", ".join(f"{number:,} only in {name}" for name, number in zip(known, merged.only, strict=True))
        some = len(merged.tokens) - merged.shared - sum(merged.only)
        several = f", {some:,} in several but not all" if some else ""
        lines = [f"merged by token: {merged.shared:,} shared, {alone}{several}; {count} in {merged.rows:,} rows"]
    lines += [f"the {setting} of {listed(known)} differ" for setting in merged.settings_differ]
    if merged.conflicts:
        lines.append(f"{counted(len(merged.conflicts), 'conflict')}:")
        lines += [f"  {_conflict(conflict, known)}" for conflict in merged.conflicts[:_MAX_CONFLICTS]]
        if len(merged.conflicts) > _MAX_CONFLICTS:
            lines.append(f"  … and {len(merged.conflicts) - _MAX_CONFLICTS:,} more (--json lists all)")
    return "vocabulary\n" + "\n".join(f"  {printable(line)}" for line in lines)


def _conflict(conflict: Conflict, known: Sequence[str]) -> str:
    names = [known[source] for source in conflict.sources]
    if conflict.kind == "id":
        said = ", ".join(f"{token!r} in {name}" for name, token in zip(names, conflict.tokens, strict=True))
        return f"id {conflict.id}: {said}"
    made = ", ".join(f"{_pairs(pairs)} in {name}" for name, pairs in zip(names, conflict.merges, strict=True))
    return f"{conflict.tokens[0]!r} is made of {made}"


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    return " or ".join(f"{left!r} + {right!r}" for left, right in pairs) or "nothing"


def vocabulary_data(vocabulary: OutputVocabulary | None, names: Sequence[str]) -> dict[str, Any] | None:
    """The same for machines, every conflict included."""
    if vocabulary is None:
        return None
    merged = vocabulary.merged
    known = [names[index] for index in vocabulary.known]
    return {
        "by_token": vocabulary.by_token,
        "tokens": len(merged.tokens),
        "rows": merged.rows,
        "shared": merged.shared,
        "only": dict(zip(known, merged.only, strict=True)),
        "settings_differ": list(merged.settings_differ),
        "conflicts": [
            {
                "kind": conflict.kind,
                "id": conflict.id,
                "tokens": {
                    known[source]: token for source, token in zip(conflict.sources, conflict.tokens, strict=True)
                },
                "merges": {
                    known[source]: [list(pair) for pair in pairs]
                    for source, pairs in zip(conflict.sources, conflict.merges, strict=False)
                },
            }
            for conflict in merged.conflicts
        ],
    }
