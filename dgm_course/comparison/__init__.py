"""The last lecture's table, measured: every model of the course on the same digits, by the same yardsticks."""

from .measure import K, LatentFigures, LikelihoodResult, Quality, Row, measure, survey
from .models import SYSTEMS, Likelihood, ModelSpec, available
from .table import COLUMNS, LECTURE, TableEntry, Thresholds, agreement, marks

__all__ = [
    "COLUMNS",
    "K",
    "LECTURE",
    "LatentFigures",
    "Likelihood",
    "TableEntry",
    "Quality",
    "Row",
    "Thresholds",
    "SYSTEMS",
    "ModelSpec",
    "LikelihoodResult",
    "agreement",
    "available",
    "marks",
    "measure",
    "survey",
]
