import pytest

from .models import PRIORS


@pytest.fixture(params=PRIORS)
def prior(request):
    return PRIORS[request.param]()
