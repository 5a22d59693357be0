"""What differs between recipes, as a comment on a pull request: a summary, tables, and every tensor folded away.

Foreign text stands in code only (see ``markdown``). What does not fit into a comment is left out, and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..changes import Amounts, LayerRun, PlanDiff, RecipeChange, Review, SourceChange, Status, TensorChange
from ..errors import Problem
from .diff import UNCHANGED, Words, amount_cells, kinds_text, layers_text, told
from .layout import counted, cut
from .markdown import MOST, code, fenced, inert_line, size_of, table
from .problems import problems_text

_WORDS = Words(code)
_PLAIN = Words()

# Parts of all the room: for the list of recipes, and for each table of one recipe.
_LIST, _TABLE, _PROBLEMS = 0.25, 0.12, 0.3
# What a line that says how much is left out may take, and what surrounds a list of keys.
_NOTE, _FOLD = 300, 300
_MOST_WARNINGS = 10
_MOST_PROBLEMS = 5

_IN_FULL = "`--format json` has everything"


def diff_markdown(review: Review, most: int = MOST) -> str:
    """The comment, of up to ``most`` as ``markdown.size_of`` counts."""
    title = f"### {_WORDS.total(review)}\n"
    room = most - size_of(title) - 2 * _NOTE
    recipes = told(review)
    listed = _list(recipes, int(most * _LIST)) if len(review.recipes) > 1 else ""
    room -= size_of(listed)
    shown: list[tuple[RecipeChange, str]] = []
    wanted = [change for change in recipes if not listed or _has_section(change)]
    for change in wanted:
        head = _head(change, named=bool(listed), most=most)
        if size_of(head) + _FOLD <= room:
            shown.append((change, head))
            room -= size_of(head) + _FOLD
    keys = _key_lists([change for change, _ in shown], room)
    parts = [title, listed, *(part for (change, head) in shown for part in (head, keys.get(change.name, "")))]
    left_out = len(wanted) - len(shown)
    if left_out:
        parts.append(f"{counted(left_out, 'recipe')} left out here, for which there is no room; {_IN_FULL}.\n")
    return "\n".join(filter(None, parts))


def _has_section(change: RecipeChange) -> bool:
    return change.diff is not None or bool(change.problems)


def _list(recipes: Sequence[RecipeChange], room: int) -> str:
    lines: list[str] = []
    for change in recipes:
        line = f"- {code(change.name)}: {_WORDS.summary(change)}\n"
        room -= size_of(line)
        if room < 0:
            lines.append(f"- … and {counted(len(recipes) - len(lines), 'recipe')} more\n")
            break
        lines.append(line)
    return "".join(lines)


def _head(change: RecipeChange, named: bool, most: int) -> str:
    """All that is said of a recipe but for the list of its tensors."""
    room = int(most * _TABLE)
    parts = [f"#### {code(change.name)}\n"] if named else []
    summary = f"**{code(change.name)}** {_WORDS.summary(change)}" if not named else _WORDS.summary(change)
    basis = _WORDS.basis(change)
    parts.append(f"{summary}\\\n<sub>Basis: {basis}</sub>\n" if basis else f"{summary}\n")
    if change.problems:
        parts.append(_problems(change, int(most * _PROBLEMS)))
    if change.diff:
        parts += _tables(change.diff, room)
        if change.status is Status.CHANGED:
            parts += [f"New warning: {code(warning)}\n" for warning in change.diff.new_warnings[:_MOST_WARNINGS]]
    return "\n".join(filter(None, parts))


def _problems(change: RecipeChange, room: int) -> str:
    lines: list[str] = []
    for problem in _first(change):
        said = [inert_line(cut(line, 500)) for line in problems_text([problem]).splitlines()]
        room -= sum(size_of(line) + 2 for line in said)
        if room < 0:
            break
        lines += said
    more = len(change.problems) - len(_first(change))
    rest = f"… and {counted(more, 'problem')} more; {_IN_FULL}.\n" if more else ""
    return (fenced(lines) if lines else "") + rest


def _first(change: RecipeChange) -> list[Problem]:
    """What is wrong with the recipe now, then before, of both the first, so that there is room for other recipes."""
    sides = (side.problems for side in (change.new, change.old) if side)
    return [problem for problems in sides for problem in problems[:_MOST_PROBLEMS]]


def _tables(diff: PlanDiff, room: int) -> Iterator[str]:
    facts = [*map(_source, diff.sources)]
    if diff.weights:
        facts.append(["global weights", *_WORDS.was_is(*diff.weights)])
    facts += [[f"output: {code(its.field)}", *_WORDS.output(its)] for its in diff.output]
    if facts:
        yield table(["", "before", "after"], facts, (), room)
    if diff.tensors:
        rules = [[_WORDS.rule(its), *_WORDS.was_is(its.old, its.new), *_amounts(its.amounts)] for its in diff.by_rule]
        in_all = ["**in all**", "", "", *_amounts(diff.amounts)]
        head = ["decided by", "before", "after", "tensors", "parameters", "bytes", "changes"]
        yield table(head, [in_all, *rules], (3, 4, 5), room)
        components = ([code(its.component), *_amounts(its.amounts)] for its in diff.by_component)
        yield table(["component", *head[3:]], components, (1, 2, 3), room)
    if diff.layers:
        layers = (row for run in diff.layers for row in _layers(run))
        yield table(["GPT layers", "", "before", "after"], layers, (), room)


def _source(change: SourceChange) -> list[str]:
    return [f"source {_WORDS.source(change)} {change.what}", *_WORDS.source_facts(change)]


def _amounts(amounts: Amounts) -> list[str]:
    return [*amount_cells(amounts.in_all), kinds_text(amounts)]


def _layers(run: LayerRun) -> Iterator[list[str]]:
    if not run.changes:
        yield [layers_text(run), "", UNCHANGED, ""]
    for part in run.changes:
        yield [layers_text(run), _WORDS.names(part.parts) if part.parts else "", *_WORDS.was_is(part.old, part.new)]


def _key_lists(recipes: Iterable[RecipeChange], room: int) -> dict[str, str]:
    """By the recipe's name every tensor that changes, folded. Of a new recipe these are all, which its plan shows."""
    tensors = {
        its.name: its.diff.tensors for its in recipes if its.diff and its.diff.tensors and its.status is Status.CHANGED
    }
    found: dict[str, str] = {}
    # What the short ones leave, the long ones have.
    for name in sorted(tensors, key=lambda name: len(tensors[name])):
        share = room // (len(tensors) - len(found))
        found[name] = _keys(tensors[name], share)
        room -= max(size_of(found[name]) - _FOLD, 0)
    return found


