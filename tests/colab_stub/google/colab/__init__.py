"""Stands in for what Colab calls google.colab; tests/as_in_colab.py puts it into a lesson's environment."""
