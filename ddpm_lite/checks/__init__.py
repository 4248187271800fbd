"""Checks that lessons, exercises and tests share: ``verify`` for claims, one ``check_*`` for each exercise.

A lesson's checks stand in ``lesson_NN.py``; all are imported from here:
``from ddpm_lite.checks import verify, check_...``.
"""

from .lesson_00 import check_count_evaluations, check_digits_from_seed, check_noised_moments
from .lesson_01 import check_alpha_bar, check_half_signal, check_smallest_beta_T, check_zero_terminal
from .lesson_02 import check_buggy_variance, check_jump_from, check_q_sample, check_recover_eps
from .machinery import VerificationError, WrongAnswer, diagnose, exercise, verify

__all__ = [
    "VerificationError",
    "WrongAnswer",
    "check_alpha_bar",
    "check_buggy_variance",
    "check_count_evaluations",
    "check_digits_from_seed",
    "check_half_signal",
    "check_jump_from",
    "check_noised_moments",
    "check_q_sample",
    "check_recover_eps",
    "check_smallest_beta_T",
    "check_zero_terminal",
    "diagnose",
    "exercise",
    "verify",
]
