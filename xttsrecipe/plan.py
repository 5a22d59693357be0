"""Recipe and headers to plan: for every tensor of the output, what it is made from and how.

The plan is total: key, shape, type, deciding rule, sources, weights and method of every tensor, and the memory and
disk that the run will need, before a byte of tensor data is read. Opens nothing, writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .caveats import caveats
from .checkpoints import safetensors
from .codes import Code
from .companions import Companion, plan_companions
from .errors import Problem, RecipeError, listed
from .gradients import gradient_problems
from .metadata import OutputMetadata, architecture_problems, merge_metadata
from .methods import METHODS
from .recipe import Recipe
from .rules import deciding_rules, idle_rule_problems
from .specs import DType, FileStamp, Header, StoredTensor
from .steps import Step, StepBuilder, is_elementwise, takes_one_by_one, text_step
from .text_rows import OutputVocabulary
from .text_tokens import text_tokens
from .xtts import MODEL_FILES, TRAINER_PREFIX, generation, has_dvae

# Tensors are read, merged and written in pieces of so many elements at most, few enough for a processor's cache. What
# all threads together hold of them stays within so many bytes: pieces shrink for wide types, for many threads, and for
# many sources where a method wants all at once.
PIECE_ELEMENTS = 1 << 17
PIECES_BYTES = 5 << 20
# Pieces are whole multiples of so many elements, and that at least.
_PIECE_UNIT = 1 << 10
# How much of tensors that are held whole may be held at once, unless a single one needs more.
HELD_BYTES = 16 << 20
# Or so many halves of the largest that a method needs whole, below the eight tensors that a run keeps within.
_HELD_TENSORS = 13

# What is read at once to pick a scattered tensor's elements from: enough for any tensor of XTTS, bounded for others.
SPAN_BYTES = 16 << 20

# Resident memory of a Python with torch and this program imported, measured (torch 2.13 CPU, Linux): the floor of
# any run.
_IMPORT_BYTES = 240 << 20
# What a tensor costs in header, plan and the written container's directory, all told.
_BYTES_PER_TENSOR = 4096
# A record in a zip file: two directory entries, descriptor, padding to 64 bytes.
_CONTAINER_BYTES_PER_TENSOR = 512


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run will do. ``layout``: release, trainer, shrunk, or plain where the sources are not XTTS.

    ``companions``: files written with the model. ``vocabulary``: what the rows of the output mean, where that is known.
    ``notes``: what a reader should know though it is no error; ``warnings``: what everyone should, also who only runs
    it. ``replaced``: what lay in the output's place when it was found that it may be replaced; None before that was
    asked.
    """

    recipe: Recipe
    headers: tuple[Header, ...]
    steps: tuple[Step, ...]
    metadata: OutputMetadata
    layout: str
    companions: tuple[Companion, ...]
    vocabulary: OutputVocabulary | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    replaced: Mapping[Path, FileStamp] | None = None

    @property
    def model_path(self) -> Path:
        """The file that the tensors are written to."""
        output = self.recipe.output
        return output.path / MODEL_FILES[0] if output.is_directory else output.path

    def path_of(self, companion: Companion) -> Path:
        """The file that a companion is written to: beside the model."""
        return self.model_path.with_name(companion.name)

    @property
    def targets(self) -> list[Path]:
        """What a run puts in place: a directory as a whole, or a file, right after those that go beside it."""
        output = self.recipe.output
        return [output.path] if output.is_directory else [*map(self.path_of, self.companions), output.path]

    @property
    def nbytes(self) -> int:
        """Bytes of tensor data in the output."""
        return sum(step.spec.nbytes for step in self.steps)

    @property
    def memory(self) -> int:
        """Peak resident bytes, estimated from above: what importing takes, pieces, and tensors that are held whole."""
        held = held_at_once(self.steps)
        tensors = sum(len(header.tensors) + len(header.training_only) for header in self.headers) + len(self.steps)
        return _IMPORT_BYTES + PIECES_BYTES + held + tensors * _BYTES_PER_TENSOR

    @property
    def disk(self) -> int:
        """Bytes of the output, estimated from above: tensors, what the container adds to each, metadata as text or
        pickled, and the files beside the model.
        """
        names = sum(len(step.name.encode("utf-8", "surrogatepass")) for step in self.steps)
        entries = sum(len(text.encode("utf-8", "surrogatepass")) for text in self.metadata.as_text().values())
        container = _CONTAINER_BYTES_PER_TENSOR * len(self.steps) + 6 * names + 4 * entries + (1 << 16)
        return container + self.nbytes + sum(companion.nbytes for companion in self.companions)


