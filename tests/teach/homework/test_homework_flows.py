"""The references of the homework on flows, held to oracles of another kind."""

from __future__ import annotations

import pytest
import torch

from dgm_course.teach.homework import exercise


def asked(id: str, seed: int = 4):
    """Each case's arguments as the answer gets them, in float64."""
    for case in exercise(id).inputs(seed):
        like = torch.zeros(0, dtype=torch.float64)
        yield [
            value.build(like)
            if hasattr(value, "build")
            else torch.tensor(value).double()
            if hasattr(value, "shape")
            else value
            for value in case.args.values()
        ]


def jacobians(f, x: torch.Tensor) -> torch.Tensor:
    return torch.stack([torch.autograd.functional.jacobian(lambda v: f(v[None])[0], point) for point in x])


def test_the_coupling_has_the_log_determinant_of_its_jacobian_and_goes_back():
    there, back = exercise("flow.coupling_forward").reference, exercise("flow.coupling_inverse").reference
    for x, mask, log_scale, shift in asked("flow.coupling_forward"):
        z, ladj = there(x, mask, log_scale, shift)
        layer = lambda v, rest=(mask, log_scale, shift): there(v, *rest)[0]
        logdets = torch.linalg.slogdet(jacobians(layer, x[:3])).logabsdet
        assert torch.allclose(ladj[:3], logdets, atol=1e-9)
        assert torch.allclose(back(z, mask, log_scale, shift), x, rtol=1e-6)


def test_the_log_density_integrates_to_one_after_a_stretch():
    """x = 3 z: f divides by 3, so ladj = −log 3."""
    x = torch.linspace(-40, 40, 8001, dtype=torch.float64)
    p = (
        exercise("flow.log_density")
        .reference(x[:, None] / 3, torch.full_like(x, -torch.log(torch.tensor(3.0))))
        .exp()
    )
    assert float(torch.trapezoid(p, x)) == pytest.approx(1.0, abs=1e-6)


def test_the_logits_have_the_slope_of_a_difference_quotient():
    for k, u, levels, margin in asked("flow.pixels_to_logits"):
        reference, h = exercise("flow.pixels_to_logits").reference, 1e-5
        (above, _), (below, _) = reference(k, u + h, levels, margin), reference(k, u - h, levels, margin)
        slope = ((above - below) / (2 * h)).log().sum(1)
        assert torch.allclose(reference(k, u, levels, margin)[1], slope, atol=1e-4)


def test_the_sequential_way_back_leads_to_a_point_whose_image_is_z():
    for z, conditions in asked("flow.autoregressive_inverse"):
        x = exercise("flow.autoregressive_inverse").reference(z, conditions)
        m, a = conditions(x)
        assert torch.allclose((x - m) * (-a).exp(), z, atol=1e-9)


def test_the_planar_determinant_is_that_of_the_lemma():
    for x, w, u, b in asked("flow.planar_log_det"):
        expected = (1 + (1 - torch.tanh(x @ w + b) ** 2) * (w @ u)).abs().log()
        assert torch.allclose(exercise("flow.planar_log_det").reference(x, w, u, b), expected, atol=1e-9)


def test_the_trace_estimate_of_all_signs_is_the_exact_trace():
    """The mean over all 2^D sign vectors has no error left."""
    for field, x, _ in asked("flow.hutchinson_trace"):
        signs = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0]).double()] * x.shape[1]).view(-1, 1, x.shape[1])
        estimate = exercise("flow.hutchinson_trace").reference(field, x[:4], signs.expand(-1, len(x[:4]), -1))
        exact = jacobians(field, x[:4]).diagonal(dim1=1, dim2=2).sum(1)
        assert torch.allclose(estimate, exact.detach(), atol=1e-9)
