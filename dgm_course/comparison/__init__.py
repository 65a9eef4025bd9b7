"""The table of the last lecture, measured: every model of the course on the same digits, by the same measures."""
# ruff: noqa: F401

from .measure import K, LatentFigures, LikelihoodResult, Quality, Row, measure, survey
from .models import SYSTEMS, Likelihood, ModelSpec, available
from .table import COLUMNS, LECTURE, TableEntry, Thresholds, agreement, marks