def make_plan(recipe: Recipe, headers: Sequence[Header]) -> Plan:
    """The plan of a recipe over the headers of its sources, in its order. Raises RecipeError with all problems."""
    problems = list(_generation_problems(recipe, headers))
    if problems:
        raise RecipeError(problems)  # different networks differ in hundreds of shapes; the reason says it all
    problems += architecture_problems(recipe, headers)
    keys = list(dict.fromkeys(key for header in headers for key in header.tensors))
    decided = deciding_rules(recipe, keys)
    problems += idle_rule_problems(recipe, decided)
    varying = list(gradient_problems(recipe, decided))
    if varying:
        raise RecipeError([*problems, *varying])  # there is no step to be made of them
    problems += _layout_problems(recipe, headers)
    layout = _layout(recipe, headers)
    prefix = TRAINER_PREFIX if layout in ("trainer", "shrunk") else ""
    builder = StepBuilder(recipe, headers, prefix)
    steps = [step for key, rule in decided.items() if (step := builder.step(key, rule))]
    vocabulary = builder.output_vocabulary(steps)
    problems += builder.problems()
    carrier = _carrier(recipe, headers) if prefix else None
    if carrier is not None:
        steps += builder.training_only(carrier)
    problems += _format_problems(recipe, steps)
    if problems:
        raise RecipeError(problems)
    text = text_step(steps)
    tokens = text_tokens(headers, text.sources, text.spec.rows, vocabulary) if text else {}
    metadata = merge_metadata(recipe, headers, layout, tokens)
    planned = list(plan_companions(recipe, headers, steps, metadata, vocabulary, tokens))
    problems += [problem for problem in planned if isinstance(problem, Problem)]
    if problems:
        raise RecipeError(problems)
    companions = tuple(companion for companion in planned if isinstance(companion, Companion))
    warnings = caveats(recipe, headers, layout, steps, vocabulary, companions)
    return Plan(
        recipe=recipe,
        headers=tuple(headers),
        steps=tuple(steps),
        metadata=metadata.with_files({companion.name: companion.digest for companion in companions}),
        layout=layout,
        companions=companions,
        vocabulary=vocabulary,
        notes=(*_notes(recipe, headers, layout), *_whole_notes(steps), *metadata.notes),
        warnings=(*metadata.warnings, *warnings),
    )


def _generation_problems(recipe: Recipe, headers: Sequence[Header]) -> Iterator[Problem]:
    """XTTS v1 and v2 are different networks, and a file that is not XTTS is another still."""
    kinds = [generation(header) or ("not XTTS" if header.layout == "plain" else None) for header in headers]
    first = next((kind for kind in kinds if kind), None)
    reference = kinds.index(first)
    for source, header, kind in zip(recipe.sources, headers, kinds, strict=True):
        if kind and kind != first:
            yield Problem(
                Code.DIFFERENT_MODELS,
                f"{recipe.sources[reference].name} is {_named(headers[reference])} and {source.name} is "
                f"{_named(header)}: they cannot be merged",
                source.where,
                found=f"{source.name}: {header.path}",
                hint="all sources must be fine-tunes of one model",
            )


def _named(header: Header) -> str:
    """``XTTS v2.0.3``; without a word on its vocabulary, which is not why."""
    return f"XTTS {header.version.partition(',')[0]}" if header.version else "not XTTS"


def _format_problems(recipe: Recipe, steps: Sequence[Step]) -> Iterator[Problem]:
    """What safetensors has no place for: some element types, some names."""
    if recipe.output.format != "safetensors":
        return
    homeless = [f"{step.name}: {step.spec}" for step in steps if step.spec.dtype not in safetensors.CODES.values()]
    if homeless:
        what = f"safetensors has no code for the element type of {len(homeless)} of the tensors"
        yield Problem(
            Code.NOT_FOR_SAFETENSORS, what, recipe.output.where, hint="write a .pth file", details=tuple(homeless)
        )
    for step in steps:
        if step.name == "__metadata__" or not step.name.isprintable():
            yield Problem(
                Code.NOT_FOR_SAFETENSORS,
                f"safetensors has no place for {step.name!r}",
                recipe.output.where,
                hint="write a .pth file",
            )


def _layout_problems(recipe: Recipe, headers: Sequence[Header]) -> Iterator[Problem]:
    """Layouts are XTTS's: other checkpoints keep theirs, and a model directory is what the XTTS client loads."""
    if all(header.layout != "plain" for header in headers):
        return
    output = recipe.output
    if output.layout != "preserve":
        what = f"there is no {output.layout} layout of a checkpoint that is not XTTS"
        yield Problem(Code.ONLY_FOR_XTTS, what, output.where, hint="remove output.layout")
    if output.is_directory:
        what = "a model directory is what the XTTS client loads, and the sources are not XTTS"
        yield Problem(Code.ONLY_FOR_XTTS, what, output.where, hint="write to a .pth or .safetensors file")


def _layout(recipe: Recipe, headers: Sequence[Header]) -> str:
    """What the recipe says, else the layout that all sources share, else release.

    A bare state dict becomes release, which clients load.
    """
    if recipe.output.layout != "preserve":
        return recipe.output.layout
    layouts = {header.layout for header in headers}
    shared = layouts.pop() if len(layouts) == 1 else "release"
    return "release" if shared == "bare" else shared


