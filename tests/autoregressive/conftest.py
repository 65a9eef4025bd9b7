import pytest

from .models import FAMILIES, perturbed


@pytest.fixture(params=FAMILIES)
def make(request):
    """(vocabulary, event, classes=0) -> a model of each family in turn, with random weights."""
    return lambda k=2, event=(1, 3, 3), **options: perturbed(FAMILIES[request.param](k, event, **options))
