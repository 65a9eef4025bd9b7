"""`python -m dgm_course` is the command `dgm`."""

import sys

from .cli.main import main

sys.exit(main())