def _carrier(recipe: Recipe, headers: Sequence[Header]) -> int | None:
    """The source whose training-only tensors the output carries: the one named, else the first that has them all, else
    the first that has any.
    """
    if recipe.metadata_from is not None:
        return recipe.metadata_from
    having = [index for index, header in enumerate(headers) if header.training_only]
    return max(having, key=lambda index: has_dvae(headers[index]), default=None)  # the first of equals


def piece_elements(step: Step, threads: int) -> int:
    """How many elements of a tensor are read, merged and written at once by each of so many threads."""
    units = PIECES_BYTES // threads // _bytes_per_element(step) // _PIECE_UNIT
    return min(PIECE_ELEMENTS, max(units, 1) * _PIECE_UNIT)


def held_at_once(steps: Sequence[Step]) -> int:
    """Bytes of tensors that threads together may hold whole: room for the step that needs most; and at least for some
    tensors of the largest one's size, so that two threads find room for those of two sources and a base.
    """
    most = max(map(held_bytes, steps), default=0)
    largest = max((step.spec.numel * step.compute.itemsize for step in steps if not is_elementwise(step)), default=0)
    return max(most, largest * _HELD_TENSORS // 2, HELD_BYTES) if most else 0


def held_bytes(step: Step) -> int:
    """Bytes of tensors that must be in memory whole while a step is at work: scattered ones, and all where the method
    needs them.
    """
    scattered = sum(map(_gathered, step.inputs))
    return scattered if is_elementwise(step) else scattered + step.spec.numel * _bytes_per_element(step)


def _bytes_per_element(step: Step) -> int:
    """What an element takes on its way: as read, as computed with where that is another type, as written where that is
    one; and what the method makes: two of the computed type, or of float64 where more than two are summed in it.
    """
    inputs = sorted((_input_bytes(tensor, step.compute) for tensor in step.inputs), reverse=True)
    if not is_elementwise(step):  # as read they are only until they are converted
        inputs = [max(tensor.spec.dtype.itemsize, step.compute.itemsize) for tensor in step.inputs]
    if step.method in METHODS and not METHODS[step.method].reuses_memory:
        made = step.compute.itemsize * 3 // 2  # the result; the rest is made piece by piece
    else:
        made = 2 * (DType.FLOAT64 if len(inputs) > 2 else step.compute).itemsize
    written = step.spec.dtype.itemsize if step.spec.dtype != step.compute else 0
    return sum(inputs[:2] if takes_one_by_one(step) else inputs) + made + written


def _input_bytes(tensor: StoredTensor, compute: DType) -> int:
    return tensor.spec.dtype.itemsize + (compute.itemsize if tensor.spec.dtype != compute else 0)


def _gathered(tensor: StoredTensor) -> int:
    """Bytes that a tensor not in row-major order needs: itself, and what is read of its span at a time."""
    if tensor.is_contiguous:
        return 0
    return tensor.spec.nbytes + min(tensor.span * tensor.spec.dtype.itemsize, SPAN_BYTES)


def _notes(recipe: Recipe, headers: Sequence[Header], layout: str) -> Iterator[str]:
    absent = [source.name for source, header in zip(recipe.sources, headers, strict=True) if header.from_lock]
    if absent:
        yield f"{listed(absent)} not here: what is said of {'it' if len(absent) == 1 else 'them'} is from the lock"
    layouts = Counter(header.layout for header in headers)
    if len(layouts) > 1:
        found = ", ".join(
            f"{source.name} {header.layout}" for source, header in zip(recipe.sources, headers, strict=True)
        )
        yield f"layouts differ ({found}): the output is {layout}"
    if any(header.layout == "bare" for header in headers) and len(layouts) == 1:
        yield "the sources are bare state dicts: the output is release, which the XTTS client loads"
    for source, header in zip(recipe.sources, headers, strict=True):
        if header.leftovers:
            yield f"{source.name}: {len(header.leftovers)} tied copies from inference are left out"
        if header.training_only and layout == "release":
            yield f"{source.name}: {len(header.training_only)} training-only tensors are left out"


def _whole_notes(steps: Sequence[Step]) -> Iterator[str]:
    """Which rules need more than pieces, and what that comes to."""
    held: dict[tuple[str | None, str], list[int]] = {}
    for step in steps:
        if not is_elementwise(step):
            held.setdefault((step.rule, step.method), []).append(held_bytes(step))
    for (rule, method), sizes in held.items():
        who = f'{method} of rule "{rule}"' if rule is not None else f"{method} of the global weights"
        count = "1 tensor" if len(sizes) == 1 else f"{len(sizes)} tensors"
        yield f"{who} needs {count} in memory whole, one or two at a time: up to {max(sizes) / 1e6:.3g} MB for one"


def rules_of(plan: Plan) -> Mapping[str | None, list[Step]]:
    """The steps that each rule decides, in the recipe's order; the global weights' last, under None."""
    groups: dict[str | None, list[Step]] = {rule.pattern: [] for rule in plan.recipe.rules}
    groups[None] = []
    for step in plan.steps:
        if step.method != "carried":
            groups[step.rule].append(step)
    return groups
