"""Checks that lessons, exercises and tests share: ``verify`` for claims, one ``check_*`` for each exercise.

A lesson's checks stand in ``lesson_NN.py``; all are imported from here: ``from ddpm_lite.checks import verify, check_...``.
"""

from .machinery import VerificationError, WrongAnswer, diagnose, exercise, verify

__all__ = ["VerificationError", "WrongAnswer", "diagnose", "exercise", "verify"]
