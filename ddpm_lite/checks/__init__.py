"""Checks that lessons, exercises and tests share: ``verify`` for claims, one ``check_*`` for each exercise.

The checks of a lesson's exercises stand in ``lesson_NN.py``, those of the further exercises in its set in
``lesson_NNb.py``, those of the museum of bugs in ``museum.py``; all are imported from here:
``from ddpm_lite.checks import verify, check_...``.
"""

from . import claims, machinery
from .claims import *
from .lesson_00 import *
from .lesson_00b import *
from .lesson_01 import *
from .lesson_01b import *
from .lesson_02 import *
from .lesson_02b import *
from .lesson_03 import *
from .lesson_03b import *
from .lesson_04 import *
from .lesson_04b import *
from .lesson_05 import *
from .lesson_05b import *
from .lesson_06 import *
from .lesson_06b import *
from .lesson_07 import *
from .lesson_07b import *
from .machinery import *
from .museum import *

__all__ = sorted([*claims.__all__, *machinery.__all__, *(name for name in globals() if name.startswith("check_"))])
