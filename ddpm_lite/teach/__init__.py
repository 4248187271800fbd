"""For instructors: ``python -m ddpm_lite.teach release`` makes a graded course of the exercise sets, ``grade`` scores
what students hand in. Nothing else of ddpm_lite imports this; it needs the extra ``teach``."""
