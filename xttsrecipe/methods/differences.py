"""Where other tools give something else for a method of the same name: mergekit 0.1.4, peft 0.21.2, sd-mecha 1.1.5, as
measured. Each has a test that holds us to the paper.
"""

from __future__ import annotations

from collections.abc import Mapping

DIFFERENCES: Mapping[str, tuple[str, ...]] = {
    "linear": (
        "mergekit divides the weights by their sum unless told not to; here weights that do not sum to 1 are an error",
    ),
    "slerp": (
        "mergekit works in float32, fails on tensors without axes, and gives sin((1−t)π/2)·a against a zero tensor",
        "sd-mecha interpolates norms too, which is karcher of two",
    ),
    "nuslerp": (
        "mergekit reaches 10⁸ for antiparallel tensors, and gives sin((1−t)π/2)·a against a zero tensor; here both are "
        "the straight line, for float32 within its own rounding of a half turn",
    ),
    "multislerp": ("mergekit raises on a tensor that none of three or more sources changed; here it is the base",),
    "karcher": (
        "mergekit stops after ten steps or at 10⁻⁵, short of the mean; here the steps go on until float64 is exhausted",
        "mergekit gives the first one's direction for antipodal tensors, whatever the order; here Σ wᵢxᵢ",
    ),
    "model_stock": (
        "mergekit floors ‖δᵢ‖‖δⱼ‖ at 10⁻⁶, so that small task vectors count as orthogonal",
        "mergekit throws the result far away where the mean cosine is negative; here it is clamped to 0, which is ours",
        "mergekit's filters of a convolution are single rows of a kernel; here a filter is an output channel",
        "sd-mecha averages the cosines of consecutive pairs only",
    ),
    "ties": (
        "mergekit's density and sd-mecha's k are 1 unless set, and nothing is trimmed; here it is the paper's 0.2",
        "mergekit asserts where ⌊density·n⌋ = 0, peft keeps nothing; here one element is kept",
        "mergekit and peft take + where masses cancel out; the paper's sgn gives 0",
        "peft elects the sign before weighting, and divides by the count",
        "sd-mecha keeps one or two elements more, and votes by count unless vote_sgn is set",
        "the authors' code keeps ⌊density·n⌋ + 1",
    ),
    "dare_linear": ("what is kept is divided by density exactly: no norm is restored",),
    "dare_ties": ("mergekit's normalize is false unless set; here it is that of TIES, true",),
    "della_linear": ("what is kept is divided by its own probability, the paper's 1 − pᵢ, not by density",),
    "della": ("what is kept is divided by its own probability, the paper's 1 − pᵢ, not by density",),
    "breadcrumbs": (
        "mergekit drops the whole task vector where ⌊γn⌋ = 0; here none of the largest",
        "mergekit's documentation calls gamma the paper's β",
        "the authors' code masks per row, the paper per layer",
    ),
    "breadcrumbs_ties": ("mergekit's normalize is false unless set; here it is that of TIES, true",),
    "sce": (
        "mergekit counts select_topk from the positions of non-zero variance; here from all",
        "mergekit weighs all sources alike where Σ mean δ² < 10⁻⁶; here small task vectors only scale the result",
        "mergekit returns (N, …) for a tensor that no source changed where select_topk < 1; here it is the base",
    ),
    "nearswap": ("mergekit floors |x − base| at 10⁻⁶",),
    "arcee_fusion": ("mergekit makes (1,) of a tensor without axes",),
}
