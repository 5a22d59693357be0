"""What everyone should know of an output though it is no error: what was copied, assumed, or left out.

Decides nothing: it compares what was decided with what the sources say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .checkpoints.content_digest import DATA
from .companions import Companion, giver_of
from .errors import listed
from .recipe import Recipe
from .specs import Header
from .steps import Step, text_step
from .text_rows import OutputVocabulary, vocabularies_differ
from .xtts import MEL_STATS_FILE, SPEAKERS_FILE, VOCABULARY_FILE, has_dvae, is_listening


def caveats(
    recipe: Recipe,
    headers: Sequence[Header],
    layout: str,
    steps: Sequence[Step],
    vocabulary: OutputVocabulary | None,
    companions: Sequence[Companion],
) -> Iterator[str]:
    """The warnings of a plan, a sentence each."""
    if layout == "trainer":
        yield from _training_only(recipe, headers, steps)
    yield from _unknown_vocabularies(recipe, headers, steps, vocabulary)
    if recipe.output.is_directory:
        yield from _directory(recipe, headers, steps, vocabulary, companions)
    else:
        yield from _file(recipe, companions)


def _training_only(recipe: Recipe, headers: Sequence[Header], steps: Sequence[Step]) -> Iterator[str]:
    names = recipe.source_names
    having = [name for name, header in zip(names, headers, strict=True) if header.training_only]
    whole = [name for name, header in zip(names, headers, strict=True) if has_dvae(header)]
    carrier = next((step.sources[0] for step in steps if step.method == "carried"), None)
    if not having:
        yield (
            "no source has training-only tensors (dvae, spectrograms): the output has none, and the trainer takes them "
            "from dvae_checkpoint and mel_norm_file when it resumes"
        )
    elif carrier is None:
        yield (
            f"metadata.from names {names[recipe.metadata_from or 0]}, which has no training-only tensors: the output "
            f"has none; {listed(having)} would give them"
        )
    elif names[carrier] not in whole:
        yield (
            f"the training-only tensors of {names[carrier]} lack dvae: the trainer takes it from dvae_checkpoint when "
            "it resumes" + (f"; {listed(whole)} would give it" if whole else "")
        )


def _unknown_vocabularies(
    recipe: Recipe, headers: Sequence[Header], steps: Sequence[Step], vocabulary: OutputVocabulary | None
) -> Iterator[str]:
    names = recipe.source_names
    if vocabulary:
        unknown = [names[index] for index in vocabulary.sources if index not in vocabulary.known]
        if unknown:
            owner = names[vocabulary.known[0]]
            yield f"the vocabulary of {listed(unknown)} is not known: its rows are taken to mean what {owner}'s do"
        return
    text = text_step(steps)
    merged = text.sources if text else ()
    extended = [names[index] for index in merged if "extended" in (headers[index].version or "")]
    if len(merged) > 1 and extended:
        yield (
            f"the vocabulary of {listed(extended)} was extended, and is not known: rows of the text tensors are merged "
            f"by their place; name each {VOCABULARY_FILE} under 'vocabulary' to have them merged by token"
        )


def _file(recipe: Recipe, companions: Sequence[Companion]) -> Iterator[str]:
    if recipe.companions_from is not None:
        yield "companions are written to an output directory only, and output.path names a file"
    for companion in companions:
        yield (
            f"the vocabularies differ: the model is to be loaded with {companion.name}, {companion.origin} (as "
            f"vocab_path, or renamed to {VOCABULARY_FILE})"
        )


def _directory(
    recipe: Recipe, headers: Sequence[Header], steps: Sequence[Step], vocabulary: OutputVocabulary | None,
    companions: Sequence[Companion],
) -> Iterator[str]:  # fmt: skip
    giver = giver_of(recipe, headers)
    names = recipe.source_names
    if giver is None:
        yield f"no source is a model directory: the output has no {SPEAKERS_FILE}"
    elif recipe.companions_from is not None and not headers[giver].companions:
        why = "is not a model directory" if headers[giver].directory is None else "has no files beside its model"
        yield f"companions names {names[giver]}, which {why}: none are copied"
    yield from _differing_vocabularies(names, headers, vocabulary)
    differing = _differing_mel_stats(headers)
    if differing:
        which = listed([names[index] for index in differing])
        yield f"the mel_stats of {which} differ: their models were trained on sound scaled differently"
    speakers = any(companion.name == SPEAKERS_FILE for companion in companions)
    if giver is not None and speakers and not _listens_as(giver, headers, steps):
        yield (
            f"the speaker latents in {SPEAKERS_FILE} come from {names[giver]}'s encoders, which the output does not "
            "have as they were: compute them anew from reference recordings, or take '@encoder' and mel_stats from it"
        )


def _differing_vocabularies(
    names: Sequence[str], headers: Sequence[Header], vocabulary: OutputVocabulary | None
) -> Iterator[str]:
    if vocabulary is None or not vocabularies_differ(headers):
        return
    known = [name for name, header in zip(names, headers, strict=True) if header.vocabulary]
    if vocabulary.by_token:
        what = "tokens are merged by their text"
    elif vocabulary.owner is None:
        what = "the output has the merges of all"
    else:
        what = f"the output has that of {names[vocabulary.owner]}"
    yield f"the {VOCABULARY_FILE} of {listed(known)} differ: {what}"


def _differing_mel_stats(headers: Sequence[Header]) -> list[int]:
    """The sources, where they do not all have the same mel_stats: as a tensor, and as a file.

    Tensors of unlike types are not compared: a copy in half precision is no other voice.
    """
    groups: dict[object, dict[int, object]] = {}
    for index, header in enumerate(headers):
        if header.mel_stats:
            dtype, digest = header.mel_stats
            groups.setdefault(dtype, {})[index] = digest
        file = header.companions.get(MEL_STATS_FILE)
        if file and file.digest.startswith(DATA):  # others differ though they hold the same
            groups.setdefault(MEL_STATS_FILE, {})[index] = file.digest
    return sorted({index for found in groups.values() if len(set(found.values())) > 1 for index in found})


def _listens_as(giver: int, headers: Sequence[Header], steps: Sequence[Step]) -> bool:
    """Whether everything that hears a reference voice is the giver's, untouched; mel_stats also if they are equal."""
    for step in steps:
        if is_listening(step.key) and step.sources != (giver,):
            mel_stats = {headers[index].mel_stats for index in (giver, *step.sources)}
            if step.key != "mel_stats" or len(mel_stats) > 1 or None in mel_stats:
                return False
    return True
