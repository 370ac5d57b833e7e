"""What a private training promises, in words."""

from diptych.audit.privacy.membership_report import promise_sentence


def test_a_small_budget_bounds_every_attack_in_percent():
    sentence = promise_sentence({"epsilon": 1.0, "delta": 1e-5})
    assert "ε = 1 and δ = 1e-05: no attack finds more than 2.7% of the training pictures" in sentence  # e^1 · 1 %


def test_a_large_one_does_not_claim_a_bound_that_says_nothing():
    sentence = promise_sentence({"epsilon": 8.0, "delta": 1e-5})
    assert "bounds no attack by itself; ε = 3 would, to 20% of the training pictures" in sentence  # e^3 · 1 %


def test_without_a_promise_nothing_is_said():
    assert promise_sentence({}) == ""
