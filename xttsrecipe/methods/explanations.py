"""What each method does, and for what, in a few sentences. What can be told from the table is not said here."""

from __future__ import annotations

from collections.abc import Mapping

EXPLANATIONS: Mapping[str, str] = {
    "linear": (
        "Every element is the weighted mean of the sources' elements. It is the first thing to try with fine-tunes of "
        "one parent, and what averages the last checkpoints of a run."
    ),
    "slerp": (
        "Each tensor, taken as one long vector, is a point. Linear goes straight from one to the other, which makes a "
        "vector shorter on its way; slerp goes along the arc between them. Where there is no single arc, for "
        "parallel, opposed and zero tensors, it goes straight."
    ),
    "nuslerp": (
        "slerp by weights that need not sum to 1, and for all angles but those that rounding cannot tell from 0 or a "
        "half turn. With a base it goes along the arc between what the two sources changed, and adds that to the "
        "base."
    ),
    "multislerp": (
        "Of any number of tensors, the directions are averaged, and the lengths. It takes one step where karcher goes "
        "on to the mean on the sphere. With a base it averages what the sources changed. Directions that cancel out "
        "leave the weighted sum."
    ),
    "karcher": (
        "The mean direction is the point on the sphere from which the weighted arcs to all sources cancel out; it is "
        "found step by step, and gets the mean length. Of two sources it is slerp of their directions. Where there is "
        "no such point, the weighted sum is left."
    ),
    "model_stock": (
        "Fine-tunes of one base lie around a centre that none of them reaches. The angle between their task vectors "
        "says, tensor by tensor, how far from the base towards their mean that centre is: all the way where they "
        "agree, not at all where they are at right angles. There is nothing to tune."
    ),
    "median": (
        "Each element is the middle one of the sources' values: whatever a single source has there, be it far off, "
        "moves it no further than to the next. It takes three sources or more to differ from the mean."
    ),
    "trimmed_mean": (
        "Of each element's values the smallest and the largest are cut, as many at either end, and the rest averaged: "
        "between the mean, where nothing is cut, and the median. With N sources ⌊βN⌋ go at each end, so 1/N is the "
        "least beta that cuts any."
    ),
    "task_arithmetic": (
        "What a fine-tune changed is its task vector. Adding several gives one model what each has learned; a "
        "negative weight takes something away. With one source and a weight or lambda below 1 it draws a fine-tune "
        "back towards its base (WiSE-FT), where it knew more languages."
    ),
    "add_difference": (
        "The first source gets what the second has learned beyond the base: a voice of another parent's, say. Which "
        "is the first is decided by the order under checkpoints."
    ),
    "ties": (
        "Of each task vector only the largest changes are kept. Then every element takes one sign, that of the "
        "weighted sum of changes, and what agrees with it is averaged; so small changes of one source do not dilute "
        "large ones of another, and opposed ones do not cancel out."
    ),
    "dare_linear": (
        "Most changes of a fine-tune can be dropped at random if the rest is scaled up, as their sum stays what it "
        "was on average. What is left of several sources collides less. The same seed drops the same."
    ),
    "dare_ties": (
        "Drops changes as dare_linear does, then elects a sign for each element and averages what agrees, as ties "
        "does; nothing is trimmed by size."
    ),
    "della_linear": (
        "Drops changes at random, as dare_linear does, but small ones more often than large ones: within a row, by "
        "rank, with probabilities that lie epsilon around density. Each that is kept is divided by its own."
    ),
    "della": (
        "Drops changes as della_linear does, then elects a sign for each element and averages what agrees, as ties "
        "does."
    ),
    "breadcrumbs": (
        "Of each task vector the largest changes, taken for outliers, and the smallest, taken for noise, are dropped; "
        "what lies between is added to the base."
    ),
    "breadcrumbs_ties": (
        "Drops changes as breadcrumbs does, then elects a sign for each element and averages what agrees, as ties does."
    ),
    "sce": (
        "Where the sources' changes differ most is taken for what matters. There each source weighs as the square of "
        "what it changed in this tensor, and changes against the sign of the sum are erased. There are no weights to "
        "tune."
    ),
    "ram": (
        "Averaging halves what only one of two fine-tunes has learned. Here an element that one source changed is "
        "taken from it whole; one that several changed is the mean of theirs; one that none changed is the base's."
    ),
    "nearswap": (
        "Each element of the base moves to the source's, but by no more than t: where the two are near, the source's "
        "value comes out, elsewhere nearly the base's."
    ),
    "arcee_fusion": (
        "An element counts as important by how far it moved, and by how much its row changed as a distribution. The "
        "important ones come from the source, all others from the base: nothing is averaged."
    ),
}
