"""The table of merge methods: what there is, from which paper, with which parameters. Documentation is made from it."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from .dropping import dare_linear, dare_ties, della, della_linear, della_refusal
from .entry import MethodEntry, Parameter
from .fusing import normalize_refusal
from .linear import linear
from .model_stock import model_stock
from .near import arcee_fusion, nearswap
from .ram import ram
from .robust import median, trimmed_mean
from .sce import sce
from .sparse import breadcrumbs, breadcrumbs_ties, ties
from .spherical import karcher, multislerp, nuslerp, positive_refusal, slerp, sum_refusal
from .task_vectors import add_difference, task_arithmetic

# As large as weights may be.
_MOST = 1e6


def _lambda(of: str) -> Parameter:
    return Parameter("lambda", f"what the {of} is multiplied by", default=1.0, minimum=-_MOST, maximum=_MOST)


_LAMBDA = _lambda("merged task vector")
_DIVIDED = Parameter("normalize", "divide the weights by their sum", "boolean", default=False)
_SUM = Parameter("normalize", "divide the sum by that of the weights", "boolean", default=False)
_ELECTED = Parameter(
    "normalize", "divide each element's sum by that of the weights of those that agree", "boolean", default=True
)
_ARC = Parameter(
    "t", "how far from the first source to the second", minimum=0, maximum=1,
    otherwise="the second source's share of the weights",
)  # fmt: skip
_SELECTED = Parameter(
    "select_topk", "the share of positions that is selected", default=1.0, minimum=0, maximum=1, aliases=("tau",)
)
_GAMMA = Parameter(
    "gamma", "the share of largest magnitudes that is dropped", default=0.01, minimum=0, maximum=1, per_source=True
)
_EPSILON = Parameter(
    "epsilon", "how far the probabilities lie from density at most", default=0.15,
    minimum=0, maximum=0.5, below=True, per_source=True,
)  # fmt: skip


def _density(meaning: str, default: float | None = None) -> Parameter:
    return Parameter("density", meaning, default=default, minimum=0, maximum=1, per_source=True)


_KEPT = _density("the share of elements that is kept")
_CHANCE = _density("the probability of an element to be kept")
_MEAN_CHANCE = _density("the mean probability of an element to be kept")

_ELECT_REFUSAL = functools.partial(normalize_refusal, elect=True)

METHODS: Mapping[str, MethodEntry] = {
    entry.name: entry
    for entry in (
        MethodEntry(
            "linear",
            "the weighted mean",
            "Model soups, arXiv 2203.05482",
            formula="Σ wᵢxᵢ",
            elementwise=True,
            one_by_one=True,
            combine=linear,
            parameters=(_DIVIDED,),
            weights_sum_to_one=True,
            reuses_memory=True,
            check=normalize_refusal,
        ),
        MethodEntry(
            "slerp",
            "along the arc between two tensors",
            "Shoemake 1985, Animating rotation with quaternion curves",
            formula="sin((1−t)θ)/sin θ · a + sin(tθ)/sin θ · b; (1−t)a + tb where |cos θ| > 0.9995 or one is zero",
            elementwise=False,
            one_by_one=False,
            combine=slerp,
            parameters=(_ARC,),
            least=2,
            most=2,
            weighted=False,
            shares_by="t",
            ordered=True,
        ),
        MethodEntry(
            "nuslerp",
            "along the arc between two tensors, or two task vectors, by their weights",
            "mergekit (no paper)",
            formula="slerp with t = w₂/(w₁+w₂); base + slerp(δ₁, δ₂) with a base; straight only where sin θ = 0",
            elementwise=False,
            one_by_one=False,
            combine=nuslerp,
            base="optional",
            least=2,
            most=2,
        ),
        MethodEntry(
            "multislerp",
            "the mean of directions times the mean length",
            "Goddard, goddard.blog/posts/multislerp-wow-what-a-cool-idea",
            formula="m/‖m‖ · Σ wᵢ‖xᵢ‖ with m = Σ wᵢ xᵢ/‖xᵢ‖; base + the same of δᵢ with a base",
            elementwise=False,
            one_by_one=False,
            combine=multislerp,
            base="optional",
            check=lambda weights, _parameters: sum_refusal(weights),
        ),
        MethodEntry(
            "karcher",
            "the mean of directions on the sphere times the mean length",
            "Karcher 1977; for merging arXiv 2603.04972",
            formula="u · Σ wᵢ‖xᵢ‖ with Σ wᵢ θᵢ/sin θᵢ (uᵢ − cos θᵢ u) = 0, uᵢ = xᵢ/‖xᵢ‖, θᵢ the angle from u to uᵢ",
            elementwise=False,
            one_by_one=False,
            combine=karcher,
            parameters=(
                Parameter(
                    "max_iter", "the most steps that are taken", "integer", default=1000, minimum=1, maximum=1_000_000
                ),
                Parameter("tol", "the length of a step that ends it", default=1e-12, minimum=0),
            ),
            check=lambda weights, _parameters: positive_refusal(weights),
        ),
        MethodEntry(
            "model_stock",
            "from the base towards the mean, by the angle between task vectors",
            "arXiv 2403.19522",
            formula="base + t · (mean xᵢ − base), t = N·c/(1+(N−1)c), c = mean cos(δᵢ, δⱼ) within 0 and 1",
            elementwise=False,
            one_by_one=False,
            combine=model_stock,
            parameters=(
                Parameter("filter_wise", "an angle for each index of the first axis", "boolean", default=False),
            ),
            base="required",
            weighted=False,
            shaped=True,
        ),
        MethodEntry(
            "median",
            "the middle of each element's values",
            "arXiv 1803.01498",
            formula="median xᵢ, of an even number the mean of the middle two",
            elementwise=True,
            one_by_one=False,
            combine=median,
            weighted=False,
        ),
        MethodEntry(
            "trimmed_mean",
            "the mean of each element's values without the extremes",
            "arXiv 1803.01498",
            formula="mean of xᵢ without the ⌊βN⌋ smallest and the ⌊βN⌋ largest",
            elementwise=True,
            one_by_one=False,
            combine=trimmed_mean,
            parameters=(Parameter("beta", "the share of sources cut at each end", minimum=0, maximum=0.5, below=True),),
            weighted=False,
        ),
        MethodEntry(
            "task_arithmetic",
            "the base and a weighted sum of task vectors",
            "arXiv 2212.04089",
            formula="base + λ Σ wᵢδᵢ, δᵢ = xᵢ − base",
            elementwise=True,
            one_by_one=True,
            combine=task_arithmetic,
            parameters=(_LAMBDA, _SUM),
            base="required",
            reuses_memory=True,
            check=normalize_refusal,
        ),
        MethodEntry(
            "add_difference",
            "what the second source has beyond the base, added to the first",
            "folklore of model merging; a case of task arithmetic, arXiv 2212.04089",
            formula="a + λ(b − base)",
            elementwise=True,
            one_by_one=True,
            combine=add_difference,
            parameters=(_lambda("difference"),),
            base="required",
            least=2,
            most=2,
            weighted=False,
            ordered=True,
            reuses_memory=True,
        ),
        MethodEntry(
            "ties",
            "trim small changes, elect signs, merge those that agree",
            "TIES-Merging, arXiv 2306.01708",
            formula="base + λ · Σ wᵢδᵢ/Σ wᵢ over sgn δᵢ = sgn Σ wᵢδᵢ, each δᵢ trimmed to its ⌊density·n⌋ largest",
            elementwise=False,
            one_by_one=False,
            combine=ties,
            parameters=(_density("the share of each task vector that is kept", 0.2), _LAMBDA, _ELECTED),
            base="required",
            check=_ELECT_REFUSAL,
        ),
        MethodEntry(
            "dare_linear",
            "drop changes at random, scale up the rest, sum",
            "DARE, arXiv 2311.03099",
            formula="base + λ Σ wᵢ mᵢδᵢ/density, mᵢ = 1 with probability density, otherwise 0",
            elementwise=True,
            one_by_one=False,
            combine=dare_linear,
            parameters=(_CHANCE, _LAMBDA, _SUM),
            base="required",
            random=True,
            check=normalize_refusal,
        ),
        MethodEntry(
            "dare_ties",
            "drop changes at random, scale up the rest, elect signs, merge those that agree",
            "DARE, arXiv 2311.03099, then TIES-Merging, arXiv 2306.01708",
            formula="base + λ · Σ wᵢdᵢ/Σ wᵢ over sgn dᵢ = sgn Σ wᵢdᵢ, dᵢ = mᵢδᵢ/density as in dare_linear",
            elementwise=True,
            one_by_one=False,
            combine=dare_ties,
            parameters=(_CHANCE, _LAMBDA, _ELECTED),
            base="required",
            random=True,
            check=_ELECT_REFUSAL,
        ),
        MethodEntry(
            "della_linear",
            "drop changes at random, small ones more often, scale up the rest, sum",
            "DELLA, arXiv 2406.11617 (drop, fuse)",
            formula="base + λ Σ wᵢ mᵢδᵢ/qᵢ, mᵢ = 1 with probability qᵢ = density − ε … density + ε by rank in the row",
            elementwise=False,
            one_by_one=False,
            combine=della_linear,
            parameters=(_MEAN_CHANCE, _EPSILON, _LAMBDA, _SUM),
            base="required",
            random=True,
            shaped=True,
            check=della_refusal,
        ),
        MethodEntry(
            "della",
            "drop changes at random, small ones more often, scale up the rest, elect signs, merge those that agree",
            "DELLA, arXiv 2406.11617 (drop, elect, fuse)",
            formula="base + λ · Σ wᵢdᵢ/Σ wᵢ over sgn dᵢ = sgn Σ wᵢdᵢ, dᵢ = mᵢδᵢ/qᵢ as in della_linear",
            elementwise=False,
            one_by_one=False,
            combine=della,
            parameters=(_MEAN_CHANCE, _EPSILON, _LAMBDA, _ELECTED),
            base="required",
            random=True,
            shaped=True,
            check=functools.partial(della_refusal, elect=True),
        ),
        MethodEntry(
            "breadcrumbs",
            "drop the largest and the smallest changes, sum",
            "Model Breadcrumbs, arXiv 2312.06795",
            formula="base + λ Σ wᵢδᵢ, each δᵢ without the ⌊γn⌋ largest and all but the next ⌊density·n⌋",
            elementwise=False,
            one_by_one=False,
            combine=breadcrumbs,
            parameters=(_KEPT, _GAMMA, _LAMBDA, _SUM),
            base="required",
            check=normalize_refusal,
        ),
        MethodEntry(
            "breadcrumbs_ties",
            "drop the largest and the smallest changes, elect signs, merge those that agree",
            "Model Breadcrumbs, arXiv 2312.06795, then TIES-Merging, arXiv 2306.01708",
            formula="base + λ · Σ wᵢδᵢ/Σ wᵢ over sgn δᵢ = sgn Σ wᵢδᵢ, each δᵢ masked as in breadcrumbs",
            elementwise=False,
            one_by_one=False,
            combine=breadcrumbs_ties,
            parameters=(_KEPT, _GAMMA, _LAMBDA, _ELECTED),
            base="required",
            check=_ELECT_REFUSAL,
        ),
        MethodEntry(
            "sce",
            "select positions of large variance, weigh sources by their changes, erase minority signs",
            "FuseChat, arXiv 2408.07990",
            formula="base + Σ ηᵢδᵢ/Σ ηᵢ over sgn δᵢ = sgn Σ δⱼ, ηᵢ = ‖δᵢ‖²/Σ ‖δⱼ‖², of the ⌊τn⌋ most varying positions",
            elementwise=False,
            one_by_one=False,
            combine=sce,
            parameters=(_SELECTED,),
            base="required",
            weighted=False,
        ),
        MethodEntry(
            "ram",
            "changes of one source stay whole, changes of several are averaged",
            "RAM, arXiv 2601.13572",
            formula="mean of the xᵢ with |xᵢ − base| > ε, the base where there is none",
            elementwise=True,
            one_by_one=False,
            combine=ram,
            parameters=(Parameter("epsilon", "what a change has to exceed", default=1e-5, minimum=0),),
            base="required",
            weighted=False,
        ),
        MethodEntry(
            "nearswap",
            "from the base towards one source, by t at most",
            "alchemonaut/QuartetAnemoi-70B-t0.0001 (no paper)",
            formula="base + clip(x − base, −t, t)",
            elementwise=True,
            one_by_one=True,
            combine=nearswap,
            parameters=(Parameter("t", "the most an element changes", default=1e-4, minimum=0),),
            base="required",
            most=1,
            weighted=False,
        ),
        MethodEntry(
            "arcee_fusion",
            "one source's important elements, the base's for the rest",
            "mergekit (no paper)",
            formula="x where |x − base| · KL ≥ q₅₀ + 1.5(q₇₅ − q₂₅), else base; KL of the rows' softmaxes",
            elementwise=False,
            one_by_one=False,
            combine=arcee_fusion,
            base="required",
            most=1,
            weighted=False,
            shaped=True,
        ),
    )
}
