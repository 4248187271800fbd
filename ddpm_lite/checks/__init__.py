"""Checks that lessons, exercises and tests share: ``verify`` for claims, one ``check_*`` for each exercise.

A lesson's checks stand in ``lesson_NN.py``; all are imported from here:
``from ddpm_lite.checks import verify, check_...``.
"""

from .lesson_00 import check_count_evaluations, check_digits_from_seed, check_noised_moments
from .lesson_01 import check_alpha_bar, check_half_signal, check_smallest_beta_T, check_zero_terminal
from .lesson_02 import check_buggy_variance, check_jump_from, check_q_sample, check_recover_eps
from .lesson_04 import check_bound_weight, check_kl_bits, check_v_target, check_weighted_loss
from .lesson_06 import check_draw_batch, check_learning_rate, check_training_step, check_update_average
from .machinery import VerificationError, WrongAnswer, diagnose, exercise, verify

__all__ = [
    "VerificationError",
    "WrongAnswer",
    "check_alpha_bar",
    "check_bound_weight",
    "check_buggy_variance",
    "check_count_evaluations",
    "check_digits_from_seed",
    "check_draw_batch",
    "check_half_signal",
    "check_jump_from",
    "check_kl_bits",
    "check_learning_rate",
    "check_noised_moments",
    "check_q_sample",
    "check_recover_eps",
    "check_smallest_beta_T",
    "check_training_step",
    "check_update_average",
    "check_v_target",
    "check_weighted_loss",
    "check_zero_terminal",
    "diagnose",
    "exercise",
    "verify",
]
