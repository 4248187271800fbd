"""Checks that lessons, exercises and tests share: ``verify`` for claims, one ``check_*`` for each exercise.

A lesson's checks stand in ``lesson_NN.py``; all are imported from here:
``from ddpm_lite.checks import verify, check_...``.
"""

from .lesson_00 import check_count_evaluations, check_digits_from_seed, check_noised_moments
from .lesson_01 import check_alpha_bar, check_half_signal, check_smallest_beta_T, check_zero_terminal
from .lesson_02 import check_buggy_variance, check_jump_from, check_q_sample, check_recover_eps
from .lesson_03 import check_mu_from_eps, check_posterior_skip, check_q_posterior, check_variance_without_x_0
from .lesson_04 import check_bound_weight, check_kl_bits, check_v_target, check_weighted_loss
from .lesson_05 import check_attention, check_block_parameters, check_turn_the_hands, check_walk_the_u
from .lesson_06 import check_draw_batch, check_learning_rate, check_training_step, check_update_average
from .lesson_07 import check_clipped_mean, check_reverse_step, check_short_beta, check_spoiled_variance
from .machinery import VerificationError, WrongAnswer, diagnose, exercise, verify

__all__ = [
    "VerificationError",
    "WrongAnswer",
    "check_alpha_bar",
    "check_attention",
    "check_block_parameters",
    "check_bound_weight",
    "check_buggy_variance",
    "check_clipped_mean",
    "check_count_evaluations",
    "check_digits_from_seed",
    "check_draw_batch",
    "check_half_signal",
    "check_jump_from",
    "check_kl_bits",
    "check_learning_rate",
    "check_mu_from_eps",
    "check_noised_moments",
    "check_posterior_skip",
    "check_q_posterior",
    "check_q_sample",
    "check_recover_eps",
    "check_reverse_step",
    "check_short_beta",
    "check_smallest_beta_T",
    "check_spoiled_variance",
    "check_training_step",
    "check_turn_the_hands",
    "check_update_average",
    "check_v_target",
    "check_variance_without_x_0",
    "check_walk_the_u",
    "check_weighted_loss",
    "check_zero_terminal",
    "diagnose",
    "exercise",
    "verify",
]
