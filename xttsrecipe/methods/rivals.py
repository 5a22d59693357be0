"""What mergekit 0.1.4 and sd-mecha 1.1.5 have for each method, by the names and defaults in their source; and what they
have that is none of ours. Left out is what changes no result (int8_mask), or bounds iterations (ftol, maxiter). How the
results differ is in ``differences``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Namesake:
    """What another tool calls a method, with its parameters and their defaults as it calls them. ``note``: how far it
    is the same, where it is not the method as a whole.
    """

    name: str
    parameters: str = ""
    note: str = ""


_SUM = "weight, lambda 1, normalize false, rescale"
_PRUNED = "weight, density 1, lambda 1, normalize {}, rescale {}"
_OUTLIERS = _PRUNED.format("false", "false").replace("density 1", "density 1, gamma 0.01")
_BY_RANK = _PRUNED.replace("density 1", "density 1, epsilon 0.15")

MERGEKIT: Mapping[str, Namesake] = {
    "linear": Namesake("linear", "weight, normalize true"),
    "slerp": Namesake("slerp", "t"),
    "nuslerp": Namesake("nuslerp", "weight, nuslerp_flatten true, nuslerp_row_wise false"),
    "multislerp": Namesake("multislerp", "weight, normalize_weights true, eps 1e-8"),
    "karcher": Namesake("karcher", "max_iter 10, tol 1e-5", "all sources alike"),
    "model_stock": Namesake("model_stock", "filter_wise false"),
    "task_arithmetic": Namesake("task_arithmetic", f"{_SUM} false"),
    "ties": Namesake("ties", _PRUNED.format("true", "false")),
    "dare_linear": Namesake("dare_linear", _PRUNED.format("false", "true")),
    "dare_ties": Namesake("dare_ties", _PRUNED.format("false", "true")),
    "della_linear": Namesake("della_linear", _BY_RANK.format("false", "true")),
    "della": Namesake("della", _BY_RANK.format("true", "true")),
    "breadcrumbs": Namesake("breadcrumbs", _OUTLIERS),
    "breadcrumbs_ties": Namesake("breadcrumbs_ties", _OUTLIERS),
    "sce": Namesake("sce", "select_topk 1"),
    "nearswap": Namesake("nearswap", "t"),
    "arcee_fusion": Namesake("arcee_fusion"),
}

SD_MECHA: Mapping[str, Namesake] = {
    "linear": Namesake("weighted_sum", "alpha 0.5", "of two; n_average of any number, all alike"),
    "slerp": Namesake("slerp", "alpha 0.5"),
    "model_stock": Namesake("n_model_stock", "cos_eps 1e-6"),
    "task_arithmetic": Namesake("add_difference", "alpha 1, clamp_to_ab false", "one task vector at a time"),
    "add_difference": Namesake("add_difference", "alpha 1, clamp_to_ab false"),
    "ties": Namesake("add_difference_ties", "alpha 1, k 1", "add_difference_ties_extended: k 0.2, vote_sgn false"),
    "dare_linear": Namesake(
        "dropout", "probability 0.9, alpha 0.5, overlap 1, overlap_emphasis 0, seed",
        "divides by how many kept an element",
    ),
    "dare_ties": Namesake("add_ties_with_dare", "probability 0.9, rescale true, alpha 1, k 1, vote_sgn false, seed"),
    "della": Namesake("add_ties_with_dare", "as for dare_ties, with della_eps", "ranks whole tensors, not rows"),
}  # fmt: skip

# Under the names of others, what there is here beside methods.
OTHERWISE: Mapping[str, str] = {
    "passthrough": "a rule that says 'from NAME' takes tensors as they are",
    "from": "a rule that says 'from NAME' takes tensors as they are",
}

# sd-mecha's merges that have no counterpart here; what only shapes, casts or picks tensors is left out.
ONLY_SD_MECHA = (
    "add_cosine_a", "add_cosine_b", "add_opposite_mask", "add_perpendicular", "add_strict_opposite_mask",
    "balance_attention", "clamp", "copy_region", "crossover", "exchange_ema", "geometric_median", "geometric_sum",
    "multiply_quotient", "perpendicular_component", "rebasin", "rotate", "tensor_sum", "top_k_tensor_sum",
    "train_difference_mask", "truncate_rank",
)  # fmt: skip
