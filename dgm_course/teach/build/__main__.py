"""`python -m dgm_course.teach.build` builds the notebooks."""

import sys

from .build import main

sys.exit(main())