def _keys(tensors: Sequence[TensorChange], room: int) -> str:
    """The list, of up to ``room`` beside the ``_FOLD`` that surrounds it."""
    lines, count = _within(_by_change(tensors), room)
    title = f"<details>\n<summary>{'The tensor' if len(tensors) == 1 else f'All {len(tensors)} tensors'} that "
    title += f"{'changes' if len(tensors) == 1 else 'change'}</summary>\n\n"
    rest = f"\n… and {counted(len(tensors) - count, 'tensor')} more, for which there is no room; {_IN_FULL}.\n"
    return f"{title}{fenced(lines) if count else ''}{rest if count < len(tensors) else ''}\n</details>\n"


def _by_change(tensors: Iterable[TensorChange]) -> dict[str, list[str]]:
    """The keys under what changes of them, which many share."""
    groups: dict[str, list[str]] = {}
    for change in tensors:
        line = inert_line(cut(_PLAIN.tensor(change), 500))
        groups.setdefault(line, []).append(inert_line(cut(change.key, 500)))
    return groups


def _within(groups: dict[str, list[str]], room: int) -> tuple[list[str], int]:
    """Lines that fit, and how many keys are in them."""
    lines: list[str] = []
    count = 0
    for change, keys in groups.items():
        room -= size_of(change) + 8
        heading = True
        for key in keys:
            room -= size_of(key) + 4
            if room < 0:
                return lines, count
            if heading:
                lines.append(change)
                heading = False
            lines.append(f"  {key}")
            count += 1
    return lines, count
